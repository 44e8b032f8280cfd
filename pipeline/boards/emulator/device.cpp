// The programmable logic of an emulated board: the shell, two DMA channels and an AXI4-Lite master,
// as a shared library.  Nothing moves unless a function here runs the clock.
//
// shell.hpp is generated: beat_bytes, label_bytes, and the tables that the design reads.
#include "Vamcflow.h"
#include "shell.hpp"
#include "verilated.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <unistd.h>

namespace {

constexpr int reset_cycles = 32;
constexpr int answer_cycles = 1000;  // an AXI4-Lite access takes a few
constexpr uint32_t no_answer = 0xdeadbeef;

std::string last_error;

struct Transfer {
  uint64_t bytes = 0, moved = 0;
  bool active = false;
};

struct Board {
  VerilatedContext context;
  Vamcflow top;
  const uint8_t* source = nullptr;
  uint8_t* sink = nullptr;
  Transfer sent, received;
  bool overflow = false;

  Board() : top(&context) {}

  void drive_send() {
    top.s_axis_tvalid = sent.active;
    if (!sent.active) return;
    const uint64_t left = sent.bytes - sent.moved;
    top.s_axis_tdata = 0;
    std::memcpy(&top.s_axis_tdata, source + sent.moved, left < beat_bytes ? left : beat_bytes);
    top.s_axis_tlast = left <= beat_bytes;
  }

  void after_send() {
    sent.moved += beat_bytes;
    if (sent.moved < sent.bytes) return;
    sent.moved = sent.bytes;
    sent.active = false;
  }

  void after_receive(const uint8_t* word, bool last) {
    const uint64_t left = received.bytes - received.moved;
    const uint64_t taken = left < label_bytes ? left : label_bytes;
    std::memcpy(sink + received.moved, word, taken);
    received.moved += taken;
    if (!last && received.moved < received.bytes) return;
    received.active = false;
    overflow = !last;
  }

  void settle() {
    drive_send();
    top.m_axis_tready = received.active;
    top.aclk = 0;
    top.eval();
  }

  void edge() {
    const bool in = top.s_axis_tvalid && top.s_axis_tready;
    const bool out = top.m_axis_tvalid && top.m_axis_tready;
    const bool last = top.m_axis_tlast;
    uint8_t word[label_bytes];
    std::memcpy(word, &top.m_axis_tdata, label_bytes);
    top.aclk = 1;
    top.eval();
    if (in) after_send();
    if (out) after_receive(word, last);
  }

  void tick() {
    settle();
    edge();
  }

  // Runs the clock to the end of the first cycle in which `wire` is high; `value` in that cycle.
  uint32_t tick_until(const CData& wire, const IData& value) {
    for (int i = 0; i < answer_cycles; i++) {
      settle();
      const bool high = wire;
      const uint32_t found = value;
      edge();
      if (high) return found;
    }
    return no_answer;
  }
};

bool tables_are_whole(const char* folder) {
  for (const Table& table : tables) {
    const std::string path = std::string(folder) + "/" + table.name;
    std::ifstream file(path);
    uint64_t words = 0;
    for (std::string word; file >> word;) words++;
    if (words == table.words) continue;
    last_error = path + " has " + std::to_string(words) + " words, not " +
                 std::to_string(table.words);
    return false;
  }
  return true;
}

}  // namespace

extern "C" {

const char* board_error() { return last_error.c_str(); }

void* board_new(const char* folder) {
  if (!tables_are_whole(folder)) return nullptr;
  char before[4096];
  if (!getcwd(before, sizeof before) || chdir(folder)) {
    last_error = std::string("cannot enter ") + folder;
    return nullptr;
  }
  Board* board = new Board;
  board->context.randReset(2);  // what is not reset starts anywhere, as in hardware
  board->context.randSeed(1);
  Vamcflow& top = board->top;
  top.aresetn = 0;
  top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_arvalid = 0;
  top.s_axi_awprot = top.s_axi_arprot = 0;
  top.s_axi_bready = top.s_axi_rready = 1;
  for (int i = 0; i < reset_cycles; i++) board->tick();
  top.aresetn = 1;
  board->tick();
  if (chdir(before)) last_error = std::string("cannot go back to ") + before;
  return board;
}

void board_delete(void* handle) { delete static_cast<Board*>(handle); }

uint32_t board_read(void* handle, uint32_t offset) {
  Board& board = *static_cast<Board*>(handle);
  Vamcflow& top = board.top;
  top.s_axi_araddr = offset & 0x7f;
  top.s_axi_arvalid = 1;
  board.tick_until(top.s_axi_arready, top.s_axi_rdata);
  top.s_axi_arvalid = 0;
  return board.tick_until(top.s_axi_rvalid, top.s_axi_rdata);
}

void board_write(void* handle, uint32_t offset, uint32_t value) {
  Board& board = *static_cast<Board*>(handle);
  Vamcflow& top = board.top;
  top.s_axi_awaddr = offset & 0x7f;
  top.s_axi_wdata = value;
  top.s_axi_wstrb = 0xf;
  top.s_axi_awvalid = top.s_axi_wvalid = 1;
  board.tick_until(top.s_axi_awready, top.s_axi_rdata);
  top.s_axi_awvalid = top.s_axi_wvalid = 0;
  board.tick_until(top.s_axi_bvalid, top.s_axi_rdata);
}

void board_send(void* handle, const uint8_t* data, uint64_t bytes) {
  Board& board = *static_cast<Board*>(handle);
  board.source = data;
  board.sent = {bytes, 0, bytes > 0};
}

void board_receive(void* handle, uint8_t* data, uint64_t bytes) {
  Board& board = *static_cast<Board*>(handle);
  board.sink = data;
  board.received = {bytes, 0, bytes > 0};
  board.overflow = false;
}

uint64_t board_run(void* handle, uint64_t cycles) {
  Board& board = *static_cast<Board*>(handle);
  uint64_t run = 0;
  for (; run < cycles && (board.sent.active || board.received.active); run++) board.tick();
  return run;
}

uint64_t board_sent(void* handle) { return static_cast<Board*>(handle)->sent.moved; }
uint64_t board_received(void* handle) { return static_cast<Board*>(handle)->received.moved; }
int board_send_done(void* handle) { return !static_cast<Board*>(handle)->sent.active; }
int board_receive_done(void* handle) { return !static_cast<Board*>(handle)->received.active; }
int board_receive_overflow(void* handle) { return static_cast<Board*>(handle)->overflow; }

void board_abort(void* handle) {
  Board& board = *static_cast<Board*>(handle);
  board.sent.active = board.received.active = false;
}

}  // extern "C"
