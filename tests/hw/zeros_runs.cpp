// Sends beats to one of a bank of runs of the zero-skipping engine and writes down what they give.
//
// usage: program run seed events ready
//
// events: a text of lines, each of which is `b GAP BYTES` (GAP idle cycles, then a beat that is offered
// until it is taken), `w GAP` (idle cycles) or `r CYCLES` (a reset).  ready: numbers of cycles in which
// the output is taken and not taken in turns; later it is always taken.  Prints `i CYCLE` for every beat
// that is taken, `t TAP CYCLE BYTES` for every word of a tap, `o CYCLE BYTES` for every word that
// leaves, and `r` for every reset.  Bytes are in hexadecimal, the lowest first.  Ends when nothing has
// moved for a while, with exit code 3 if a beat is not taken.
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

constexpr uint64_t settled = 6000;  // longer than anything holds the output back
constexpr char digits[] = "0123456789abcdef";

class Bench {
 public:
  Bench(int run, int seed, const char* ready) : context_(new VerilatedContext), ready_(ready) {
    context_->randReset(2);
    context_->randSeed(seed);
    top_.reset(new Vbank(context_.get()));
    top_->chosen = run;
    top_->valid = 0;
    reset(8);
  }
  void idle(uint64_t cycles) {
    while (cycles-- > 0) tick();
  }
  void reset(uint64_t cycles) {
    top_->rst_n = 0;
    tick();  // what leaves in this cycle was on its way before
    std::printf("r\n");
    quiet_output_ = true;
    idle(cycles - 1);
    quiet_output_ = false;
    top_->rst_n = 1;
  }
  bool beat(const std::string& bytes) {
    for (size_t i = 0; i < bytes.size() / 2; i++) {
      uint32_t& word = top_->data.m_storage[i / 4];
      word &= ~(0xffu << (i % 4 * 8));
      word |= std::strtoul(bytes.substr(2 * i, 2).c_str(), nullptr, 16) << (i % 4 * 8);
    }
    top_->valid = 1;
    quiet_ = 0;
    do tick();
    while (!taken_ && quiet_ < settled);
    top_->valid = 0;
    return taken_;
  }
  void settle() {
    for (quiet_ = 0; quiet_ < settled;) tick();
  }

 private:
  bool ready() {
    while (ready_ && left_ == 0)
      if (ready_ >> left_) held_ = !held_;
    if (left_ == 0) return true;
    left_--;
    return !held_;
  }
  void tick() {
    top_->clk = 0;
    top_->ready = ready();
    top_->eval();
    quiet_++;
    taken_ = top_->valid && top_->taken;
    if (taken_) std::printf("i %" PRIu64 "\n", cycle_);
    if (!quiet_output_) {
      for (int tap = 0; tap < TAPS; tap++)
        if (top_->tap_valids >> tap & 1) write("t " + std::to_string(tap), top_->taps.m_storage, tap * TAP_BYTES);
      if (top_->out_valid && top_->ready) write("o", top_->out.m_storage, 0);
    }
    top_->clk = 1;
    top_->eval();
    cycle_++;
  }
  void write(const std::string& kind, const uint32_t* words, int start) {
    quiet_ = 0;
    char text[2 * TAP_BYTES + 1] = {};
    for (int i = 0; i < TAP_BYTES; i++) {
      const uint32_t byte = words[(start + i) / 4] >> ((start + i) % 4 * 8) & 0xff;
      text[2 * i] = digits[byte >> 4];
      text[2 * i + 1] = digits[byte & 15];
    }
    std::printf("%s %" PRIu64 " %s\n", kind.c_str(), cycle_, text);
  }
  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Vbank> top_;
  std::ifstream ready_;
  uint64_t cycle_ = 0, quiet_ = 0, left_ = 0;
  bool taken_ = false, held_ = true, quiet_output_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  Bench bench(std::atoi(argv[1]), std::atoi(argv[2]), argv[4]);
  std::ifstream events(argv[3]);
  std::string kind, bytes;
  uint64_t cycles;
  while (events >> kind >> cycles) {
    if (kind == "r") bench.reset(cycles);
    else bench.idle(cycles);
    if (kind == "b" && events >> bytes && !bench.beat(bytes)) return 3;
  }
  bench.settle();
  return 0;
}
