"""The accelerator as HLS C++, files in memory: our kernels, tables, one generated top.

Every layer becomes kernels of `hw/hls` between streams: window, matrix-vector product, thresholds
or bias, max-pool.  The top is a dataflow region; g++ compiles the same sources for cppsim.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.dataflow.folding import LayerFolding
from pipeline.dataflow.integer_model import Codes, IntegerModel, Integers, Layer

TOP = "accelerator_hls"
"""The function, so the module that Vitis HLS makes; `accelerator` is what the AXI shell takes."""
FILE = "accelerator"
DESIGN = "design.json"
SCRIPT = "vitis_hls.tcl"
FIFO_DEPTH = 32
VALUES_A_LINE = 16


@dataclass(frozen=True)
class RecordedStream:
    """What cppsim writes of a stream: its name in the integer model, and an element's type."""

    name: str
    bits: int
    signed: bool


@dataclass(frozen=True)
class HlsDesign:
    """sources: what is compiled; tables: read when it runs; input: bits and signedness of an
    element, elements of a beat; streams: in the order of their numbers; label_bytes: of a label."""

    top: str
    sources: tuple[str, ...]
    tables: tuple[str, ...]
    input_bits: int
    input_elements: int
    streams: tuple[RecordedStream, ...]
    label_bytes: int


@dataclass(frozen=True)
class _Stream:
    """A stream of the top: C++ name, element type, elements of a word, words of a frame."""

    name: str
    codes: Codes
    lanes: int
    words: int

    @property
    def declaration(self) -> str:
        return (
            f'  word_stream<{c_type(self.codes)}, {self.lanes}> {self.name}("{self.name}");\n'
            f"#pragma HLS stream variable={self.name} depth={FIFO_DEPTH}\n"
            f"#pragma HLS aggregate variable={self.name} compact=bit\n"
        )


@dataclass(frozen=True)
class _Table:
    """A constant array: C++ name, element type, shape and values in C order."""

    name: str
    codes: Codes
    values: Integers

    @property
    def file(self) -> str:
        return f"{self.name}.inc"

    @property
    def declaration(self) -> str:
        return f"{c_type(self.codes)} {self.name}{''.join(f'[{n}]' for n in self.values.shape)}"


@dataclass
class _Top:
    """What the generated top consists of, filled in layer by layer."""

    tables: list[_Table] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    streams: list[_Stream] = field(default_factory=list)
    recorded: list[RecordedStream] = field(default_factory=list)

    def stream(self, codes: Codes, lanes: int, words: int) -> _Stream:
        new = _Stream(f"stream{len(self.streams)}", codes, lanes, words)
        self.streams.append(new)
        self.body.append(new.declaration)
        return new

    def call(self, kernel: str, parameters: Sequence[object], *arguments: str) -> None:
        listed = ", ".join(str(p) for p in parameters)
        self.body.append(f"  {kernel}<{listed}>({', '.join(arguments)});\n")

    def record(self, name: str, stream: _Stream) -> None:
        self.body.append(f"  RECORD({len(self.recorded)}, {stream.name});  // {name}\n")
        self.recorded.append(RecordedStream(name, stream.codes.bits, stream.codes.signed))

    def table(self, name: str, codes: Codes, values: Integers) -> str:
        self.tables.append(_Table(name, codes, values))
        return name


def c_type(codes: Codes) -> str:
    return f"{'ap_int' if codes.signed else 'ap_uint'}<{codes.bits}>"


def accelerator(
    model: IntegerModel, foldings: Sequence[LayerFolding], kernels: Mapping[str, bytes]
) -> dict[str, bytes]:
    """All files by name: kernels (`hw/hls`, by file name), tables, top, header, design.json."""
    top, label_bits = _top(model, foldings)
    header = _header(model, foldings[0].simd, len(top.recorded), label_bits)
    generated = {
        f"{FILE}.hpp": header,
        f"{FILE}.cpp": _source(top),
        "tables.hpp": _tables(top.tables),
    }
    design = HlsDesign(
        top=TOP,
        sources=tuple(sorted([*kernels, *generated])),
        tables=tuple(t.file for t in top.tables),
        input_bits=model.input.bits,
        input_elements=foldings[0].simd,
        streams=tuple(top.recorded),
        label_bytes=label_bits // 8,
    )
    text = generated | {t.file: _values(t.values) for t in top.tables}
    text[DESIGN] = json.dumps(asdict(design), indent=1) + "\n"
    return dict(kernels) | {name: content.encode() for name, content in text.items()}


def tables(model: IntegerModel, foldings: Sequence[LayerFolding]) -> dict[str, str]:
    """The text of the table files alone, by name."""
    return {t.file: _values(t.values) for t in _top(model, foldings)[0].tables}


def load_design(folder: Path) -> HlsDesign:
    """Reads design.json of a generated folder."""
    fields = json.loads((folder / DESIGN).read_text())
    streams = tuple(RecordedStream(**s) for s in fields["streams"])
    return HlsDesign(
        **{
            **fields,
            "sources": tuple(fields["sources"]),
            "tables": tuple(fields["tables"]),
            "streams": streams,
        }
    )


def vitis_script(files: Mapping[str, bytes], part: str, period_ns: float) -> str:
    """Tcl for Vitis HLS: synthesis and an IP for Vivado.  Not yet run in Vitis.

    Run in the folder of `files` (`vitis_hls -f`).
    """
    tables = "".join(f"add_files -tb {name}\n" for name in files if name.endswith(".inc"))
    return f"""# Generated. vitis_hls -f {SCRIPT}
open_project -reset hls_project
set_top {TOP}
add_files {FILE}.cpp -cflags "-std=c++17 -I."
add_files -tb testbench.cpp -cflags "-std=c++17 -I."
{tables}open_solution -reset -flow_target vivado solution
set_part {{{part}}}
create_clock -period {period_ns:g} -name default
csynth_design
export_design -format ip_catalog
exit
"""


# --- the layers ---------------------------------------------------------------------------------


def _top(model: IntegerModel, foldings: Sequence[LayerFolding]) -> tuple[_Top, int]:
    """The top's parts, and the bits of a label on the wire."""
    top = _Top()
    lanes = foldings[0].simd
    words = model.positions * model.channels // lanes
    stream = top.stream(model.input, lanes, words)
    beat_bits = _padded(lanes * model.input.bits)
    entering = [c_type(model.input), model.input.bits, lanes, words, beat_bits]
    top.call("read_frame", entering, "s_axis", stream.name)
    for index, (layer, folding) in enumerate(zip(model.layers, foldings, strict=True)):
        top.body.append(f"\n  // {layer.name}\n")
        stream = _layer(top, model, index, folding, stream)
    classes = len(model.layers[-1].weights)
    label_bits = _padded(max(1, (classes - 1).bit_length()))
    label = top.stream(Codes(0, 2**label_bits - 1), 1, 1)
    parameters = [c_type(stream.codes), c_type(label.codes), classes, stream.lanes]
    top.body.insert(-1, "\n")
    top.call("label_select", parameters, stream.name, label.name)
    top.record("label", label)
    top.call("write_label", [c_type(label.codes), label_bits], label.name, "m_axis")
    return top, label_bits


def _layer(
    top: _Top, model: IntegerModel, index: int, folding: LayerFolding, stream: _Stream
) -> _Stream:
    """Kernels of one layer from the stream that it reads; the stream that it gives."""
    layer, positions = model.layers[index], model.positions_into(index)
    out, kernel, channels = layer.weights.shape
    outputs = positions + 2 * layer.padding - kernel + 1
    stream = _converted(top, stream, folding.simd)
    if outputs > 1 or layer.padding:
        window = top.stream(stream.codes, folding.simd, outputs * kernel * channels // folding.simd)
        shape = [channels, folding.simd, positions, kernel, layer.padding]
        top.call("sliding_window", [c_type(stream.codes), *shape], stream.name, window.name)
        stream = window
    weights, sum_codes = _weights(layer, folding), model.accumulator(index)
    weight_codes = Codes(-(2 ** (layer.weight_bits - 1)), 2 ** (layer.weight_bits - 1) - 1)
    table = top.table(f"layer{index}_weights", weight_codes, weights)
    sums = top.stream(sum_codes, folding.pe, outputs * out // folding.pe)
    types = [c_type(stream.codes), c_type(weight_codes), c_type(sum_codes)]
    shape = [kernel * channels, out, folding.simd, folding.pe, outputs]
    top.call("matrix_vector", [*types, *shape], stream.name, sums.name, table)
    if layer.thresholds is None and layer.bias is None:
        top.record(layer.boundary, sums)
        return sums
    top.record(layer.accumulator_name, sums)
    result = _activation(top, index, layer, _converted(top, sums, folding.after), outputs)
    top.record(layer.boundary, result)
    return result


def _activation(top: _Top, index: int, layer: Layer, sums: _Stream, outputs: int) -> _Stream:
    """Thresholds and max-pool, or the bias."""
    lanes, channels = sums.lanes, len(layer.weights)
    if layer.bias is not None:
        logits = top.stream(layer.output, lanes, sums.words)
        codes = Codes(int(layer.bias.min(initial=0)), int(layer.bias.max(initial=0)))
        table = top.table(f"layer{index}_bias", codes, layer.bias.reshape(-1, lanes))
        types = [c_type(sums.codes), c_type(logits.codes), c_type(codes)]
        top.call("add_bias", [*types, channels, lanes, outputs], sums.name, logits.name, table)
        return logits
    assert layer.thresholds is not None
    levels = layer.thresholds.shape[1]
    codes = Codes(int(layer.thresholds.min()), int(layer.thresholds.max()))
    values = layer.thresholds.reshape(-1, lanes, levels)
    table = top.table(f"layer{index}_thresholds", codes, values)
    result = top.stream(layer.output, lanes, sums.words)
    types = [c_type(sums.codes), c_type(result.codes), c_type(codes)]
    shape = [channels, lanes, levels, layer.output.low, outputs]
    top.call("thresholds", [*types, *shape], sums.name, result.name, table)
    if layer.pool == 1:
        return result
    pooled = top.stream(layer.output, lanes, outputs // layer.pool * channels // lanes)
    shape = [channels, lanes, layer.pool, outputs]
    top.call("max_pool", [c_type(result.codes), *shape], result.name, pooled.name)
    return pooled


def _weights(layer: Layer, folding: LayerFolding) -> Integers:
    """(neuron folds, synapse folds, PE, SIMD): the order in which the unit reads them."""
    out = len(layer.weights)
    folded = layer.weights.reshape(out // folding.pe, folding.pe, -1, folding.simd)
    return folded.transpose(0, 2, 1, 3)


def _converted(top: _Top, stream: _Stream, lanes: int) -> _Stream:
    """`stream` in words of `lanes` elements, by way of their greatest common divisor."""
    common = math.gcd(stream.lanes, lanes)
    for kernel, to in (("narrow", common), ("widen", lanes)):
        if stream.lanes == to:
            continue
        ratio = max(stream.lanes, to) // min(stream.lanes, to)
        words = stream.words * stream.lanes // to
        new = top.stream(stream.codes, to, words)
        parameters = [c_type(stream.codes), min(stream.lanes, to), ratio, stream.words]
        top.call(kernel, parameters, stream.name, new.name)
        stream = new
    return stream


def _padded(bits: int) -> int:
    """Bits of a beat: a whole number of bytes."""
    return (bits + 7) // 8 * 8


# --- text ---------------------------------------------------------------------------------------


def _header(model: IntegerModel, elements: int, recorded: int, label_bits: int) -> str:
    beat_bits = _padded(elements * model.input.bits)
    return f"""// Generated. The accelerator: a frame of codes in, its class out.
#pragma once

#include <string>

#include "axis.hpp"

using input_beat = axis_word<{beat_bits}>;
using label_beat = axis_word<{label_bits}>;

constexpr int beat_bytes = {beat_bits // 8};
constexpr int frame_beats = {model.positions * model.channels // elements};
constexpr int label_bytes = {label_bits // 8};
constexpr int recorded_streams = {recorded};

// One frame a call: {elements} codes of {model.input.bits} bits a beat, element 0 in the low bits.
void {TOP}(hls::stream<input_beat>& s_axis, hls::stream<label_beat>& m_axis);

#ifndef __SYNTHESIS__
void load_tables(const std::string& folder);
#endif
"""


def _source(top: _Top) -> str:
    includes = "".join(f'#include "{name}.hpp"\n' for name in _INCLUDED)
    return f"""// Generated. A chain of streaming layers between two AXI4-Streams.
{includes}
void {TOP}(hls::stream<input_beat>& s_axis, hls::stream<label_beat>& m_axis) {{
#pragma HLS interface axis port=s_axis
#pragma HLS interface axis port=m_axis
#pragma HLS interface ap_ctrl_none port=return
#pragma HLS dataflow
{"".join(top.body)}}}
"""


_INCLUDED = (
    FILE,
    "bias",
    "label_select",
    "matrix_vector",
    "max_pool",
    "recorder",
    "sliding_window",
    "tables",
    "thresholds",
    "width_converter",
)


def _tables(tables: Sequence[_Table]) -> str:
    constants = "".join(
        f'static const {t.declaration} = {{\n#include "{t.file}"\n}};\n' for t in tables
    )
    variables = "".join(f"static {t.declaration};\n" for t in tables)
    reads = "".join(
        f'  read_table(folder, "{t.file}", &{t.name}{"[0]" * t.values.ndim}, {t.values.size});\n'
        for t in tables
    )
    return f"""// Generated. Constants: part of the hardware. A simulation reads the same files, so
// that other values need no other build, unless TABLES_INSIDE puts them there too.
#pragma once

#include "ap_int.h"

#if defined(__SYNTHESIS__) || defined(TABLES_INSIDE)
{constants}#else
{variables}#endif

#ifndef __SYNTHESIS__
#include "table_reader.hpp"

void load_tables(const std::string& folder) {{
#ifdef TABLES_INSIDE
  (void)folder;
#else
{reads}#endif
}}
#endif
"""


def _values(values: Integers) -> str:
    return "".join(f"{line}\n" for line in _lines(values.reshape(-1).tolist()))


def _lines(values: list[int]) -> Iterator[str]:
    for start in range(0, len(values), VALUES_A_LINE):
        yield " ".join(f"{value}," for value in values[start : start + VALUES_A_LINE])
