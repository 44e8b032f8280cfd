// Simulation only: reads a table's values when the simulation starts. Synthesis includes the same
// file instead.
#pragma once

#include <cstdio>
#include <cstdlib>
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
  std::FILE* stream = std::fopen(path.c_str(), "r");
  if (!stream) return fail("is missing");
  long long value = 0;
  char comma = 0;
  size_t found = 0;
  while (std::fscanf(stream, "%lld %c", &value, &comma) == 2 && comma == ',') {
    if (found < count) values[found] = Value(value);
    if (found < count && (long long)(values[found]) != value)
      fail("value " + std::to_string(value) + " does not fit");
    found++;
  }
  const bool whole = std::feof(stream) != 0;
  std::fclose(stream);
  if (!whole || found != count)
    fail(std::to_string(found) + " values, " + std::to_string(count) + " expected");
}
