// A stream's word: Lanes elements of one type, element 0 first (in the low bits of the wires).
#pragma once

#include "ap_int.h"
#include "hls_stream.h"

#ifdef __SYNTHESIS__
template <typename T, int Lanes>
struct word {
  T lane[Lanes];
};
#else
#include <cstring>

// The same with copies of whole words: those that ap_types make, element by element, would take
// most of a simulation's time.
template <typename T, int Lanes>
struct word {
  union {
    T lane[Lanes];
  };
  word() {}
  word(const word& other) { copy(other); }
  word& operator=(const word& other) {
    copy(other);
    return *this;
  }
  ~word() {}

 private:
  void copy(const word& other) {
    std::memcpy(static_cast<void*>(lane), static_cast<const void*>(other.lane), sizeof lane);
  }
};
#endif

template <typename T, int Lanes>
using word_stream = hls::stream<word<T, Lanes>>;
