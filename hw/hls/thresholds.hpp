// BatchNorm and quantizer in one: a code is the number of thresholds that a sum has reached.
#pragma once

#include "word.hpp"

// in: Vectors vectors of Channels / Pe words of sums; out: the same of codes, the lowest being Low.
template <typename Sum, typename Code, typename Level, int Channels, int Pe, int Levels, int Low,
          int Vectors>
void thresholds(word_stream<Sum, Pe>& in, word_stream<Code, Pe>& out,
                const Level (&levels)[Channels / Pe][Pe][Levels]) {
  constexpr int folds = Channels / Pe;
  static_assert(Channels % Pe == 0, "PE divides the channels");
#pragma HLS array_reshape variable=levels complete dim=2
#pragma HLS array_reshape variable=levels complete dim=3
  for (int vector = 0; vector < Vectors; vector++) {
    for (int fold = 0; fold < folds; fold++) {
#pragma HLS pipeline II=1
      const word<Sum, Pe> sums = in.read();
      word<Code, Pe> codes;
      for (int lane = 0; lane < Pe; lane++) {
#pragma HLS unroll
        const int sum = int(sums.lane[lane]);
        int reached = 0;
        for (int level = 0; level < Levels; level++) {
#pragma HLS unroll
          reached += int(levels[fold][lane][level]) <= sum;
        }
        codes.lane[lane] = Code(Low + reached);
      }
      out.write(codes);
    }
  }
}
