"""What Vivado's cells look like from outside, as far as our block design uses them.

Written from the product guides (AMD PG021 AXI DMA, PG164 Processor System Reset, PG247
SmartConnect, PG201 Zynq UltraScale+ PS, UG585 and PG082 Zynq-7000 PS), apart from the scripts that
it is held against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Properties = Mapping[str, str]


@dataclass(frozen=True)
class Pin:
    """kind: clock, reset (active low), reset_high or other; required: an input that may not be
    left open."""

    direction: str
    kind: str
    required: bool = False


@dataclass(frozen=True)
class Interface:
    """mode: master or slave; bus: aximm, axis, ddr or fixedio; clock: the pin of its clock, and
    reset the one of its reset; bits: of data, 0 where it adapts; space: its address space, of a
    master, or its segment, of a slave; required: may not be left open."""

    mode: str
    bus: str
    clock: str = ""
    bits: int = 0
    space: str = ""
    required: bool = True


@dataclass(frozen=True)
class Segment:
    """An address range of a slave: of registers, or of memory at a fixed place."""

    interface: str
    bytes: int
    base: int | None = None


@dataclass(frozen=True)
class Shape:
    """A configured cell. windows: where a master's segments may lie, by address space."""

    pins: Mapping[str, Pin]
    interfaces: Mapping[str, Interface]
    segments: Mapping[str, Segment]
    windows: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class CellType:
    """A cell of the catalog: its latest version, the values that its properties may have, their
    defaults, and its shape with a configuration."""

    vlnv: str
    allowed: Mapping[str, tuple[str, ...] | Callable[[str], bool]]
    defaults: Properties
    shape: Callable[[Properties], Shape]


def is_number(low: float, high: float) -> Callable[[str], bool]:
    """A check of a value: a number in a range."""

    def check(text: str) -> bool:
        try:
            return low <= float(text) <= high
        except ValueError:
            return False

    return check


FLAG = ("0", "1")
CLOCK_IN, RESET_IN = Pin("in", "clock", True), Pin("in", "reset", True)
CLOCK_OUT, RESET_OUT = Pin("out", "clock"), Pin("out", "reset")
OPEN = Pin("out", "other")
GIB = 1 << 30


# --- processing systems -------------------------------------------------------------------------


def zynq7(p: Properties) -> Shape:
    """Ports are there where they are switched on."""
    pins = {"TTC0_WAVE0_OUT": OPEN}
    interfaces = {
        "DDR": Interface("master", "ddr"),
        "FIXED_IO": Interface("master", "fixedio"),
    }
    segments, windows = {}, {}
    for i in range(4):
        if p.get(f"PCW_EN_CLK{i}_PORT", "0") == "1":
            pins[f"FCLK_CLK{i}"] = CLOCK_OUT
        if p.get(f"PCW_EN_RST{i}_PORT", "0") == "1":
            pins[f"FCLK_RESET{i}_N"] = RESET_OUT
    for i, base in enumerate((0x4000_0000, 0x8000_0000)):
        if p.get(f"PCW_USE_M_AXI_GP{i}", "0") == "1":
            pins[f"M_AXI_GP{i}_ACLK"] = CLOCK_IN
            clock = f"M_AXI_GP{i}_ACLK"
            interfaces[f"M_AXI_GP{i}"] = Interface("master", "aximm", clock, 32, "Data")
            windows["Data"] = (base, base + GIB)
    for i in range(4):
        if p.get(f"PCW_USE_S_AXI_HP{i}", "0") == "1":
            name, clock = f"S_AXI_HP{i}", f"S_AXI_HP{i}_ACLK"
            pins[clock] = CLOCK_IN
            bits = int(p[f"PCW_S_AXI_HP{i}_DATA_WIDTH"])
            interfaces[name] = Interface("slave", "aximm", clock, bits)
            memory = GIB // 2 if p["PCW_UIPARAM_DDR_BUS_WIDTH"] == "16 Bit" else GIB
            segments[f"{name}/HP{i}_DDR_LOWOCM"] = Segment(name, memory, 0)
    return Shape(pins, interfaces, segments, windows)


def zynqmp(p: Properties) -> Shape:
    """As `zynq7`; the segments are named after the port's number."""
    pins = {"emio_ttc0_wave_o": OPEN}
    interfaces, segments, windows = {}, {}, {}
    if p["PSU__FPGA_PL0_ENABLE"] == "1":
        pins |= {"pl_clk0": CLOCK_OUT, "pl_resetn0": RESET_OUT}
    if p["PSU__USE__IRQ0"] == "1":
        pins["pl_ps_irq0"] = Pin("in", "other")
    masters = (
        ("M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk", 0xA000_0000),
        ("M_AXI_HPM1_FPD", "maxihpm1_fpd_aclk", 0xB000_0000),
        ("M_AXI_HPM0_LPD", "maxihpm0_lpd_aclk", 0x8000_0000),
    )
    for i, (name, clock, base) in enumerate(masters):
        if p[f"PSU__USE__M_AXI_GP{i}"] == "1":
            pins[clock] = CLOCK_IN
            bits = int(p[f"PSU__MAXIGP{i}__DATA_WIDTH"])
            interfaces[name] = Interface("master", "aximm", clock, bits, "Data")
            windows["Data"] = (base, base + (0x1000_0000 if i < 2 else 0x2000_0000))
    if p["PSU__USE__S_AXI_GP2"] == "1":
        name, clock = "S_AXI_HP0_FPD", "saxihp0_fpd_aclk"
        pins[clock] = CLOCK_IN
        bits = int(p["PSU__SAXIGP2__DATA_WIDTH"])
        interfaces[name] = Interface("slave", "aximm", clock, bits)
        segments = {
            "SAXIGP2/HP0_DDR_LOW": Segment(name, 2 * GIB, 0),
            "SAXIGP2/HP0_DDR_HIGH": Segment(name, 32 * GIB, 0x8_0000_0000),
            "SAXIGP2/HP0_LPS_OCM": Segment(name, 1 << 24, 0xFF00_0000),
            "SAXIGP2/HP0_QSPI": Segment(name, 1 << 29, 0xC000_0000),
        }
    return Shape(pins, interfaces, segments, windows)


# --- the fabric's -------------------------------------------------------------------------------


def proc_sys_reset(_: Properties) -> Shape:
    pins = {
        "slowest_sync_clk": CLOCK_IN,
        "ext_reset_in": RESET_IN,
        "aux_reset_in": Pin("in", "reset"),
        "mb_debug_sys_rst": Pin("in", "reset_high"),
        "dcm_locked": Pin("in", "other"),
        "mb_reset": Pin("out", "reset_high"),
        "bus_struct_reset": Pin("out", "reset_high"),
        "peripheral_reset": Pin("out", "reset_high"),
        "interconnect_aresetn": RESET_OUT,
        "peripheral_aresetn": RESET_OUT,
    }
    return Shape(pins, {}, {}, {})


def smartconnect(p: Properties) -> Shape:
    pins = {"aclk": CLOCK_IN, "aresetn": RESET_IN}
    pins |= {f"aclk{i}": CLOCK_IN for i in range(1, int(p["NUM_CLKS"]))}
    interfaces = {
        f"S{i:02}_AXI": Interface("slave", "aximm", "aclk") for i in range(int(p["NUM_SI"]))
    }
    interfaces |= {
        f"M{i:02}_AXI": Interface("master", "aximm", "aclk") for i in range(int(p["NUM_MI"]))
    }
    return Shape(pins, interfaces, {}, {})


def axi_dma(p: Properties) -> Shape:
    pins = {
        "s_axi_lite_aclk": CLOCK_IN,
        "axi_resetn": RESET_IN,
        "mm2s_introut": OPEN,
        "s2mm_introut": OPEN,
        "axi_dma_tstvec": OPEN,
    }
    interfaces = {"S_AXI_LITE": Interface("slave", "aximm", "s_axi_lite_aclk", 32)}
    windows = {}
    whole = (0, 1 << int(p["c_addr_width"]))
    if p["c_include_sg"] == "1":
        pins["m_axi_sg_aclk"] = CLOCK_IN
        interfaces["M_AXI_SG"] = Interface("master", "aximm", "m_axi_sg_aclk", 32, "Data_SG")
        windows["Data_SG"] = whole
    for way, stream, mode in (("mm2s", "M_AXIS_MM2S", "master"), ("s2mm", "S_AXIS_S2MM", "slave")):
        if p[f"c_include_{way}"] == "1":
            clock, space = f"m_axi_{way}_aclk", f"Data_{way.upper()}"
            pins |= {clock: CLOCK_IN, f"{way}_prmry_reset_out_n": RESET_OUT}
            bits = int(p[f"c_m_axi_{way}_data_width"])
            interfaces[f"M_AXI_{way.upper()}"] = Interface("master", "aximm", clock, bits, space)
            stream_bits = int(p["c_m_axis_mm2s_tdata_width" if way == "mm2s" else S2MM_BITS])
            interfaces[stream] = Interface(mode, "axis", clock, stream_bits)
            windows[space] = whole
    segments = {"S_AXI_LITE/Reg": Segment("S_AXI_LITE", 1 << 16)}
    return Shape(pins, interfaces, segments, windows)


S2MM_BITS = "c_s_axis_s2mm_tdata_width"
MEMORY_BITS = ("32", "64", "128", "256", "512", "1024")
STREAM_BITS = ("8", "16", *MEMORY_BITS)
BURSTS = ("2", "4", "8", "16", "32", "64", "128", "256")

TYPES = {
    "processing_system7": CellType(
        "xilinx.com:ip:processing_system7:5.5",
        {
            **{f"PCW_USE_M_AXI_GP{i}": FLAG for i in range(2)},
            **{f"PCW_USE_S_AXI_HP{i}": FLAG for i in range(4)},
            **{f"PCW_S_AXI_HP{i}_DATA_WIDTH": ("32", "64") for i in range(4)},
            **{f"PCW_EN_CLK{i}_PORT": FLAG for i in range(4)},
            **{f"PCW_EN_RST{i}_PORT": FLAG for i in range(4)},
            "PCW_FPGA0_PERIPHERAL_FREQMHZ": is_number(0.1, 250),
            "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": is_number(30, 60),
            "PCW_UIPARAM_DDR_PARTNO": ("MT41J256M8 HX-15E", "MT41J256M16 RE-125"),
            "PCW_UIPARAM_DDR_BUS_WIDTH": ("16 Bit", "32 Bit"),
        },
        {
            "PCW_FPGA0_PERIPHERAL_FREQMHZ": "50",
            "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": "33.333333",
            "PCW_UIPARAM_DDR_PARTNO": "MT41J256M8 HX-15E",
            "PCW_UIPARAM_DDR_BUS_WIDTH": "32 Bit",
            **{f"PCW_S_AXI_HP{i}_DATA_WIDTH": "64" for i in range(4)},
        },
        zynq7,
    ),
    "zynq_ultra_ps_e": CellType(
        "xilinx.com:ip:zynq_ultra_ps_e:3.5",
        {
            **{f"PSU__USE__M_AXI_GP{i}": FLAG for i in range(3)},
            **{f"PSU__MAXIGP{i}__DATA_WIDTH": ("32", "64", "128") for i in range(3)},
            "PSU__USE__S_AXI_GP2": FLAG,
            "PSU__SAXIGP2__DATA_WIDTH": ("32", "64", "128"),
            "PSU__USE__IRQ0": FLAG,
            "PSU__FPGA_PL0_ENABLE": FLAG,
            "PSU__OVERRIDE__BASIC_CLOCK": FLAG,
            "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": is_number(0, 400),
            "PSU__PSS_REF_CLK__FREQMHZ": is_number(27, 60),
        },
        {
            **{f"PSU__USE__M_AXI_GP{i}": "1" if i < 2 else "0" for i in range(3)},
            **{f"PSU__MAXIGP{i}__DATA_WIDTH": "128" for i in range(3)},
            "PSU__USE__S_AXI_GP2": "0",
            "PSU__SAXIGP2__DATA_WIDTH": "128",
            "PSU__USE__IRQ0": "1",
            "PSU__FPGA_PL0_ENABLE": "1",
            "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": "100",
        },
        zynqmp,
    ),
    "proc_sys_reset": CellType("xilinx.com:ip:proc_sys_reset:5.0", {}, {}, proc_sys_reset),
    "smartconnect": CellType(
        "xilinx.com:ip:smartconnect:1.0",
        {
            "NUM_SI": tuple(str(n) for n in range(1, 17)),
            "NUM_MI": tuple(str(n) for n in range(1, 17)),
            "NUM_CLKS": ("1", "2"),
        },
        {"NUM_SI": "2", "NUM_MI": "1", "NUM_CLKS": "1"},
        smartconnect,
    ),
    "axi_dma": CellType(
        "xilinx.com:ip:axi_dma:7.1",
        {
            "c_include_sg": FLAG,
            "c_sg_include_stscntrl_strm": FLAG,
            "c_sg_length_width": tuple(str(n) for n in range(8, 27)),
            "c_include_mm2s": FLAG,
            "c_include_mm2s_dre": FLAG,
            "c_m_axi_mm2s_data_width": MEMORY_BITS,
            "c_m_axis_mm2s_tdata_width": STREAM_BITS,
            "c_mm2s_burst_size": BURSTS,
            "c_include_s2mm": FLAG,
            "c_include_s2mm_dre": FLAG,
            "c_m_axi_s2mm_data_width": MEMORY_BITS,
            S2MM_BITS: STREAM_BITS,
            f"{S2MM_BITS}.VALUE_SRC": ("USER",),
            "c_s2mm_burst_size": BURSTS,
            "c_addr_width": tuple(str(n) for n in range(32, 65)),
        },
        {
            "c_include_sg": "1",
            "c_sg_length_width": "14",
            "c_include_mm2s": "1",
            "c_include_s2mm": "1",
            "c_m_axi_mm2s_data_width": "32",
            "c_m_axis_mm2s_tdata_width": "32",
            "c_m_axi_s2mm_data_width": "32",
            S2MM_BITS: "32",
            "c_addr_width": "32",
        },
        axi_dma,
    ),
}
