// Runs a top with a clock and says which of its `differs` bits were ever 1, and when first.
//
// usage: program cycles

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "Vtop.h"
#include "verilated.h"

int main(int argc, char** argv) {
  VerilatedContext context;
  context.randSeed(7);
  Vtop top(&context);
  const uint64_t cycles = std::strtoull(argv[argc - 1], nullptr, 10);
  uint64_t seen = 0;
  for (uint64_t cycle = 0; cycle < cycles; cycle++) {
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
    const uint64_t fresh = top.differs & ~seen;
    for (int i = 0; i < 64; i++)
      if (fresh >> i & 1) std::printf("%d %llu\n", i, static_cast<unsigned long long>(cycle));
    seen |= fresh;
  }
  std::printf("end\n");
}
