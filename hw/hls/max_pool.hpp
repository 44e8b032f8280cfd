// Max-pool along the frame, stride = kernel.
#pragma once

#include "word.hpp"

// in: Positions positions of Channels / Pe words; out: the maximum of each run of Kernel positions.
// Those behind the last whole run have none.
template <typename T, int Channels, int Pe, int Kernel, int Positions>
void max_pool(word_stream<T, Pe>& in, word_stream<T, Pe>& out) {
  constexpr int folds = Channels / Pe;
  static_assert(Channels % Pe == 0, "PE divides the channels");
  word<T, Pe> best[folds];
  for (int position = 0; position < Positions; position++) {
    for (int fold = 0; fold < folds; fold++) {
#pragma HLS pipeline II=1
      const int tap = position % Kernel;
      const word<T, Pe> codes = in.read();
      word<T, Pe> maximum;
      for (int lane = 0; lane < Pe; lane++) {
#pragma HLS unroll
        const T held = best[fold].lane[lane], now = codes.lane[lane];
        maximum.lane[lane] = tap == 0 || now > held ? now : held;
      }
      best[fold] = maximum;
      if (tap == Kernel - 1) out.write(maximum);
    }
  }
}
