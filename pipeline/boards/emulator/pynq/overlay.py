"""Overlays: a bitstream, and drivers for the cells that its hardware hand-off lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .device import Device
from .hwh import HandOff
from .mmio import MMIO
from .ps import Clocks

_drivers: dict[str, type[DefaultIP]] = {}


class DefaultIP:
    """A cell without a driver of its own.  A subclass drives the types that its `bindto` lists."""

    bindto: tuple[str, ...] = ()

    def __init__(self, description: dict[str, Any]) -> None:
        self.device = description["device"]
        self.mmio = MMIO(description["phys_addr"], description["addr_range"], self.device)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _drivers.update(dict.fromkeys(cls.bindto, cls))

    def read(self, offset: int = 0) -> int:
        """The register at a byte offset."""
        return self.mmio.read(offset)

    def write(self, offset: int, value: int) -> None:
        """Set the register at a byte offset."""
        self.mmio.write(offset, value)


class Overlay:
    """A bitstream; its cells are attributes once it is loaded.

    bitfile_name: path of the .bit, beside which the .hwh lies.
    """

    def __init__(
        self,
        bitfile_name: str,
        dtbo: str | None = None,
        download: bool = True,
        ignore_version: bool = False,
        device: Device | None = None,
    ) -> None:
        if not isinstance(bitfile_name, str):
            raise TypeError("Bitstream name has to be a string.")
        path = Path(bitfile_name).resolve()
        if not path.is_file():
            raise OSError(f"Bitstream file {bitfile_name} does not exist.")
        if not path.with_suffix(".hwh").is_file():
            raise ValueError(f"Cannot find HWH file for {bitfile_name}.")
        self.bitfile_name, self.dtbo, self.ignore_version = str(path), dtbo, ignore_version
        self.device = device or Device.active_device
        self.parser = HandOff(path.with_suffix(".hwh"))
        self.ip_dict = self.parser.ip_dict
        if download:
            self.download()

    def download(self, dtbo: str | None = None) -> None:
        """Set the clock and load the bitstream."""
        self.dtbo = dtbo or self.dtbo
        Clocks.divisors = self.parser.divisors
        self.device.download(self.bitfile_name, self.ip_dict)

    def is_loaded(self) -> bool:
        """Whether no other bitstream was loaded since."""
        return self.device.bitfile_name == self.bitfile_name

    def __getattr__(self, name: str) -> DefaultIP:
        """The driver of a cell."""
        if name.startswith("__") or "ip_dict" not in self.__dict__:
            raise AttributeError(name)
        if not self.is_loaded():
            raise RuntimeError("Overlay not currently loaded")
        if name not in self.ip_dict:
            raise AttributeError(f"Could not find IP or hierarchy {name} in overlay")
        description = {**self.ip_dict[name], "device": self.device}
        driver = _drivers.get(description["type"], DefaultIP)(description)
        setattr(self, name, driver)
        return driver
