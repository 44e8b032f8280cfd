"""Scenarios of the AXI shell around `checksum_core.sv`, run by cocotb inside the simulator.

`test_accelerator_axi.py` builds the simulator and starts them.
"""

import itertools
import random
from collections.abc import Iterator, Sequence

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from tests.hw.shell_model import DROPPED, Outcome, checksum, outcome

BEATS = 16
CLASSES = 251
CREDITS = 5
HASH = 0x0123456789ABCDEF_FEDCBA9876543210_00112233445566778899AABBCCDDEEFF
LIMIT = (200, "us")
CYCLES_A_FRAME = 200
"""More than any frame takes; for counters to come to rest."""

MAGIC, VERSION, CONTROL, STATUS, FRAME_BEATS, CLASSES_AT, PACKET_FRAMES, CREDITS_AT = range(
    0, 32, 4
)
HASH_AT = 0x20
FRAMES_IN, FRAMES_OUT, SHORT_FRAMES, LONG_FRAMES, SHORT_PACKETS = range(0x40, 0x54, 4)
BAD_BEATS, BAD_FRAME = 0x54, 0x58
CYCLES_LO, CYCLES_HI = 0x60, 0x64


class Shell:
    """The shell between a source, a sink and a register master, out of reset."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.random = random.Random(random.getrandbits(32))  # cocotb seeds the module's
        self.source = AxiStreamSource(
            AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, dut.aresetn, reset_active_level=False
        )
        self.sink = AxiStreamSink(
            AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, dut.aresetn, reset_active_level=False
        )
        self.registers = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, dut.aresetn, reset_active_level=False
        )

    @classmethod
    async def start(cls, dut) -> "Shell":
        cocotb.start_soon(Clock(dut.aclk, 10, "ns").start())
        dut.aresetn.value = 0
        shell = cls(dut)
        await shell.hard_reset()
        return shell

    async def hard_reset(self) -> None:
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 8)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 4)

    def reset_ends(self, active: bool) -> None:
        """Stops source and sink and forgets what they have, or lets them go."""
        self.source.clear()
        self.sink.clear()
        for end in (self.source, self.sink):
            end.assert_reset(active)

    async def read(self, address: int) -> int:
        return await with_timeout(self.registers.read_dword(address), *LIMIT)

    async def write(self, address: int, value: int) -> None:
        await with_timeout(self.registers.write_dword(address, value), *LIMIT)

    def frame(self) -> bytes:
        return self.random.randbytes(BEATS)

    def frames(self, count: int) -> list[bytes]:
        return [self.frame() for _ in range(count)]

    async def send(self, packets: Sequence[bytes]) -> None:
        for packet in packets:
            await self.source.send(AxiStreamFrame(packet))

    async def receive(self, packets: int) -> list[list[int]]:
        return [list(await with_timeout(self.sink.recv(), *LIMIT)) for _ in range(packets)]

    async def expect(self, wanted: Outcome) -> None:
        """These labels, packet by packet, and nothing more; then these counters."""
        found = await self.receive(len(wanted.labels))
        for index, (a, b) in enumerate(zip(found, wanted.labels, strict=True)):
            assert a == b, f"packet {index}: labels {a}, expected {b}"
        await ClockCycles(self.dut.aclk, CYCLES_A_FRAME)
        assert self.sink.empty(), "there are more labels than frames"
        await self.expect_counters(wanted)
        assert await self.read(STATUS) == 0

    async def expect_counters(self, wanted: Outcome) -> None:
        assert await self.read(FRAMES_IN) == wanted.frames_in
        assert await self.read(FRAMES_OUT) == wanted.frames_in
        assert await self.read(SHORT_FRAMES) == wanted.short_frames
        assert await self.read(LONG_FRAMES) == wanted.long_frames
        assert await self.read(SHORT_PACKETS) == wanted.short_packets
        assert await self.read(BAD_BEATS) == wanted.bad_beats
        assert await self.read(BAD_FRAME) == wanted.bad_frame

    def stall(self, source: float, sink: float) -> None:
        """Holds both ends back in these shares of cycles, now and then for long."""
        self.source.set_pause_generator(self._pauses(source))
        self.sink.set_pause_generator(self._pauses(sink))

    def _pauses(self, share: float) -> Iterator[bool]:
        while True:
            length = self.random.choice((1, 1, 1, 1, 1, 1, 1, 40))
            yield from itertools.repeat(self.random.random() < share, length)


def some_packets(shell: Shell, packet_frames: int, count: int) -> list[bytes]:
    """Packets of right and of wrong lengths, among them all that are one beat off."""
    whole = packet_frames * BEATS
    lengths = [whole, whole - 1, whole, whole + 1, 1, whole, whole - BEATS or whole, 3 * whole + 5]
    lengths += [shell.random.randint(1, 2 * whole) for _ in range(count - len(lengths))]
    return [shell.random.randbytes(n) for n in lengths]


@cocotb.test()
async def it_says_what_it_is(dut) -> None:
    shell = await Shell.start(dut)
    assert await shell.read(MAGIC) == int.from_bytes(b"AMCF", "big")
    assert await shell.read(VERSION) == 1
    assert await shell.read(FRAME_BEATS) == BEATS
    assert await shell.read(CLASSES_AT) == CLASSES
    assert await shell.read(CREDITS_AT) == CREDITS
    digest = "".join([f"{await shell.read(HASH_AT + 4 * i):08x}" for i in range(8)])
    assert digest == f"{HASH:064x}"
    for address in (0x5C, 0x68, 0x7C):
        assert await shell.read(address) == 0
    await shell.write(MAGIC, 7)
    await shell.write(FRAMES_IN, 7)
    assert await shell.read(MAGIC) == int.from_bytes(b"AMCF", "big")
    assert await shell.read(FRAMES_IN) == 0


@cocotb.test()
@cocotb.parametrize(packet_frames=[1, 3], stalls=[(0, 0), (0.6, 0), (0, 0.7), (0.4, 0.4)])
async def packets_of_any_length_never_mix(dut, packet_frames, stalls) -> None:
    shell = await Shell.start(dut)
    await shell.write(PACKET_FRAMES, packet_frames)
    shell.stall(*stalls)
    packets = some_packets(shell, packet_frames, 40)
    await shell.send(packets)
    await shell.expect(outcome(packets, packet_frames, BEATS))


@cocotb.test()
async def registers_answer_while_frames_run(dut) -> None:
    shell = await Shell.start(dut)
    shell.stall(0.3, 0.3)
    for channel in (shell.registers.write_if.b_channel, shell.registers.read_if.r_channel):
        channel.set_pause_generator(shell._pauses(0.5))
    packets = shell.frames(40)
    await shell.send(packets)
    latest = {FRAMES_IN: 0, FRAMES_OUT: 0, CYCLES_LO: 0}
    while await shell.read(FRAMES_OUT) < len(packets):
        for address, before in latest.items():
            latest[address] = await shell.read(address)
            assert latest[address] >= before
        assert latest[FRAMES_OUT] <= latest[FRAMES_IN] + CREDITS
        await shell.write(PACKET_FRAMES, 1)
        asked = [cocotb.start_soon(shell.read(x)) for x in (FRAME_BEATS, CLASSES_AT, CREDITS_AT)]
        assert [await answer for answer in asked] == [BEATS, CLASSES, CREDITS]
    await shell.expect(outcome(packets, 1, BEATS))


@cocotb.test()
async def the_input_waits_while_no_label_leaves(dut) -> None:
    """Only so many frames are inside that their labels have room; the core asserts the rest."""
    shell = await Shell.start(dut)
    shell.sink.pause = True
    packets = shell.frames(3 * CREDITS)
    await shell.send(packets)
    await ClockCycles(dut.aclk, 3 * CREDITS * CYCLES_A_FRAME)
    assert await shell.read(FRAMES_IN) == CREDITS
    assert await shell.read(FRAMES_OUT) == 0
    assert await shell.read(STATUS) == 1
    shell.sink.pause = False
    await shell.expect(outcome(packets, 1, BEATS))


@cocotb.test()
async def a_soft_reset_forgets_all_frames(dut) -> None:
    """In the middle of a frame, with frames in the core and labels that wait."""
    shell = await Shell.start(dut)
    for _ in range(12):
        await shell.write(PACKET_FRAMES, 2)
        shell.sink.pause = shell.random.random() < 0.5
        await shell.send([b"".join(shell.frames(2)), b"".join(shell.frames(2))])
        await ClockCycles(dut.aclk, shell.random.randint(1, 8 * BEATS))
        shell.reset_ends(True)  # as software resets the DMA
        await shell.write(CONTROL, 1)
        assert await shell.read(CONTROL) == 1
        while await shell.read(CONTROL):
            pass
        shell.reset_ends(False)
        assert await shell.read(PACKET_FRAMES) == 1
        shell.sink.pause = False
        packets = shell.frames(4)
        await shell.send(packets)
        await shell.expect(outcome(packets, 1, BEATS))


@cocotb.test()
async def no_beat_is_lost_in_a_soft_reset(dut) -> None:
    shell = await Shell.start(dut)
    await shell.write(CONTROL, 1)
    packets = shell.frames(3)
    await shell.send(packets)
    await shell.expect(outcome(packets, 1, BEATS))


@cocotb.test()
async def a_hard_reset_in_a_frame(dut) -> None:
    shell = await Shell.start(dut)
    for _ in range(12):
        await shell.write(PACKET_FRAMES, 3)
        await shell.send([b"".join(shell.frames(3))])
        await ClockCycles(dut.aclk, shell.random.randint(1, 5 * BEATS))
        shell.source.clear()
        await shell.hard_reset()
        shell.sink.clear()
        assert await shell.read(PACKET_FRAMES) == 1
        packets = shell.frames(4)
        await shell.send(packets)
        await shell.expect(outcome(packets, 1, BEATS))


@cocotb.test()
async def the_packet_length_is_taken_at_its_first_beat(dut) -> None:
    shell = await Shell.start(dut)
    await shell.write(PACKET_FRAMES, 2)
    first, second = shell.frames(2), shell.frames(3)
    await shell.send([b"".join(first)])
    while not await shell.read(STATUS) & 2:
        pass
    await shell.write(PACKET_FRAMES, 3)
    await shell.send([b"".join(second)])
    found = await shell.receive(2)
    assert found == [[checksum(x) for x in first], [checksum(x) for x in second]]
    assert await shell.read(SHORT_PACKETS) == 0


@cocotb.test()
async def a_packet_length_is_written_by_bytes_and_never_zero(dut) -> None:
    shell = await Shell.start(dut)
    await shell.write(PACKET_FRAMES, 0x01020304)
    await shell.registers.write(PACKET_FRAMES + 1, b"\xaa")
    assert await shell.read(PACKET_FRAMES) == 0x0102AA04
    await shell.write(PACKET_FRAMES, 0)
    assert await shell.read(PACKET_FRAMES) == 0x0102AA04


@cocotb.test()
async def cycles_run_while_a_frame_is_inside(dut) -> None:
    shell = await Shell.start(dut)
    await ClockCycles(dut.aclk, 50)
    assert await shell.read(CYCLES_LO) == 0
    began = cocotb.start_soon(_moment(dut, dut.s_axis_tvalid, dut.s_axis_tready))
    ended = cocotb.start_soon(_moment(dut, dut.m_axis_tvalid, dut.m_axis_tready))
    await shell.send(shell.frames(1))
    await shell.receive(1)
    await ClockCycles(dut.aclk, 50)
    assert await shell.read(CYCLES_LO) == await ended - await began
    dut.cycles_q.value = 0x7_FFFF_FFFF
    assert await shell.read(CYCLES_LO) == 0xFFFF_FFFF
    dut.cycles_q.value = 0x8_0000_0000
    assert await shell.read(CYCLES_HI) == 7, "the high half is that of the low half's read"


@cocotb.test()
async def frames_follow_each_other_without_a_gap(dut) -> None:
    """One beat a cycle from end to end, where nobody stalls."""
    shell = await Shell.start(dut)
    dut.core.stalls.value = 0
    count = 20
    await shell.write(PACKET_FRAMES, count)
    frames = shell.frames(count)
    ends = cocotb.start_soon(_moments(dut, count))
    await shell.send([b"".join(frames)])
    assert await shell.receive(1) == [[checksum(x) for x in frames]]
    dut.core.stalls.value = 1
    moments = await ends
    intervals = [b - a for a, b in itertools.pairwise(moments)]
    assert intervals[4:] == [BEATS] * (count - 5), intervals


async def _moments(dut, count: int) -> list[int]:
    """The cycles in which labels leave."""
    found = []
    while len(found) < count:
        found.append(await _moment(dut, dut.m_axis_tvalid, dut.m_axis_tready))
    return found


async def _moment(dut, valid, ready) -> int:
    """The number of the cycle in which a stream first moves."""
    for cycle in itertools.count(_cycle()):
        await RisingEdge(dut.aclk)
        if valid.value and ready.value:
            return cycle
    raise AssertionError


def _cycle() -> int:
    return int(cocotb.simtime.get_sim_time("ns")) // 10


@cocotb.test()
async def a_dropped_frame_needs_no_core(dut) -> None:
    """Its label leaves although the core never sees another frame."""
    shell = await Shell.start(dut)
    await shell.send([shell.frame()[:3]])
    assert await shell.receive(1) == [[DROPPED]]
