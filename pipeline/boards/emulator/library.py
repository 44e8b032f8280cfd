"""Builds the programmable logic of an emulated board: the Verilated shell as a shared library.

`device.cpp` has its interface.  The library takes the place of a bitstream.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.codegen.rtl import DesignFiles, load_design
from pipeline.codegen.shell import Shell, load_shell
from pipeline.verify.verilated import Built, Program, build

HARNESS = Path(__file__).with_name("device.cpp")
_FLAGS = ("-CFLAGS", "-fPIC -fno-gnu-unique", "-LDFLAGS", "-shared -Wl,-Bsymbolic")
"""Several boards in one process must not share symbols."""


def build_library(rtl: Path, shell: Path, cache: Path) -> Built:
    """The library of a core and its shell (folders that codegen wrote), from `cache` or built.

    Raises ToolError.
    """
    design, description = load_design(rtl), load_shell(shell)
    sources = (*(rtl / name for name in design.sources), *(shell / n for n in description.sources))
    written = {"shell.hpp": header_text(design, description)}
    return build(Program(description.top, sources, HARNESS, written, _FLAGS), cache)


def header_text(design: DesignFiles, shell: Shell) -> str:
    """The C++ that ties device.cpp to this accelerator."""
    tables = "".join(f'    {{"{name}", {words}}},\n' for name, words in design.tables.items())
    return f"""#pragma once
#include <cstdint>

constexpr uint64_t beat_bytes = {shell.beat_bytes}, label_bytes = {shell.label_bytes};

struct Table {{
  const char* name;
  uint64_t words;
}};

constexpr Table tables[] = {{
{tables}}};
"""
