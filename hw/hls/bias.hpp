// The bias of the last layer: logits from sums.
#pragma once

#include "word.hpp"

// in: Vectors vectors of Channels / Pe words; out: each sum plus its channel's bias.
template <typename Sum, typename Logit, typename Bias, int Channels, int Pe, int Vectors>
void add_bias(word_stream<Sum, Pe>& in, word_stream<Logit, Pe>& out,
              const Bias (&bias)[Channels / Pe][Pe]) {
  static_assert(Channels % Pe == 0, "PE divides the channels");
#pragma HLS array_reshape variable=bias complete dim=2
  for (int vector = 0; vector < Vectors; vector++) {
    for (int fold = 0; fold < Channels / Pe; fold++) {
#pragma HLS pipeline II=1
      const word<Sum, Pe> sums = in.read();
      word<Logit, Pe> logits;
      for (int lane = 0; lane < Pe; lane++) {
#pragma HLS unroll
        logits.lane[lane] = Logit(int(sums.lane[lane]) + int(bias[fold][lane]));
      }
      out.write(logits);
    }
  }
}
