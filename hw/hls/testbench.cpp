// Runs frames through the accelerator and writes what its streams carried.
//
// usage: testbench tables-folder input.bin output-folder frames
//
// input.bin holds AXI4-Stream beats; <index>.bin gets the elements of each recorded stream, in the
// smallest native integers that hold them, and labels.bin a byte (or two) a frame. A complaint of
// hls::stream on stdout (read while empty, data left over) is an error too, which the caller sees.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "accelerator.hpp"
#include "recorder.hpp"

std::vector<std::vector<char>>& recorded() {
  static std::vector<std::vector<char>> streams(recorded_streams);
  return streams;
}

namespace {

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "error: %s\n", what.c_str());
  std::exit(2);
}

std::vector<unsigned char> read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) fail("cannot read " + path);
  std::vector<unsigned char> content;
  unsigned char buffer[65536];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
    content.insert(content.end(), buffer, buffer + n);
  std::fclose(file);
  return content;
}

std::FILE* create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) fail("cannot write " + path);
  return file;
}

void append(std::FILE* file, const char* data, size_t size) {
  if (std::fwrite(data, 1, size, file) != size) fail("cannot write: is the disk full?");
}

void send_frame(hls::stream<input_beat>& in, const unsigned char* bytes) {
  for (int i = 0; i < frame_beats; i++, bytes += beat_bytes) {
    input_beat beat;
    beat.data = 0;
    for (int byte = 0; byte < beat_bytes; byte++)
      beat.data.range(8 * byte + 7, 8 * byte) = bytes[byte];
    beat.keep = -1;
    beat.strb = -1;
    beat.last = i == frame_beats - 1;
    in.write(beat);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) fail("usage: testbench tables-folder input.bin output-folder frames");
  const std::string tables = argv[1], folder = argv[3];
  const std::vector<unsigned char> input = read_file(argv[2]);
  const size_t frames = std::strtoull(argv[4], nullptr, 10);
  if (input.size() != frames * frame_beats * beat_bytes) fail("input.bin is not that many frames");
  load_tables(tables);

  std::vector<std::FILE*> files;
  for (int i = 0; i < recorded_streams; i++)
    files.push_back(create(folder + "/" + std::to_string(i) + ".bin"));
  std::FILE* labels = create(folder + "/labels.bin");
  hls::stream<input_beat> in("input");
  hls::stream<label_beat> out("label");
  for (size_t frame = 0; frame < frames; frame++) {
    send_frame(in, &input[frame * frame_beats * beat_bytes]);
    accelerator_hls(in, out);
    for (int i = 0; i < recorded_streams; i++) {
      append(files[i], recorded()[i].data(), recorded()[i].size());
      recorded()[i].clear();
    }
    const label_beat beat = out.read();
    if (!beat.last) fail("a label without tlast");
    const unsigned label = unsigned(beat.data);
    for (int byte = 0; byte < label_bytes; byte++) {
      const char part = char(label >> (8 * byte));
      append(labels, &part, 1);
    }
  }
  for (std::FILE* file : files)
    if (std::fclose(file) != 0) fail("cannot write: is the disk full?");
  if (std::fclose(labels) != 0) fail("cannot write: is the disk full?");
  return 0;
}
