// Sends positions to one of a bank of sparse engines and writes down what it gives.
//
// usage: program instance seed events
//
// events: a text of lines, each of which is `p GAP HEX` (GAP idle cycles, then a position), `r GAP
// CYCLES` (a reset) or `w GAP` (idle cycles).  Prints a line for every output, `v CYCLE VALUE LAST` or
// `h CYCLE HEX` (a word of hidden codes), for every position, `p CYCLE`, and for every reset, `r CYCLE`.
// seed: of what registers and memories hold before the first reset.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "Vbank.h"

namespace {

class Bench {
 public:
  Bench(int instance, int seed) : context_(new VerilatedContext) {
    context_->randReset(2);
    context_->randSeed(seed);
    top_.reset(new Vbank(context_.get()));
    top_->chosen = instance;
    top_->valid = 0;
    reset(4);
  }
  void idle(uint64_t cycles) {
    while (cycles-- > 0) tick();
  }
  void reset(uint64_t cycles) {
    top_->rst_n = 0;
    tick();  // what leaves in this cycle was on its way before
    std::printf("r %" PRIu64 "\n", cycle_);
    idle(cycles - 1);
    top_->rst_n = 1;
  }
  void position(const std::string& hex) {
    // the highest digit first
    for (auto& word : top_->position.m_storage) word = 0;
    for (size_t i = 0; i < hex.size(); i++) {
      const uint32_t digit = std::strtoul(std::string(1, hex[hex.size() - 1 - i]).c_str(), nullptr, 16);
      top_->position[i / 8] |= digit << (i % 8 * 4);
    }
    top_->valid = 1;
    std::printf("p %" PRIu64 "\n", cycle_);
    tick();
    top_->valid = 0;
    for (auto& word : top_->position.m_storage) word = 0xa5a5a5a5;
  }

 private:
  void tick() {
    top_->clk = 0;
    top_->eval();
    if (top_->value_valid)
      std::printf("v %" PRIu64 " %" PRId64 " %d\n", cycle_, int64_t(top_->value), int(top_->value_last));
    if (top_->hidden_valid) {
      std::printf("h %" PRIu64 " ", cycle_);
      for (int i = 7; i >= 0; i--) std::printf("%08x", top_->hidden[i]);
      std::printf("\n");
    }
    top_->clk = 1;
    top_->eval();
    cycle_++;
  }
  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Vbank> top_;
  uint64_t cycle_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  Bench bench(std::atoi(argv[1]), std::atoi(argv[2]));
  std::ifstream events(argv[3]);
  std::string kind, hex;
  uint64_t gap, cycles;
  while (events >> kind >> gap) {
    bench.idle(gap);
    if (kind == "p" && events >> hex) bench.position(hex);
    if (kind == "r" && events >> cycles) bench.reset(cycles);
  }
  return 0;
}
