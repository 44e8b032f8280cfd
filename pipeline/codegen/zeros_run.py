"""Layers of the zero-skipping engine between two AXI4-Streams, as SystemVerilog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.codegen import zeros, zeros_dense
from pipeline.codegen.zeros import convolution_files
from pipeline.codegen.zeros_dense import Engine, engine
from pipeline.dataflow.integer_model import Codes, Layer
from pipeline.dataflow.zeros.convolution import Convolution, width
from pipeline.dataflow.zeros.dense import Schedule
from pipeline.dataflow.zeros.run import Run

CREDITS = 4
"""Frames inside: one takes a little longer than the interval, so two would do without stalls."""
ENDS = ("frame_credit.sv", "frame_queue.sv", "position_pacer.sv")


@dataclass(frozen=True)
class TapPart:
    """A layer boundary in a tap: places of its values within a frame of it, in the boundary's
    order (none: all, as they are); low: what code 0 stands for."""

    boundary: str
    places: tuple[int, ...]
    low: int


@dataclass(frozen=True)
class Tap:
    """Codes inside a run, counted from the lowest, for verification: ports `<signal>_TDATA` and
    `_TVALID`.  bits: of an element; elements: of a word; words: a frame."""

    signal: str
    bits: int
    elements: int
    words: int
    parts: tuple[TapPart, ...]

    @property
    def word_bits(self) -> int:
        """Padded to whole bytes."""
        return _padded(self.bits * self.elements)


def taps(run: Run) -> tuple[Tap, ...]:
    """What a run shows of itself, in data order: all boundaries but the last one's, if that is
    not of a convolution."""
    found = [
        Tap(f"tap{i}", width(x.output), x.outputs, x.output_positions, (_whole(x),))
        for i, x in enumerate(run.convolutions)
    ]
    if run.schedule is not None and run.schedule.shape.hidden:
        shape = run.schedule.shape
        parts = tuple(_hidden(run.schedule, run.dense))
        found.append(Tap(f"tap{len(found)}", shape.code_bits, shape.groups, shape.hidden, parts))
    return tuple(found)


def _whole(layer: Convolution) -> TapPart:
    return TapPart(layer.boundary, (), layer.output.low)


def _hidden(schedule: Schedule, layers: Sequence[Layer]) -> Iterator[TapPart]:
    """Where the program writes the codes of the dense layers that others follow."""
    for number, layer in enumerate(layers[:-1]):
        places = {
            output: row * schedule.shape.groups + group
            for row, own in enumerate(schedule.rows)
            for group, output in enumerate(own.outputs)
            if own.layer == number and output is not None
        }
        ordered = tuple(places[output] for output in range(len(layer.weights)))
        yield TapPart(layer.boundary, ordered, layer.output.low)


@dataclass(frozen=True)
class Stream:
    """AXI4-Stream at an end of a run: `elements` codes in a word, `words` a frame."""

    codes: Codes
    elements: int
    words: int

    @property
    def word_bits(self) -> int:
        """Padded to whole bytes."""
        return _padded(self.codes.bits * self.elements)


def ends(run: Run) -> tuple[Stream, Stream]:
    """What enters a run and what leaves it."""
    group, leaving = run.pace.group, _end(run)
    return (
        Stream(run.entering, run.channels * group, run.positions // group),
        Stream(run.layers[-1].output, leaving.elements, leaving.beats),
    )


def kernels(run: Run) -> tuple[str, ...]:
    """Modules of `hw/rtl` that a run is made of."""
    found = list(ENDS)
    if run.convolutions:
        found += zeros.KERNELS
    if run.schedule is not None:
        found += (f"{name}.sv" for name in zeros_dense.SOURCES)
    return tuple(sorted({name.removesuffix(".sv") for name in found}))


def cells(run: Run, module: str) -> dict[str, dict[str, str]]:
    """Instances in a run, with their modules, by layer; dense layers share one."""
    found = {x.name: {f"layer{i}": f"{module}_layer{i}"} for i, x in enumerate(run.convolutions)}
    if run.dense:
        names = ", ".join(layer.name for layer in run.dense)
        found[names] = {"dense": f"{module}_dense"}
    return found


def run_files(run: Run, module: str) -> dict[str, bytes]:
    """Consecutive layers between two AXI4-Streams of FINN's names, a position a beat; where the
    last one is dense, its values leave one by one."""
    files = {f"{module}.sv": run_text(run, module).encode()}
    for number, layer in enumerate(run.convolutions):
        files |= convolution_files(layer, f"{module}_layer{number}")
    if run.schedule is not None:
        own = engine(run.schedule, f"{module}_dense")
        files[f"{module}_dense.sv"] = _dense_text(run.schedule, own, f"{module}_dense").encode()
        files |= {name: table.encode() for name, table in own.tables.items()}
    return files


@dataclass(frozen=True)
class _End:
    """What leaves the last layer: `beats` a frame of `elements` that have `bits` each; low: what
    stands for 0; extended: how an element is written where it has to become wider."""

    bits: int
    elements: int
    beats: int
    low: int
    extended: str


def _end(run: Run) -> _End:
    if run.schedule is None:
        last = run.convolutions[-1]
        return _End(width(last.output), last.outputs, last.output_positions, last.output.low, "{}")
    shape = run.schedule.shape
    low = run.layers[-1].output.low if shape.value_codes else 0
    return _End(shape.value_bits, 1, shape.values, low, "$signed({})")


def run_text(run: Run, module: str) -> str:
    """SystemVerilog of a run: layers, and room for what comes out of the frames inside."""
    end, (entering, leaving) = _end(run), ends(run)
    code_bits = width(run.entering)
    ports = "".join(
        f"  output wire [{tap.word_bits - 1}:0] {tap.signal}_TDATA,\n"
        f"  output wire {tap.signal}_TVALID,\n"
        for tap in taps(run)
    )
    codes = _moved(
        _Elements("in0_V_TDATA", run.entering.bits),
        "codes0",
        code_bits,
        entering.elements,
        -run.entering.low,
    )
    result = _moved(
        _Elements("result", end.bits, end.extended),
        "leaving",
        leaving.codes.bits,
        end.elements,
        end.low,
    )
    depth = max(2, CREDITS * end.beats)
    return f"""/// {len(run.layers)} layers that skip zeros; a beat every {run.pace.spacing} cycles.
/// Nothing inside can stop: a frame enters when there is room for all that comes of it.
/// tap: codes of the layer boundaries, for verification.
module {module} (
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire [{entering.word_bits - 1}:0] in0_V_TDATA,
  input  wire in0_V_TVALID,
  output wire in0_V_TREADY,
{ports}  output wire [{leaving.word_bits - 1}:0] out0_V_TDATA,
  output wire out0_V_TVALID,
  input  wire out0_V_TREADY
);
  wire entering, ready;

  frame_credit #(
    .InBeats({entering.words}),
    .OutBeats({end.beats}),
    .Credits({CREDITS})
  ) credit (
    .clk(ap_clk), .rst_n(ap_rst_n),
    .in_valid_i(in0_V_TVALID), .in_ready_o(in0_V_TREADY),
    .in_valid_o(entering), .in_ready_i(ready),
    .out_moves_i(out0_V_TVALID && out0_V_TREADY)
  );

  // codes are counted from the lowest
  wire [{entering.elements * code_bits - 1}:0] codes0;
  wire valid0 = entering;
{"".join(codes)}
{"".join(_layers(run, module))}
{_values(run, module, entering.elements * code_bits)}
  wire [{leaving.elements * leaving.codes.bits - 1}:0] leaving;
{"".join(result)}
  frame_queue #(.Bits({leaving.word_bits}), .Depth({depth})) queue (
    .clk(ap_clk), .rst_n(ap_rst_n), .data_i({leaving.word_bits}'(leaving)), .write_i(result_valid),
    .data_o(out0_V_TDATA), .valid_o(out0_V_TVALID), .ready_i(out0_V_TREADY)
  );
endmodule
"""


def _padded(bits: int) -> int:
    return -(-bits // 8) * 8


@dataclass(frozen=True)
class _Elements:
    """A net of elements side by side; extended: how one is written where it becomes wider."""

    net: str
    bits: int
    extended: str = "{}"


def _moved(source: _Elements, target: str, bits: int, count: int, by: int) -> Iterator[str]:
    """Assigns every element, with a constant added."""
    term = f" + {bits}'d{by % (1 << bits)}" if by else ""
    for i in range(count):
        value = f"{source.net}[{i * source.bits} +: {source.bits}]"
        if bits != source.bits:
            value = f"{bits}'({source.extended.format(value)})"
        yield f"  assign {target}[{i * bits} +: {bits}] = {value}{term};\n"


def _layers(run: Run, module: str) -> Iterator[str]:
    if not run.convolutions:
        return
    yield "  wire ready0;\n  assign ready = ready0;\n\n"
    for i, tap in enumerate(taps(run)[: len(run.convolutions)]):
        bits = tap.bits * tap.elements
        # a layer is never refused: positions come at most every so many cycles, which it needs
        ready = "" if i == 0 else f"  wire ready{i};\n"
        yield f"""{ready}  wire [{bits - 1}:0] codes{i + 1};
  wire valid{i + 1};
  {module}_layer{i} layer{i} (
    .clk(ap_clk), .rst_n(ap_rst_n), .data_i(codes{i}), .valid_i(valid{i}), .ready_o(ready{i}),
    .codes_o(codes{i + 1}), .valid_o(valid{i + 1})
  );
  assign {tap.signal}_TDATA = {tap.word_bits}'(codes{i + 1});
  assign {tap.signal}_TVALID = valid{i + 1};

"""


def _values(run: Run, module: str, in_bits: int) -> str:
    """What leaves the last layer."""
    count, end = len(run.convolutions), _end(run)
    if run.schedule is None:
        return f"""  wire [{end.elements * end.bits - 1}:0] result = codes{count};
  wire result_valid = valid{count};
"""
    shape = run.schedule.shape
    source = _Elements(
        f"codes{count}", width(run.convolutions[-1].output if count else run.entering)
    )
    valid, pacer = f"valid{count}", ""
    if not count:
        source, valid, pacer = replace(source, net="paced"), "arrives", _pacer(run, in_bits)
    widened = _moved(source, "position", shape.code_bits, shape.channels, 0)
    hidden = shape.groups * shape.code_bits
    shown = ""
    if shape.hidden:
        tap = taps(run)[-1]
        shown = f"""  assign {tap.signal}_TDATA = {tap.word_bits}'(hidden);
  assign {tap.signal}_TVALID = hidden_valid;
"""
    return f"""{pacer}  wire [{shape.channels * shape.code_bits - 1}:0] position;
{"".join(widened)}
  wire [{shape.value_bits - 1}:0] result;
  wire [{hidden - 1}:0] hidden;
  wire result_valid, hidden_valid;
  {module}_dense dense (
    .clk(ap_clk), .rst_n(ap_rst_n), .position_i(position), .valid_i({valid}),
    .value_o(result), .value_valid_o(result_valid),
    .hidden_o(hidden), .hidden_valid_o(hidden_valid)
  );
{shown}"""


def _pacer(run: Run, bits: int) -> str:
    """Keeps positions as far apart as the dense layers need them."""
    return f"""  wire [{bits - 1}:0] paced;
  wire arrives;
  position_pacer #(
    .Bits({bits}), .Cycles({run.pace.spacing}), .Positions({run.positions}), .Flush(0), .First(0)
  ) pacer (
    .clk(ap_clk), .rst_n(ap_rst_n), .data_i(codes0), .valid_i(valid0), .ready_o(ready),
    .event_o(arrives), .position_o(), .data_o(paced), .frame_o(), .own_o(), .valid_o()
  );
"""


def _dense_text(schedule: Schedule, own: Engine, module: str) -> str:
    """The dense engine with its parameters."""
    shape = schedule.shape
    return f"""/// Dense layers that skip zeros: {int((schedule.weights != 0).sum())} nonzeros.
module {module} (
  input  wire clk,
  input  wire rst_n,
  input  wire [{shape.channels * shape.code_bits - 1}:0] position_i,
  input  wire valid_i,
  output wire [{shape.value_bits - 1}:0] value_o,
  output wire value_valid_o,
  output wire [{shape.groups * shape.code_bits - 1}:0] hidden_o,
  output wire hidden_valid_o
);
  wire unused;
  {zeros_dense.MODULE} #({own.instance_parameters}) engine (
    .clk(clk), .rst_n(rst_n), .position_i(position_i), .valid_i(valid_i),
    .value_o(value_o), .value_valid_o(value_valid_o), .value_last_o(unused),
    .hidden_o(hidden_o), .hidden_valid_o(hidden_valid_o)
  );
endmodule
"""
