// The accelerator's two AXI4-Streams: packed words outside, words of elements inside.
#pragma once

#include "word.hpp"

#if __has_include("ap_axi_sdata.h")
#include "ap_axi_sdata.h"
template <int Bits>
using axis_word = ap_axiu<Bits, 0, 0, 0>;
#else  // the open ap_types have no side channels
template <int Bits>
struct axis_word {
  ap_uint<Bits> data;
  ap_uint<Bits / 8> keep;
  ap_uint<Bits / 8> strb;
  ap_uint<1> last;
};
#endif

// One frame of Words beats, Bits each, to words of Lanes elements of ElementBits bits. tlast is not
// needed: frames are counted by their length.
template <typename T, int ElementBits, int Lanes, int Words, int Bits>
void read_frame(hls::stream<axis_word<Bits>>& in, word_stream<T, Lanes>& out) {
  for (int i = 0; i < Words; i++) {
#pragma HLS pipeline II=1
    const ap_uint<Bits> packed = in.read().data;
    word<T, Lanes> elements;
    for (int lane = 0; lane < Lanes; lane++) {
#pragma HLS unroll
      elements.lane[lane] = T(packed.range((lane + 1) * ElementBits - 1, lane * ElementBits));
    }
    out.write(elements);
  }
}

// The label of a frame, a packet of its own.
template <typename T, int Bits>
void write_label(word_stream<T, 1>& in, hls::stream<axis_word<Bits>>& out) {
  axis_word<Bits> beat;
  beat.data = in.read().lane[0];
  beat.keep = -1;
  beat.strb = -1;
  beat.last = 1;
  out.write(beat);
}
