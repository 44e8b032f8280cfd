// Simulation only: keeps what streams carried, for comparison. Synthesis sees none of it.
#pragma once

#ifdef __SYNTHESIS__
#define RECORD(index, stream)
#else
#define RECORD(index, stream) record(index, stream)

#include <cstdint>
#include <type_traits>
#include <vector>

#include "word.hpp"

// Elements of each recorded stream, one after the other.
std::vector<std::vector<char>>& recorded();

// The smallest native integer that holds an element.
template <int Bits, typename Byte, typename Half, typename Wide>
using smallest = std::conditional_t<Bits <= 8, Byte, std::conditional_t<Bits <= 16, Half, Wide>>;
template <typename T>
struct native;
template <int Bits>
struct native<ap_int<Bits>> {
  using type = smallest<Bits, int8_t, int16_t, int32_t>;
};
template <int Bits>
struct native<ap_uint<Bits>> {
  using type = smallest<Bits, uint8_t, uint16_t, uint32_t>;
};

// Every word passes through once and goes back to the end of the stream.
template <typename T, int Lanes>
void record(int index, word_stream<T, Lanes>& stream) {
  using element = typename native<T>::type;
  const size_t words = stream.size();
  std::vector<char>& kept = recorded()[index];
  const size_t before = kept.size();
  kept.resize(before + words * Lanes * sizeof(element));
  element* next = reinterpret_cast<element*>(kept.data() + before);
  for (size_t i = 0; i < words; i++) {
    const word<T, Lanes> elements = stream.read();
    for (int lane = 0; lane < Lanes; lane++) *next++ = element(int(elements.lane[lane]));
    stream.write(elements);
  }
}
#endif
