// Folded matrix-vector product: Pe rows and Simd columns a cycle.
#pragma once

#include "word.hpp"

// in: Vectors vectors of Width / Simd words; out: for each, Height / Pe words of Pe sums in row
// order. A vector is kept and replayed for the rows after the first Pe. Sums are formed in int and
// stored in Sum, which holds every reachable one.
template <typename T, typename Weight, typename Sum, int Width, int Height, int Simd, int Pe,
          int Vectors>
void matrix_vector(word_stream<T, Simd>& in, word_stream<Sum, Pe>& out,
                   const Weight (&weights)[Height / Pe][Width / Simd][Pe][Simd]) {
  constexpr int synapse_folds = Width / Simd;
  constexpr int neuron_folds = Height / Pe;
  static_assert(Width % Simd == 0 && Height % Pe == 0, "PE divides the rows, SIMD the columns");
  static_assert(T::width < 16 && Weight::width < 16, "factors of at most 15 bits");
#pragma HLS array_reshape variable=weights complete dim=3
#pragma HLS array_reshape variable=weights complete dim=4
  word<T, Simd> kept[synapse_folds];
  int sums[Pe];
#pragma HLS array_partition variable=sums complete
  for (int vector = 0; vector < Vectors; vector++) {
    for (int neuron = 0; neuron < neuron_folds; neuron++) {
      for (int synapse = 0; synapse < synapse_folds; synapse++) {
#pragma HLS pipeline II=1
        if (neuron == 0) kept[synapse] = in.read();
        const word<T, Simd>& elements = kept[synapse];
        for (int row = 0; row < Pe; row++) {
#pragma HLS unroll
          int sum = synapse == 0 ? 0 : sums[row];
          for (int lane = 0; lane < Simd; lane++) {
#pragma HLS unroll
            sum += short(elements.lane[lane]) * short(weights[neuron][synapse][row][lane]);
          }
          sums[row] = sum;
        }
        if (synapse == synapse_folds - 1) {
          word<Sum, Pe> rows;
          for (int row = 0; row < Pe; row++) {
#pragma HLS unroll
            rows.lane[row] = Sum(sums[row]);
          }
          out.write(rows);
        }
      }
    }
  }
}
