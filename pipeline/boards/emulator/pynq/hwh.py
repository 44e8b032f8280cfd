"""What an overlay needs of a hardware hand-off (.hwh): cells, addresses and the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

CLOCK_DIVISORS = {
    "processing_system7": "PCW_FCLK0_PERIPHERAL_DIVISOR{}",
    "zynq_ultra_ps_e": "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR{}",
}
"""The parameters that hold them, by the kind of processing system."""


class HandOff:
    """ip_dict: cells that the processor reaches, by name, and the processing system; divisors: of
    PL clock 0."""

    def __init__(self, file: Path) -> None:
        modules = list(ElementTree.parse(file).getroot().iter("MODULE"))
        systems = [module for module in modules if module.get("MODTYPE") in CLOCK_DIVISORS]
        if len(systems) != 1:
            raise ValueError(f"{file} has {len(systems)} processing systems, not one")
        system, by_instance = systems[0], {m.get("INSTANCE"): m for m in modules}
        self.ip_dict: dict[str, dict[str, Any]] = {_name(system): _cell(system)}
        for where in system.iter("MEMRANGE"):
            module = by_instance.get(where.get("INSTANCE"))
            if module is not None:
                self.ip_dict[_name(module)] = {**_cell(module), **_addresses(where)}
        name = CLOCK_DIVISORS[str(system.get("MODTYPE"))]
        parameters = _cell(system)["parameters"]
        self.divisors = (int(parameters[name.format(0)]), int(parameters[name.format(1)]))


def _name(module: ElementTree.Element) -> str:
    return str(module.get("FULLNAME")).lstrip("/")


def _cell(module: ElementTree.Element) -> dict[str, Any]:
    parameters = module.findall("./PARAMETERS/PARAMETER")
    return {
        "fullpath": _name(module),
        "type": module.get("VLNV"),
        "parameters": {p.get("NAME"): p.get("VALUE") for p in parameters},
        "interrupts": {},
        "gpio": {},
        "state": None,
    }


def _addresses(where: ElementTree.Element) -> dict[str, Any]:
    low, high = int(str(where.get("BASEVALUE")), 16), int(str(where.get("HIGHVALUE")), 16)
    return {
        "phys_addr": low,
        "addr_range": high - low + 1,
        "mem_id": where.get("SLAVEBUSINTERFACE"),
    }
