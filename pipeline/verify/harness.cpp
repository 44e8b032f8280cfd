// Drives a design between two AXI4-Streams and records the streams inside it.
//
// usage: simulator input.bin output-folder frames stalls amount seed watchdog-cycles
//
// stalls: none, random, bursts, stop, full, reset or paced; amount: percent of random, cycles a frame
// of paced.
// Writes <index>.bin for every captured stream and prints a JSON object: how it ended, cycle
// counts, and for every stream its words, the most words between it and the stream before, its
// handshake at the end, and whether every run that a reset ended carried the first words of the last
// run.  Exit code 0 when all frames
// came out and nothing more, 3 otherwise.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "streams.hpp"  // generated: Top, make_views, input and output ports

namespace {

constexpr uint64_t settled = 4096;  // nothing moves for this long: nothing will until an end opens
constexpr int reset_cycles = 4;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2654435761u + 88172645463325252u) {}
  uint64_t below(uint64_t limit) { return (draw() >> 16) % limit; }

 private:
  uint64_t draw() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  uint64_t state_;
};

// The ends of the accelerator that are held back in a cycle.
struct Held {
  bool input, output;
};

// Asked once a cycle; `quiet` is for how many cycles no stream has moved.
class Stalls {
 public:
  virtual ~Stalls() = default;
  virtual Held next(uint64_t quiet) = 0;
};

class None : public Stalls {
 public:
  Held next(uint64_t) override { return {false, false}; }
};

// The input, so that the words of a frame enter evenly over so many cycles.
class Paced : public Stalls {
 public:
  Paced(uint64_t words, uint64_t cycles) : words_(words), cycles_(cycles), due_(cycles) {}
  Held next(uint64_t) override {
    const bool early = due_ < cycles_;
    due_ = due_ + words_ - (early ? 0 : cycles_);
    return {early, false};
  }

 private:
  uint64_t words_, cycles_, due_;
};

// Single cycles, and now and then a burst, at each end by itself.
class Single : public Stalls {
 public:
  Single(uint64_t seed, unsigned percent) : input_{Random{seed + 1}, 0}, output_{Random{seed + 2}, 0}, percent_(percent) {}
  Held next(uint64_t) override { return {next(input_), next(output_)}; }

 private:
  struct End {
    Random random;
    uint64_t burst;
  };
  bool next(End& end) {
    if (end.burst > 0) return --end.burst, true;
    if (end.random.below(512) == 0) end.burst = end.random.below(64);
    return end.random.below(100) < percent_;
  }
  End input_, output_;
  unsigned percent_;
};

// Long runs, held and not held in turns, at each end by itself.
class Bursts : public Stalls {
 public:
  explicit Bursts(uint64_t seed) : input_(start(seed + 1)), output_(start(seed + 2)) {}
  Held next(uint64_t) override { return {next(input_), next(output_)}; }

 private:
  struct End {
    Random random;
    bool held;
    uint64_t left;
  };
  static End start(uint64_t seed) {
    Random random{seed};
    const bool held = random.below(2);
    return {random, held, 0};
  }
  static bool next(End& end) {
    if (end.left == 0) {
      end.held = !end.held;
      end.left = 1 + end.random.below(400);
    }
    end.left--;
    return end.held;
  }
  End input_, output_;
};

// Both ends for 1,000 cycles, at random moments; the first one early.
class Stop : public Stalls {
 public:
  explicit Stop(uint64_t seed) : random_(seed), free_(1 + random_.below(32)) {}
  Held next(uint64_t) override {
    if (free_ > 0) return --free_, Held{false, false};
    if (++stopped_ == 1000) {
      stopped_ = 0;
      free_ = 1 + random_.below(4096);
    }
    return {true, true};
  }

 private:
  Random random_;
  uint64_t free_, stopped_ = 0;
};

// The output until the design is full, then, a while later, the input until it is empty.
class Full : public Stalls {
 public:
  explicit Full(uint64_t seed) : random_(seed) {}
  Held next(uint64_t quiet) override {
    if (free_ > 0) return --free_, Held{false, false};
    const Held held = fill_ ? Held{false, true} : Held{true, false};
    // a design that was quiet before has to be given the time to move
    if (++held_ > settled && quiet >= settled) {
      fill_ = !fill_;
      held_ = 0;
      free_ = 1 + random_.below(4096);
    }
    return held;
  }

 private:
  Random random_;
  bool fill_ = true;
  uint64_t free_ = 0, held_ = 0;
};

// Runs that a reset ends in the middle of one of the first frames; in the last of them the output is
// held back, so that nothing has left the design, and a small one is full by then.
class Resets : public Stalls {
 public:
  Resets(uint64_t seed, uint64_t frames, uint64_t words) : random_(seed), frames_(frames < 4 ? frames : 4), words_(words) {
    aim();
  }
  Held next(uint64_t) override { return {false, run_ == 2}; }
  // Whether it is time, with so many input words of this run taken; the next run begins then.
  bool due(uint64_t taken, uint64_t quiet) {
    if (run_ == 3 || (taken < target_ && quiet < settled)) return false;
    run_++;
    aim();
    return true;
  }

 private:
  void aim() { target_ = random_.below(frames_) * words_ + 1 + random_.below(words_ > 1 ? words_ - 1 : 1); }
  Random random_;
  uint64_t frames_, words_, target_ = 0;
  unsigned run_ = 0;
};

// A stream's words since the last reset, and what it carried in the runs before; `earlier`: its words
// up to the cycle before; `most`: places that a buffer between the stream before and this one needs.
struct Recorder {
  View view;
  uint64_t words = 0, earlier = 0, most = 0;
  std::vector<uint8_t> data;
  std::vector<std::vector<uint8_t>> before;

  explicit Recorder(const View& of) : view(of) {}
  void restart() {
    words = earlier = 0;
    before.push_back(std::move(data));
    data.clear();
  }
  // A word that leaves has its place until the end of the cycle.
  void make_room(uint64_t entered) {
    if (entered > earlier) most = std::max(most, entered - earlier);
    earlier = words;
  }
  // All runs are sent the same, so what came of a shorter one is the beginning of the last.
  bool repeats() const {
    for (const std::vector<uint8_t>& run : before)
      if (run.size() > data.size() || !std::equal(run.begin(), run.end(), data.begin())) return false;
    return true;
  }
};

std::vector<uint8_t> read_file(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (!file) return {};
  std::vector<uint8_t> content;
  uint8_t buffer[65536];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) content.insert(content.end(), buffer, buffer + n);
  std::fclose(file);
  return content;
}

bool write_file(const std::string& path, const std::vector<uint8_t>& content) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) return false;
  const bool whole = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  return std::fclose(file) == 0 && whole;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8) return 2;
  const std::vector<uint8_t> input = read_file(argv[1]);
  const std::string folder = argv[2];
  const uint64_t frames = std::strtoull(argv[3], nullptr, 10);
  const std::string kind = argv[4];
  const unsigned amount = std::strtoul(argv[5], nullptr, 10);
  const uint64_t seed = std::strtoull(argv[6], nullptr, 10);
  const uint64_t watchdog = std::strtoull(argv[7], nullptr, 10);
  const uint64_t words_in = input.size() / input_bytes, words_out = frames * output_words;

  Resets* resets = nullptr;
  std::unique_ptr<Stalls> stalls;
  if (kind == "none") stalls = std::make_unique<None>();
  if (kind == "random") stalls = std::make_unique<Single>(seed, amount);
  if (kind == "bursts") stalls = std::make_unique<Bursts>(seed);
  if (kind == "stop") stalls = std::make_unique<Stop>(seed);
  if (kind == "full") stalls = std::make_unique<Full>(seed);
  if (kind == "paced") stalls = std::make_unique<Paced>(words_in / frames, amount);
  if (kind == "reset") stalls.reset(resets = new Resets(seed, frames, words_in / frames));
  if (!stalls) return 2;

  VerilatedContext context;
  context.commandArgs(argc, argv);
  context.randReset(2);
  context.randSeed(static_cast<int>(seed % 2147483646 + 1));
  Top top{&context};

  std::vector<Recorder> recorders;
  for (const View& view : make_views(top)) recorders.emplace_back(view);

  uint64_t sent = 0, received = 0, cycle = 0, moved = 0;
  uint64_t first_in = 0;
  std::vector<uint64_t> finished;
  bool offering = false;

  reset(top, 16);
  // after the last frame a while longer, with no end held back: what comes then is too much
  const uint64_t linger = 4096;
  for (uint64_t end = 0; end < linger && cycle - moved < watchdog; cycle++) {
    if (resets && resets->due(sent, cycle - moved)) {
      reset(top, reset_cycles);
      for (Recorder& recorder : recorders) recorder.restart();
      finished.clear();
      sent = received = end = 0;
      offering = false;
      moved = cycle;
    }
    const Held held = end > 0 ? Held{false, false} : stalls->next(cycle - moved);
    if (!offering && sent < words_in) offering = !held.input;
    drive_input(top, offering, offering ? &input[sent * input_bytes] : nullptr);
    drive_ready(top, !held.output);
    top.ap_clk = 0;
    top.eval();

    for (Recorder& recorder : recorders) {
      const View& view = recorder.view;
      if (!(*view.valid & *view.ready)) continue;
      moved = cycle;
      recorder.words++;
      if (view.captured) recorder.data.insert(recorder.data.end(), view.data, view.data + view.bytes);
    }
    if (input_moves(top)) {
      if (sent++ == 0) first_in = cycle;
      offering = false;
      moved = cycle;
    }
    uint64_t entered = sent;
    for (Recorder& recorder : recorders) {
      recorder.make_room(entered);
      entered = recorder.words;
    }
    if (output_moves(top)) {
      received++;
      moved = cycle;
      if (received % output_words == 0) finished.push_back(cycle);
    }
    if (received >= words_out && sent == words_in) {
      end++;
      moved = cycle;
    }
    top.ap_clk = 1;
    top.eval();
  }
  top.final();

  bool written = true;
  for (size_t i = 0; i < recorders.size(); i++)
    if (recorders[i].view.captured) written &= write_file(folder + "/" + std::to_string(i) + ".bin", recorders[i].data);

  const bool done = received == words_out && sent == words_in && written;
  std::printf("{\"done\": %s, \"cycles\": %llu, \"sent\": %llu, \"received\": %llu, \"first_in\": %llu,\n \"finished\": [",
              done ? "true" : "false", (unsigned long long)cycle, (unsigned long long)sent,
              (unsigned long long)received, (unsigned long long)first_in);
  for (size_t i = 0; i < finished.size(); i++) std::printf("%s%llu", i ? ", " : "", (unsigned long long)finished[i]);
  std::printf("],\n \"streams\": [");
  for (size_t i = 0; i < recorders.size(); i++)
    std::printf("%s\n  {\"words\": %llu, \"most\": %llu, \"valid\": %d, \"ready\": %d, \"repeats\": %s}", i ? "," : "",
                (unsigned long long)recorders[i].words, (unsigned long long)recorders[i].most, *recorders[i].view.valid, *recorders[i].view.ready,
                recorders[i].repeats() ? "true" : "false");
  std::printf("]}\n");
  return done ? 0 : 3;
}
