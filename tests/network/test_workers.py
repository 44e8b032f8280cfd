"""Two processes that train together, on the CPU."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.core.paths import PROJECT_ROOT

SCRIPT = "tests.network.together"
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", SCRIPT]


def together(what: str, folder: Path) -> str:
    """The standard output of two processes."""
    return _python(TORCHRUN, what, folder)


def _python(module: list[str], what: str, folder: Path) -> str:
    command = [sys.executable, "-m", *module, what, str(folder)]
    answer = subprocess.run(
        command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    together("gradients", tmp_path)
    _python([SCRIPT], "alone", tmp_path)
    one, two = (torch.load(tmp_path / f"gradients_{count}.pt") for count in (1, 2))
    assert one.keys() == two.keys()
    for name, grad in one.items():
        torch.testing.assert_close(two[name], grad, rtol=1e-9, atol=1e-12)
        assert grad.count_nonzero(), name
        with pytest.raises(AssertionError):
            torch.testing.assert_close(two[name] * 2, grad, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["leader fails", "follower fails"])
def test_nobody_waits_for_a_process_that_has_failed(what: str, tmp_path: Path) -> None:
    """In the middle of a training, when the other one is in a step."""
    command = [sys.executable, "-m", *TORCHRUN, what, str(tmp_path)]
    answer = subprocess.run(
        command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 1
    assert "planted" in answer.stderr


@pytest.mark.slow
def test_followers_do_what_the_leader_announces_and_keep_to_themselves(tmp_path: Path) -> None:
    printed = together("stage", tmp_path)
    states = [torch.load(tmp_path / f"weights_{rank}.pt") for rank in (0, 1)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    leader, follower = ((tmp_path / f"folders_{rank}").read_text().split() for rank in (0, 1))
    assert leader == [str(tmp_path / name) for name in ("out", "scratch", "work")]
    assert not any(Path(folder).is_relative_to(tmp_path) for folder in follower)
    assert printed.count("epoch 1: loss") == 1  # by the leader alone
    assert printed.count("epoch 2: loss") == 1
    assert "training goes on after epoch 1 of 2" in printed
