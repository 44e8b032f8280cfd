// The window of every output of a 1-D convolution (stride 1), zeros around the frame included.
#pragma once

#include "word.hpp"

// in: Positions positions of Channels / Simd words; out: for every output, its Kernel positions in
// order. One output word a cycle; a position is read when the first window that holds it needs it.
template <typename T, int Channels, int Simd, int Positions, int Kernel, int Padding>
void sliding_window(word_stream<T, Simd>& in, word_stream<T, Simd>& out) {
  constexpr int folds = Channels / Simd;
  constexpr int outputs = Positions + 2 * Padding - Kernel + 1;
  static_assert(Channels % Simd == 0, "a position is a whole number of words");
  static_assert(Padding < Kernel && outputs > 0, "every window holds a position of the frame");
  word<T, Simd> zeros;
  for (int lane = 0; lane < Simd; lane++) {
#pragma HLS unroll
    zeros.lane[lane] = 0;
  }
  word<T, Simd> kept[Kernel][folds];  // a ring of positions
  for (int output = 0; output < outputs; output++) {
    for (int tap = 0; tap < Kernel; tap++) {
      for (int fold = 0; fold < folds; fold++) {
#pragma HLS pipeline II=1
        const int position = output + tap - Padding;
        const bool inside = position >= 0 && position < Positions;
        const bool fresh = output == 0 || tap == Kernel - 1;
        word<T, Simd> elements = zeros;
        if (inside && fresh) {
          elements = in.read();
          kept[position % Kernel][fold] = elements;
        } else if (inside) {
          elements = kept[position % Kernel][fold];
        }
        out.write(elements);
      }
    }
  }
}
