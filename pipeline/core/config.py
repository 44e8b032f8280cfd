"""The configuration: `models/NAME/model.toml` with `--set section.key=value` on top.

Frozen and typed; an unknown key or a value out of range is a UserError that names the file, the key
and, for a misspelt key, the nearest valid one.
"""

import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from pipeline.core.errors import UserError

POOLS = 7
"""VGG10 halves the frame this many times."""
STALLS = re.compile("none|random ([1-9]|[1-8][0-9]|90)|bursts|stop|full|reset|inside")
"""What a simulation may do at the accelerator's ends, and between its nodes."""


@dataclass(frozen=True)
class FilePath:
    """Marks a text key as the path of a file: made absolute when read, hashed in stage keys."""


PathText = Annotated[str, FilePath()]
Bits = Annotated[int, Field(ge=2, le=8)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """One table of `model.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Network(Section):
    """The network's shape and quantization. A state dict knows neither, so they stand here."""

    architecture: Literal["vgg10"] = Field("vgg10", description="the kind of network")
    filters: int = Field(64, ge=1, le=1024, description="channels of each convolution")
    dense: int = Field(128, ge=1, le=4096, description="outputs of the two hidden dense layers")
    classes: int = Field(24, ge=2, le=256, description="outputs of the last layer")
    frame_length: int = Field(1024, ge=128, le=65536, description="I/Q samples in a frame")
    input_bits: Bits = Field(4, description="bits of the quantized I and Q samples")
    weight_bits: Bits = Field(4, description="bits of every weight")
    activation_bits: Bits = Field(4, description="bits of every activation")
    scales: Literal["power_of_two", "float"] = Field(
        "power_of_two", description="quantization steps: powers of two (exact) or any float"
    )
    weight_scale: Literal["channel", "tensor"] = Field(
        "tensor", description="one weight step for each output channel, or one a layer"
    )
    weight_scale_rounding: Literal["up", "nearest"] = Field(
        "nearest", description="which power of two a weight step becomes"
    )

    @field_validator("frame_length")
    @classmethod
    def _can_be_halved(cls, value: int) -> int:
        if value % 2**POOLS:
            raise ValueError(f"must be a multiple of {2**POOLS}, since {POOLS} pools halve it")
        return value


class Data(Section):
    """The data set."""

    path: PathText = Field("", description="an existing RadioML HDF5 file; empty: generate a set")
    frames_per_cell: int = Field(
        40,
        ge=1,
        le=4096,
        description="generated frames of each class at each SNR",
    )
    delay_spread: float = Field(
        0.0, ge=0, le=2, description="multipath: symbols in which echoes fade to 1/e; 0: none"
    )
    seed: Seed = Field(2018, description="seed of the generated set and of the split")


class Train(Section):
    """Training."""

    epochs: int = Field(10, ge=1, description="passes over the training split")
    batch_size: int = Field(128, ge=2, description="frames in a step")
    learning_rate: float = Field(0.003, gt=0, le=1, description="highest learning rate")
    schedule: Literal["cosine", "plateau"] = Field(
        "cosine", description="learning rate: one cosine, or halved where accuracy stops rising"
    )
    patience: int = Field(
        4, ge=1, description="epochs without a better accuracy that plateau waits for"
    )
    seed: Seed = Field(1, description="seed of the initial weights and of the order of frames")


class Prune(Section):
    """Pruning. p, n, threshold, patience and epochs are those of the A(MC) Team's paper."""

    method: Literal["none", "imp", "fmp"] = Field(
        "none", description="iterative magnitude pruning, without (imp) or with feedback (fmp)"
    )
    granularity: Literal["unstructured", "structured", "structured+unstructured"] = Field(
        "unstructured", description="single weights, or outputs of layers, which then shrink"
    )
    criterion: float = Field(
        0.941, gt=0, le=1, description="validation accuracy that a round has to reach"
    )
    criterion_of: Literal["unpruned", "reference", "absolute"] = Field(
        "unpruned", description="the network that criterion is a share of, if it is a share"
    )
    reference: PathText = Field(
        "", description="metrics.json of the reference: its validation accuracy counts"
    )
    share: float = Field(0.2, gt=0, lt=1, description="p: share of what remains that is cut")
    divisor: float = Field(2.0, gt=1, description="n: what p is divided by after a failed round")
    threshold: float = Field(0.05, gt=0, lt=1, description="fmp ends where p is below it")
    structured_threshold: float = Field(
        0.01, gt=0, lt=1, description="the same for structured pruning, which starts at p / n"
    )
    patience: int = Field(15, ge=1, description="epochs in which a round has to reach criterion")
    epochs: int = Field(50, ge=1, description="epochs of each granularity, at most")
    batch_size: int = Field(128, ge=2, description="frames in a step")
    learning_rate: float = Field(0.001, gt=0, le=1, description="highest rate within a round")
    seed: Seed = Field(1, description="seed of the order of frames")
    start: PathText = Field(
        "", description="weights to prune (a state dict); empty: those of make train"
    )

    @model_validator(mode="after")
    def _reference_is_named(self) -> Self:
        if (self.criterion_of == "reference") != bool(self.reference):
            raise ValueError('criterion_of = "reference" goes with the path of a reference')
        return self


class Export(Section):
    """A network of somebody else, in place of our own weights."""

    checkpoint: PathText = Field("", description="a PyTorch state dict (CHECKPOINT=)")
    qonnx: PathText = Field("", description="an exported QONNX graph (QONNX=)")

    @model_validator(mode="after")
    def _one_at_most(self) -> Self:
        if self.checkpoint and self.qonnx:
            raise ValueError("checkpoint and qonnx are both set, but only one can be compiled")
        return self


class Hardware(Section):
    """The device and how fast the accelerator should be."""

    board: str = Field("pynq_z2", description="a file of hw/boards, without .toml (BOARD=)")
    clock_mhz: float = Field(100.0, gt=0, le=1000, description="clock of the accelerator, in MHz")
    target_fps: int = Field(8000, ge=1, description="frames per second that `fold` aims at")
    engine: Literal["dense", "zero_skipping", "auto"] = Field(
        "dense",
        description="dense: folded for target_fps; zero_skipping: weights in logic, zeros cost "
        "nothing; auto: for each layer what takes less of the board",
    )
    samples_per_clock: float = Field(
        1.0, description="rate of the zero-skipping engine: 0.25, 0.5, 1 or 2 samples a cycle"
    )
    latency: int = Field(
        0,
        ge=0,
        description="most cycles from a frame's first sample to its label with the zero-skipping "
        "engine, as far as faster layers can bring it there; 0: whatever is cheapest",
    )
    fifos: Literal["fixed", "simulated"] = Field(
        "fixed",
        description="words between folded operators: fixed: 32 everywhere; simulated: the most "
        "that a simulation finds there",
    )
    backend: Literal["rtl", "hls", "finn"] = Field(
        "rtl",
        description="sources for Vivado: our RTL, a Vitis HLS project of our C++, or a FINN build",
    )

    @field_validator("samples_per_clock")
    @classmethod
    def _is_known(cls, value: float) -> float:
        if value not in (0.25, 0.5, 1, 2):
            raise ValueError("must be 0.25, 0.5, 1 or 2")
        return value


class Verify(Section):
    """How the hardware is compared with the integer model."""

    frames: int = Field(48, ge=1, description="frames compared (FRAMES=)")
    rtlsim_frames: int = Field(
        200, ge=1, description="how many of these `verify` simulates as RTL, the slowest rung"
    )
    netlist_frames: int = Field(
        8, ge=1, description="how many of these `verify-netlist` simulates after synthesis"
    )
    seed: Seed = Field(1, description="seed of the frames and of the stalls")
    stimulus: Literal[
        "mixed",
        "signals",
        "uniform",
        "minimum",
        "maximum",
        "alternating",
        "halves",
        "impulses",
        "test",
    ] = Field(
        "mixed", description="kind of the frames; mixed: some of every kind; test: the test split"
    )
    first: int = Field(0, ge=0, lt=2**31, description="number of the first frame")
    stalls: str = Field(
        "none, random 25, bursts, stop, full, reset",
        description="a simulation for each: how the accelerator's ends are held back "
        "(random 1 to random 90: a share of cycles), or a reset; inside: every node is held back",
    )

    @field_validator("stalls")
    @classmethod
    def _are_known(cls, value: str) -> str:
        found = [text.strip() for text in value.split(",")]
        for text in found:
            if not STALLS.fullmatch(text):
                raise ValueError(f"{text!r} is none of them")
            if found.count(text) > 1:
                raise ValueError(f"{text!r} is there more than once")
        return value


class Synth(Section):
    """Synthesis with Yosys."""

    must_fit: bool = Field(
        False, description="exit code 1 where the board's LUT, FF, DSP or block RAM are too few"
    )
    whole: bool = Field(
        False, description="also synthesise all layers in one piece, to compare with their sum"
    )


class Place(Section):
    """Single kernels, placed and routed on a Lattice ECP5."""

    nodes: str = Field(
        "", description="nodes of the accelerator; empty: of every kind one of middling size"
    )
    seeds: str = Field("1, 2, 3", description="seeds of the placer: the median clock counts")

    @field_validator("seeds")
    @classmethod
    def _are_numbers(cls, value: str) -> str:
        if not re.fullmatch(r"\d+( *, *\d+)*", value.strip()):
            raise ValueError("must be numbers with commas between them")
        return value


class Bitstream(Section):
    """Vivado, or what it made elsewhere."""

    vivado: str = Field("", description="path of the vivado program; empty: the one on PATH")
    made: PathText = Field(
        "", description="folder with accelerator.bit, .hwh and .json made elsewhere (BITSTREAM=)"
    )


class Deploy(Section):
    """The PYNQ package."""

    frames: int = Field(1000, ge=1, le=100_000, description="golden frames for validate.py")
    host: str = Field(
        "", description="user@board: copy the package there by ssh and validate it (HOST=)"
    )


class Mutate(Section):
    """Faults planted in every rung, to see whether the verification finds them."""

    each: int = Field(2, ge=1, description="integers changed in every table of every rung")
    frames: int = Field(24, ge=16, description="frames that a fault is looked for in")
    sources: bool = Field(True, description="also plant faults in C++ and RTL, and build them")
    seed: Seed = Field(1, description="seed of the frames and of the places")


class Config(BaseModel):
    """All sections; `Config.from_dict({})` has every default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    network: Network = Network()
    data: Data = Data()
    train: Train = Train()
    prune: Prune = Prune()
    export: Export = Export()
    hardware: Hardware = Hardware()
    verify: Verify = Verify()
    synth: Synth = Synth()
    place: Place = Place()
    bitstream: Bitstream = Bitstream()
    deploy: Deploy = Deploy()
    mutate: Mutate = Mutate()

    @classmethod
    def from_dict(
        cls,
        values: Mapping[str, Any],
        where: str = "the configuration",
        origins: Mapping[str, str] = types.MappingProxyType({}),
    ) -> "Config":
        """Check `values` (section -> key -> value). Raises UserError for the first thing wrong.

        `where` names the source of the values in that error; `origins` maps `section.key` to
        another source where a single value came from elsewhere.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise _explain(error, where, origins) from error


def load_config(model_dir: Path, overrides: Sequence[str] = ()) -> Config:
    """Read `model_dir/model.toml` and apply `overrides` ("section.key=value", TOML values).

    Relative file paths count from the model's folder in `model.toml`, and from the current folder
    in an override.
    """
    file = model_dir / "model.toml"
    values = _read(file)
    origins: dict[str, str] = {}
    _make_absolute(values, model_dir)
    for override in overrides:
        section, key, value = _parse_override(override)
        single = {section: {key: value}}
        _make_absolute(single, Path.cwd())
        table = values.setdefault(section, {})
        if isinstance(table, dict):
            table.update(single[section])
        origins[f"{section}.{key}"] = f"--set {override}"
    return Config.from_dict(values, str(file), origins)


def path_keys(section: str) -> tuple[str, ...]:
    """The keys of a section that hold paths of files."""
    return tuple(key for key, info in _fields(section).items() if FilePath() in info.metadata)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = sorted(path.parent.name for path in file.parents[1].glob("*/model.toml"))
        remedy = f"--model {file.parents[1] / known[0]}" if known else "--model models/NAME"
        others = f"   (models there: {', '.join(known)})" if known else ""
        raise UserError("there is no model here", str(file), remedy + others) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"not a TOML file: {error}", str(file), "mend that line") from error


def _parse_override(override: str) -> tuple[str, str, Any]:
    name, equals, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and section and key):
        raise UserError(
            f"{override!r} is not of the form section.key=value",
            f"--set {override}",
            "for example --set verify.frames=32",
        )
    return section, key, _parse_value(text.strip(), _fields(section).get(key))


def _parse_value(text: str, info: FieldInfo | None) -> Any:
    """A TOML value; plain text where it is none, or where the key holds text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = parsed["value"]
    wants_text = info is not None and _holds_text(info.annotation)
    return text if len(parsed) > 1 or (wants_text and not isinstance(value, str)) else value


def _holds_text(annotation: object) -> bool:
    if typing.get_origin(annotation) is Literal:
        return all(isinstance(value, str) for value in typing.get_args(annotation))
    return annotation is str


def _make_absolute(values: dict[str, Any], base: Path) -> None:
    for section, table in values.items():
        for key in path_keys(section):
            if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
                table[key] = str((base / Path(table[key]).expanduser()).resolve())


def _fields(section: str) -> Mapping[str, FieldInfo]:
    info = Config.model_fields.get(section)
    if info is None or not isinstance(info.annotation, type):
        return types.MappingProxyType({})
    return typing.cast(type[Section], info.annotation).model_fields


def _explain(error: ValidationError, where: str, origins: Mapping[str, str]) -> UserError:
    """The first error of pydantic's, as ours."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    name = ".".join(location)
    where = origins.get(name, where)
    if first["type"] == "extra_forbidden":
        return UserError(f"unknown key {name!r}", where, _suggestion(location))
    if first["type"] in ("model_type", "model_attributes_type"):
        return UserError(f"{name} must be a section", where, f"[{name}] on a line of its own")
    reason = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if len(location) < 2:  # a rule between the keys of a section
        return UserError(f"[{name}]: {reason}", where, f"change one key of [{name}]")
    info = _fields(location[0])[location[1]]
    what = f"{name} = {first['input']!r}: {reason}"
    return UserError(what, where, f"{name} = {info.default!r} is the default: {info.description}")


def _suggestion(location: Sequence[str]) -> str:
    """The nearest valid key, or all of them."""
    if len(location) == 1:
        every = [f"{section}.{key}" for section in Config.model_fields for key in _fields(section)]
        sections = get_close_matches(location[0], Config.model_fields, 1)
        owners = [name for name in every if name.split(".")[1] == location[0]]
        if sections or not owners:
            return f"[{sections[0]}]" if sections else f"a section of {_list(Config.model_fields)}"
        return owners[0]
    section, key = location[0], location[1]
    near = get_close_matches(key, _fields(section), 1)
    if near:
        return f"{section}.{near[0]}"
    owners = [other for other in Config.model_fields if key in _fields(other)]
    return f"{owners[0]}.{key}" if owners else f"one of {_list(_fields(section))}"


def _list(names: typing.Iterable[str]) -> str:
    return ", ".join(names)


def describe_keys(section: str) -> list[str]:
    """One line for each key of a section: its name, default and description."""
    return [
        f"  {section}.{key} = {info.default!r}: {info.description}"
        for key, info in _fields(section).items()
    ]
