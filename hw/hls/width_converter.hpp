// The same elements in wider or narrower words; one width divides the other.
#pragma once

#include "word.hpp"

// Words / Ratio words of Lanes * Ratio elements from Words words of Lanes.
template <typename T, int Lanes, int Ratio, int Words>
void widen(word_stream<T, Lanes>& in, word_stream<T, Lanes * Ratio>& out) {
  static_assert(Words % Ratio == 0, "whole words leave");
  word<T, Lanes * Ratio> wide;
  for (int i = 0; i < Words; i++) {
#pragma HLS pipeline II=1
    const word<T, Lanes> narrow = in.read();
    for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS unroll
      wide.lane[i % Ratio * Lanes + lane] = narrow.lane[lane];
    }
    if (i % Ratio == Ratio - 1) out.write(wide);
  }
}

// Words * Ratio words of Lanes elements from Words words of Lanes * Ratio.
template <typename T, int Lanes, int Ratio, int Words>
void narrow(word_stream<T, Lanes * Ratio>& in, word_stream<T, Lanes>& out) {
  word<T, Lanes * Ratio> wide;
  for (int i = 0; i < Words * Ratio; i++) {
#pragma HLS pipeline II=1
    if (i % Ratio == 0) wide = in.read();
    word<T, Lanes> elements;
    for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS unroll
      elements.lane[lane] = wide.lane[i % Ratio * Lanes + lane];
    }
    out.write(elements);
  }
}
