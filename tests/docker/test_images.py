"""The Dockerfiles, as far as no engine is needed: a linter, and that what they name is there."""

import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pipeline.core.paths import PROJECT_ROOT
from pipeline.core.tools import ToolError, run_tool

DOCKER = PROJECT_ROOT / "docker"
OPEN, VIVADO = DOCKER / "open" / "Dockerfile", DOCKER / "vivado" / "Dockerfile"
IMAGES = pytest.mark.parametrize("dockerfile", [OPEN, VIVADO], ids=["open", "vivado"])
LINTER = Path(sys.executable).with_name("hadolint")
USED_FOR_SETUP = ["LICENSE", "Makefile", "NOTICE", "README.md", "pyproject.toml", "requirements"]


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Every instruction and what follows it, in order, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    lines = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(word, rest) for word, _, rest in lines]


def of_kind(dockerfile: Path, kind: str) -> list[str]:
    return [rest for word, rest in instructions(dockerfile) if word == kind]


def packages(dockerfile: Path) -> dict[str, str]:
    """Debian's packages that are installed, and their versions."""
    (command,) = [run for run in of_kind(dockerfile, "RUN") if "apt-get install" in run]
    quoted = re.findall(r"'([^']+)'", command)
    return dict(item.split("=") for item in quoted)


def lint(dockerfile: Path, log: Path) -> str:
    if not LINTER.is_file():
        pytest.skip("hadolint is not installed: pip install -r requirements/dev.lock")
    # a user by name: these images run by hand, not where only a number could be checked
    command = [LINTER, "--no-color", "--ignore", "DL3066", dockerfile]
    return run_tool(command, cwd=PROJECT_ROOT, log=log, timeout_s=60)


@IMAGES
def test_the_linter_has_nothing_to_say(dockerfile: Path, tmp_path: Path) -> None:
    assert lint(dockerfile, tmp_path / "log") == ""


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("FROM debian:bookworm-20250520-slim", "FROM debian", "DL3006"),
        ("'make=4.3-*'", "make", "DL3008"),
        ("WORKDIR /amcflow", "WORKDIR amcflow", "DL3000"),
        ('"${UID}" amcflow', "$(id -u) amcflow", "SC2046"),
    ],
)
def test_the_linter_finds_what_is_wrong(tmp_path: Path, before: str, after: str, rule: str) -> None:
    text = OPEN.read_text()
    assert before in text
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(text.replace(before, after))
    with pytest.raises(ToolError, match=rule):
        lint(wrong, tmp_path / "log")


def test_the_base_is_a_dated_debian_12() -> None:
    (base,) = of_kind(OPEN, "FROM")
    assert re.fullmatch(r"debian:bookworm-20\d{6}-slim", base)


def test_the_image_for_vivado_stands_on_the_open_one() -> None:
    assert instructions(VIVADO)[:2] == [("ARG", "OPEN=amcflow:open"), ("FROM", "${OPEN}")]


@IMAGES
def test_nothing_runs_as_root_in_the_end(dockerfile: Path) -> None:
    assert of_kind(dockerfile, "USER")[-1] == "amcflow"


@IMAGES
def test_every_package_has_its_upstream_version(dockerfile: Path) -> None:
    found = packages(dockerfile)
    assert found
    assert [
        p for p, version in found.items() if not re.fullmatch(r"[\d:.]+-?[.*]*\*", version)
    ] == []


def test_the_packages_are_those_that_the_readme_names() -> None:
    needs = re.search(
        r"Debian 12 with (.*?) is all it needs", (PROJECT_ROOT / "README.md").read_text()
    )
    assert needs is not None
    assert set(packages(OPEN)) == set(re.findall(r"`([^`]+)`", needs[1]))


@IMAGES
def test_what_is_copied_is_there(dockerfile: Path) -> None:
    copied = [rest.split() for rest in of_kind(dockerfile, "COPY")]
    sources = [w for words in copied for w in words[:-1] if not w.startswith("--")]
    assert sources
    assert [name for name in sources if not (PROJECT_ROOT / name).exists()] == []


def test_setup_finds_all_that_it_reads_before_the_rest_is_copied() -> None:
    """What make looks at, and what the package is built from."""
    before = OPEN.read_text().partition("make setup")[0]
    wanted = re.search(r"^\$\(VENV\)/\.installed: (.*)$", makefile(), flags=re.MULTILINE)
    assert wanted is not None
    for name in [*USED_FOR_SETUP, *(path.partition("/")[0] for path in wanted[1].split())]:
        assert re.search(rf"^COPY .*\b{re.escape(name)}\b", before, flags=re.MULTILINE), name
    assert "pipeline/__init__.py pipeline/" in before
    files = re.findall(r'(?:readme = |license-files = \[)"?([^\]\n]+)', pyproject())
    named = {name for text in files for name in re.findall(r"\w[\w.]+", text)}
    assert named == {"README.md", "LICENSE", "NOTICE"}
    assert named <= set(USED_FOR_SETUP)


def makefile() -> str:
    return (PROJECT_ROOT / "Makefile").read_text()


def pyproject() -> str:
    return (PROJECT_ROOT / "pyproject.toml").read_text()


def is_left_out(path: str) -> bool:
    """As Docker does for the patterns of .dockerignore that are used here."""
    left_out = False
    for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        beginnings = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        names = parts if "**/" in line else beginnings
        if line and not line.startswith("#") and any(fnmatch(name, pattern) for name in names):
            left_out = not line.startswith("!")
    return left_out


def test_what_git_ignores_is_left_out_of_the_images() -> None:
    for line in (PROJECT_ROOT / ".gitignore").read_text().split():
        made = line.strip("/!").replace("*", "some")
        assert is_left_out(made) != line.startswith("!"), line
    assert is_left_out("pipeline/core/__pycache__/a.pyc")
    assert is_left_out(".git/config")


def test_nothing_else_is_left_out() -> None:
    wanted = ["pipeline/core/config.py", "hw/rtl/max_pool.sv", "models/vgg10_tiny/model.toml"]
    wanted += ["requirements/runtime.lock", "data/README.md", "docker/vivado/entry.sh", "NOTICE"]
    assert [
        path for path in wanted if is_left_out(path) or not (PROJECT_ROOT / path).exists()
    ] == []


def test_the_commands_of_the_readme_name_what_there_is() -> None:
    text = re.sub(r"\\\n\s*", " ", (DOCKER / "README.md").read_text())
    builds = re.findall(r"docker build -f (\S+) -t (\S+)", text)
    assert [PROJECT_ROOT / file for file, _ in builds] == [OPEN, VIVADO]
    tags = {tag for _, tag in builds}
    assert set(re.findall(r"^    docker run .*?(amcflow:\w+)", text, flags=re.MULTILINE)) == tags
    for file, tag in builds:  # and each says so itself
        assert f"docker build -f {file} -t {tag} ." in (PROJECT_ROOT / file).read_text()
    assert f"OPEN={builds[0][1]}" in VIVADO.read_text()


def test_make_targets_that_are_named_exist() -> None:
    texts = [path.read_text() for path in (OPEN, VIVADO, DOCKER / "README.md")]
    named = {name for text in texts for name in re.findall(r'\bmake"?,? "?([a-z-]+)', text)}
    joined = makefile().replace("\\\n", " ")
    listed = re.findall(r"^(?:STAGES|COMMANDS) :=(.*)$", joined, flags=re.MULTILINE)
    rules = re.findall(r"^([a-z-]+):", joined, flags=re.MULTILINE)
    assert {"help", "setup", "verify-rtlsim"} <= named
    assert named <= {*rules, *" ".join(listed).split()}
