// Drives a design between two AXI4-Streams and records the streams inside it.
//
// usage: simulator input.bin output-folder frames stall-percent seed watchdog-cycles
//
// Writes <index>.bin for every captured stream and prints a JSON object: how it ended, cycle
// counts, and for every stream its words and handshake at the end.  Exit code 0 when all frames
// came out and nothing more, 3 otherwise.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "streams.hpp"  // generated: Top, make_views, input and output ports

namespace {

// Holds an end of the accelerator back: single cycles at random, and now and then a burst.
class Stall {
 public:
  Stall(uint64_t seed, unsigned percent) : state_(seed * 2654435761u + 88172645463325252u), percent_(percent) {}
  bool next() {
    if (percent_ == 0) return false;
    if (burst_ > 0) return --burst_, true;
    const uint64_t random = draw();
    if (random % 512 == 0) burst_ = (random >> 16) % 64;
    return (random >> 32) % 100 < percent_;
  }

 private:
  uint64_t draw() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  uint64_t state_;
  unsigned percent_;
  uint64_t burst_ = 0;
};

struct Recorder {
  View view;
  uint64_t words = 0;
  std::vector<uint8_t> data;
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
  if (argc < 7) return 2;
  const std::vector<uint8_t> input = read_file(argv[1]);
  const std::string folder = argv[2];
  const uint64_t frames = std::strtoull(argv[3], nullptr, 10);
  const unsigned percent = std::strtoul(argv[4], nullptr, 10);
  const uint64_t seed = std::strtoull(argv[5], nullptr, 10);
  const uint64_t watchdog = std::strtoull(argv[6], nullptr, 10);

  VerilatedContext context;
  context.commandArgs(argc, argv);
  context.randReset(2);
  context.randSeed(static_cast<int>(seed % 2147483646 + 1));
  Top top{&context};

  std::vector<Recorder> recorders;
  for (const View& view : make_views(top)) recorders.push_back({view, 0, {}});
  Stall hold_input{seed + 1, percent}, hold_output{seed + 2, percent};

  const uint64_t words_in = input.size() / input_bytes, words_out = frames * output_words;
  uint64_t sent = 0, received = 0, cycle = 0, moved = 0;
  uint64_t first_in = 0;
  std::vector<uint64_t> finished;
  bool offering = false;

  reset(top);
  // after the last frame a while longer: what comes then is too much
  const uint64_t linger = 4096;
  for (uint64_t end = 0; end < linger && cycle - moved < watchdog; cycle++) {
    if (!offering && sent < words_in) offering = !hold_input.next();
    drive_input(top, offering, offering ? &input[sent * input_bytes] : nullptr);
    drive_ready(top, !hold_output.next());
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
    std::printf("%s\n  {\"words\": %llu, \"valid\": %d, \"ready\": %d}", i ? "," : "",
                (unsigned long long)recorders[i].words, *recorders[i].view.valid, *recorders[i].view.ready);
  std::printf("]}\n");
  return done ? 0 : 3;
}
