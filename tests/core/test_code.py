"""Which files the code of a stage is made of."""

from pathlib import Path

import pytest

from pipeline.core.code import code_hash, imported_files
from pipeline.core.paths import PROJECT_ROOT

FILES = {
    "pipeline/__init__.py": "",
    "pipeline/core/__init__.py": "",
    "pipeline/core/runner.py": "import pipeline.unrelated",
    "pipeline/core/tools.py": "import os",
    "pipeline/stages/__init__.py": "",
    "pipeline/stages/one.py": """
from pipeline.core.runner import Stage
from pipeline.core import tools
from pipeline.network import vgg10, helper
def run():
    from pipeline.radio.channel import gain
if __name__ == "__main__":
    from pipeline.unrelated import main
""",
    "pipeline/network/__init__.py": "",
    "pipeline/network/vgg10.py": "from .layers import conv\nfrom .. import alone",
    "pipeline/network/layers.py": "import numpy\nimport pipeline.stages.one",
    "pipeline/network/helper/__init__.py": "",
    "pipeline/radio/__init__.py": "",
    "pipeline/radio/channel.py": "",
    "pipeline/alone.py": "",
    "pipeline/unrelated.py": "",
}
NOT_HASHED = {"pipeline/core/runner.py", "pipeline/unrelated.py"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project of the same layout."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed(project):
    files = imported_files(project / "pipeline/stages/one.py", project)
    names = {str(file.relative_to(project)) for file in files}
    assert names == FILES.keys() - NOT_HASHED


@pytest.mark.parametrize("name", FILES)
def test_hash_changes_with_exactly_those_files(project, name):
    start = project / "pipeline/stages/one.py"
    before = code_hash(start, project)
    with (project / name).open("a") as file:
        file.write("\n# changed\n")
    assert (code_hash(start, project) == before) == (name in NOT_HASHED)


def test_a_stage_outside_the_package_can_be_hashed(project, tmp_path):
    start = tmp_path / "elsewhere.py"
    start.write_text("import pipeline.alone")
    assert imported_files(start, project) >= {start, project / "pipeline/alone.py"}


def test_the_projects_own_stages_can_be_read():
    for stage in (PROJECT_ROOT / "pipeline" / "stages").glob("*.py"):
        assert stage in imported_files(stage, PROJECT_ROOT)
