"""Reading `model.toml`: defaults, overrides, and messages that say what to do."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.core.config import Config, describe_keys, load_config, path_keys
from pipeline.core.errors import UserError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder with an empty `model.toml`."""
    folder = tmp_path / "models" / "toy"
    folder.mkdir(parents=True)
    (folder / "model.toml").touch()
    return folder


def test_every_key_has_a_default_and_a_description():
    config = Config.from_dict({})
    assert (config.network.filters, config.verify.frames) == (64, 48)
    lines = [line for section in Config.model_fields for line in describe_keys(section)]
    assert lines[1] == "  network.filters = 64: channels of each convolution"
    assert not [line for line in lines if line.endswith("None")]


def test_config_is_frozen():
    config = Config.from_dict({})
    with pytest.raises(ValidationError):
        config.verify.frames = 3


def test_file_then_overrides(model):
    (model / "model.toml").write_text("[network]\nfilters = 32\ndense = 16\n[verify]\nframes = 4\n")
    config = load_config(model, ["network.dense=8", "hardware.clock_mhz=50", "verify.frames = 5"])
    assert (config.network.filters, config.network.dense, config.verify.frames) == (32, 8, 5)
    assert config.hardware.clock_mhz == 50.0


def test_override_of_a_text_key_needs_no_quotes(model):
    texts = ["hardware.board=ulx3s_85f", 'network.scales="float"', "network.weight_scale=tensor"]
    config = load_config(model, texts)
    assert config.hardware.board == "ulx3s_85f"
    assert (config.network.scales, config.network.weight_scale) == ("float", "tensor")
    assert load_config(model, ["hardware.board=85"]).hardware.board == "85"


def test_paths_count_from_where_they_are_written(model, tmp_path, monkeypatch):
    (model / "model.toml").write_text('[data]\npath = "../set.hdf5"\n')
    monkeypatch.chdir(tmp_path)
    config = load_config(model, ["export.checkpoint=some where/a.pth"])
    assert config.data.path == str(tmp_path / "models" / "set.hdf5")
    assert config.export.checkpoint == str(tmp_path / "some where" / "a.pth")
    assert path_keys("export") == ("checkpoint", "qonnx")
    assert path_keys("network") == ()


FRAMES = "verify.frames = 48 is the default: frames compared (FRAMES=)"
GOLDEN = [
    ({"network": {"filtres": 3}}, "unknown key 'network.filtres'", "network.filters"),
    ({"netwrk": {}}, "unknown key 'netwrk'", "[network]"),
    ({"frames": 3}, "unknown key 'frames'", "verify.frames"),
    ({"network": {"board": "x"}}, "unknown key 'network.board'", "hardware.board"),
    ({"export": {"zzz": 1}}, "unknown key 'export.zzz'", "one of checkpoint, qonnx"),
    ({"network": 3}, "network must be a section", "[network] on a line of its own"),
    ({"verify": {"frames": 0}}, "verify.frames = 0: must be greater than or equal to 1", FRAMES),
    ({"verify": {"frames": "4"}}, "verify.frames = '4': must be a valid integer", FRAMES),
    ({"verify": {"frames": True}}, "verify.frames = True: must be a valid integer", FRAMES),
    (
        {"network": {"weight_bits": 9}},
        "network.weight_bits = 9: must be less than or equal to 8",
        "network.weight_bits = 4 is the default: bits of every weight",
    ),
    (
        {"network": {"frame_length": 1000}},
        "network.frame_length = 1000: must be a multiple of 128, since 7 pools halve it",
        "network.frame_length = 1024 is the default: I/Q samples in a frame",
    ),
    (
        {"network": {"scales": "po2"}},
        "network.scales = 'po2': must be 'power_of_two' or 'float'",
        "network.scales = 'power_of_two' is the default: "
        "quantization steps: powers of two (exact) or any float",
    ),
    (
        {"verify": {"stalls": "none, burst"}},
        "verify.stalls = 'none, burst': 'burst' is none of them",
        "verify.stalls = 'none, random 25, bursts, stop, full, reset' is the default: a simulation "
        "for each: how the accelerator's ends are held back (random 1 to random 90: a share of "
        "cycles), or a reset; inside: every node is held back",
    ),
    (
        {"export": {"checkpoint": "a", "qonnx": "b"}},
        "[export]: checkpoint and qonnx are both set, but only one can be compiled",
        "change one key of [export]",
    ),
]


@pytest.mark.parametrize(("values", "what", "remedy"), GOLDEN)
def test_golden_messages(values, what, remedy):
    with pytest.raises(UserError) as error:
        Config.from_dict(values, "model.toml")
    assert str(error.value) == f"error: {what}\nwhere: model.toml\n  try: {remedy}"


@pytest.mark.parametrize(
    ("section", "key", "good", "bad"),
    [
        ("network", "weight_bits", 2, 1),
        ("network", "activation_bits", 8, 9),
        ("verify", "first", 0, -1),
        ("verify", "stimulus", "halves", "half"),
        ("verify", "stalls", "random 90", "random 91"),
        ("verify", "stalls", "none,  random 1,reset", "random 0"),
        ("verify", "stalls", "stop", "stop, none, stop"),
        ("verify", "stalls", "full", ""),
        ("hardware", "clock_mhz", 0.5, 0.0),
        ("hardware", "clock_mhz", 1, float("nan")),
        ("train", "learning_rate", 1.0, float("inf")),
        ("data", "seed", 2**32 - 1, 2**32),
        ("data", "frames_per_cell", 1, 0),
    ],
)
def test_ranges(section, key, good, bad):
    Config.from_dict({section: {key: good}})
    with pytest.raises(UserError):
        Config.from_dict({section: {key: bad}})


def test_error_in_an_override_names_the_override(model):
    with pytest.raises(UserError) as error:
        load_config(model, ["verify.frames=many"])
    assert error.value.what == "verify.frames = 'many': must be a valid integer"
    assert error.value.where == "--set verify.frames=many"


@pytest.mark.parametrize("text", ["frames", "frames=3", ".frames=3", "verify.=3", "=3"])
def test_malformed_override(model, text):
    with pytest.raises(UserError) as error:
        load_config(model, [text])
    assert error.value.what == f"{text!r} is not of the form section.key=value"


def test_an_override_is_one_value(model):
    with pytest.raises(UserError, match="must be a valid integer"):
        load_config(model, ["verify.frames=3\nseed=4"])


def test_broken_file(model):
    (model / "model.toml").write_text("[network\n")
    with pytest.raises(UserError) as error:
        load_config(model)
    assert error.value.what.startswith("not a TOML file: ")
    assert error.value.where == str(model / "model.toml")


def test_missing_model_names_those_there_are(model):
    with pytest.raises(UserError) as error:
        load_config(model.with_name("other"))
    assert error.value.what == "there is no model here"
    assert error.value.remedy == f"--model {model}   (models there: toy)"
