// Simulation only: reads a table's values when the simulation starts. Synthesis includes the same
// file instead.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

// `count` decimal values, a comma behind each, from folder/file. Ends the program, naming the file,
// where it is missing, holds another number of values, or one that does not fit into Value.
template <typename Value>
void read_table(const std::string& folder, const char* file, Value* values, size_t count) {
  const std::string path = folder + "/" + file;
  const auto fail = [&path](const std::string& what) {
    std::fprintf(stderr, "error: table %s: %s\n", path.c_str(), what.c_str());
    std::exit(2);
  };
  std::ifstream stream(path);
  if (!stream) return fail("is missing");
  const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const char* next = text.c_str();
  size_t found = 0;
  for (char* end; true; next = end + 1, found++) {
    const long long value = std::strtoll(next, &end, 10);
    if (end == next || *end != ',') break;
    if (found >= count) continue;
    values[found] = Value(value);
    if ((long long)(values[found]) != value) fail("value " + std::to_string(value) + " does not fit");
  }
  const bool whole = text.find_first_not_of(" \n", size_t(next - text.c_str())) == std::string::npos;
  if (!whole || found != count)
    fail(std::to_string(found) + " values, " + std::to_string(count) + " expected");
}
