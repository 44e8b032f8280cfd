"""The hardware hand-off (.hwh) of an emulated board, in the form in which Vivado writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from pipeline.boards.emulator.pynq.ps import divisors_for

CELL_BYTES = 0x1_0000
LENGTH_BITS = 26
"""Of the DMA's length registers: a transfer has less than 64 MiB."""


@dataclass(frozen=True)
class Family:
    """One kind of processing system.

    vlnv: its IP; divisors, enable: parameters of PL clock 0; port: from which the cells are
    reached; dma, accelerator: their addresses.
    """

    vlnv: str
    divisors: tuple[str, str]
    enable: str
    port: str
    dma: int
    accelerator: int


FAMILIES: Mapping[str, Family] = {
    "zynq7": Family(
        "xilinx.com:ip:processing_system7:5.5",
        ("PCW_FCLK0_PERIPHERAL_DIVISOR0", "PCW_FCLK0_PERIPHERAL_DIVISOR1"),
        "PCW_FPGA_FCLK0_ENABLE",
        "M_AXI_GP0",
        0x4040_0000,
        0x43C0_0000,
    ),
    "zynqmp": Family(
        "xilinx.com:ip:zynq_ultra_ps_e:3.5",
        (
            "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR0",
            "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR1",
        ),
        "PSU__FPGA_PL0_ENABLE",
        "M_AXI_HPM0_FPD",
        0xA000_0000,
        0xA001_0000,
    ),
}


def hand_off(family: str, clock_mhz: float, memory_bits: int = 64) -> str:
    """XML of the block design: processing system, DMA and accelerator.

    memory_bits: width of the DMA's memory port.
    """
    system = FAMILIES[family]
    root = ElementTree.Element("EDKSYSTEM", EDWVERSION="1.2", VIVADOVERSION="emulated")
    ElementTree.SubElement(root, "EXTERNALPORTS")
    modules = ElementTree.SubElement(root, "MODULES")
    divisors = zip(system.divisors, divisors_for(clock_mhz), strict=True)
    parameters = {**dict(divisors), system.enable: 1}
    ps = _module(modules, "ps", system.vlnv, parameters)
    memory_map = ElementTree.SubElement(ps, "MEMORYMAP")
    _range(memory_map, "dma", "S_AXI_LITE", system.dma, system.port)
    _range(memory_map, "accelerator", "s_axi", system.accelerator, system.port)
    _module(modules, "dma", "xilinx.com:ip:axi_dma:7.1", _dma_parameters(memory_bits))
    _module(modules, "accelerator", "amcflow:amcflow:accelerator:1.0", {})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _module(
    modules: ElementTree.Element, name: str, vlnv: str, parameters: Mapping[str, object]
) -> ElementTree.Element:
    _, _, kind, version = vlnv.split(":")
    module = ElementTree.SubElement(
        modules,
        "MODULE",
        FULLNAME=f"/{name}",
        HWVERSION=version,
        INSTANCE=name,
        IPTYPE="PERIPHERAL",
        IS_ENABLE="1",
        MODCLASS="PERIPHERAL",
        MODTYPE=kind,
        VLNV=vlnv,
    )
    table = ElementTree.SubElement(module, "PARAMETERS")
    for key, value in parameters.items():
        ElementTree.SubElement(table, "PARAMETER", NAME=key, VALUE=str(value))
    return module


def _range(
    memory_map: ElementTree.Element, name: str, interface: str, address: int, port: str
) -> None:
    ElementTree.SubElement(
        memory_map,
        "MEMRANGE",
        ADDRESSBLOCK="Reg",
        BASENAME="C_BASEADDR",
        BASEVALUE=f"0x{address:08X}",
        HIGHNAME="C_HIGHADDR",
        HIGHVALUE=f"0x{address + CELL_BYTES - 1:08X}",
        INSTANCE=name,
        IS_DATA="TRUE",
        IS_INSTRUCTION="TRUE",
        MASTERBUSINTERFACE=port,
        MEMTYPE="REGISTER",
        SLAVEBUSINTERFACE=interface,
    )


def _dma_parameters(memory_bits: int) -> dict[str, object]:
    both: Sequence[str] = ("mm2s", "s2mm")
    return {
        "c_include_sg": 0,
        "c_micro_dma": 0,
        "c_sg_length_width": LENGTH_BITS,
        **{f"c_include_{way}": 1 for way in both},
        **{f"c_include_{way}_dre": 0 for way in both},
        **{f"c_m_axi_{way}_data_width": memory_bits for way in both},
    }
