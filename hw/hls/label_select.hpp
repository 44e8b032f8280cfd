// The class of a frame: the index of its largest logit, of equal ones the lowest.
#pragma once

#include "word.hpp"

// in: Labels / Pe words of logits; out: one word, the index.
template <typename Logit, typename Label, int Labels, int Pe>
void label_select(word_stream<Logit, Pe>& in, word_stream<Label, 1>& out) {
  static_assert(Labels % Pe == 0, "PE divides the labels");
  int best = 0, index = 0;
  for (int fold = 0; fold < Labels / Pe; fold++) {
#pragma HLS pipeline II=1
    const word<Logit, Pe> logits = in.read();
    for (int lane = 0; lane < Pe; lane++) {
#pragma HLS unroll
      const int logit = int(logits.lane[lane]), label = fold * Pe + lane;
      if (label == 0 || logit > best) {
        best = logit;
        index = label;
      }
    }
  }
  word<Label, 1> label;
  label.lane[0] = Label(index);
  out.write(label);
}
