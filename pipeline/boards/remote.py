"""A package on a board: copied by scp, validated by ssh.  Nothing here ever asks for a password."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import UserError, VerificationFailed
from pipeline.core.tools import ToolError, find_program, run_tool

Command = list[str | Path]

OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=15")
COPY_TIMEOUT_S = 600.0
RUN_TIMEOUT_S = 3600.0
EXIT_DIFFERENT, EXIT_USAGE = 1, 2
FAILED = "failed: "
"""Exit codes of validate.py, and what it says of a difference."""
EXIT_NO_ROOT, EXIT_SSH = 97, 255
"""Of our command on the board, and of ssh itself."""

ENVIRONMENT = ("pynq_venv.sh", "xrt_setup.sh", "boardname.sh")
"""What PYNQ 2.7 and 3.x have in /etc/profile.d, for shells that log in."""

REASONS = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its key is another than before",
        "see that it is your board, then: ssh-keygen -R {name}",
    ),
    (
        "Host key verification failed",
        "its key is not known here",
        "ssh {host}   (once, to see and accept its key)",
    ),
    ("Permission denied", "it does not know your key", "ssh-copy-id {host}"),
)
"""What ssh says, what that means, and what to do."""


@dataclass(frozen=True)
class Host:
    """A board, as ssh takes it, `user@name`; log: where to write what is said there."""

    name: str
    log: Path

    @property
    def address(self) -> str:
        """Without the user."""
        return self.name.rpartition("@")[2]


def deploy(archive: Path, folder: str, host: Host, watch: Callable[[str], None]) -> None:
    """Copy the zip `archive`, which holds `folder`, unpack it and run validate.py there.

    `watch` gets what validate.py says.  Raises VerificationFailed where labels differ, UserError
    where it does not come to that.
    """
    if host.name.startswith("-"):
        raise UserError("this is no host", f"HOST={host.name}", "HOST=user@board")
    copy: Command = [_program("scp"), *OPTIONS, "-q", archive, f"{host.name}:{archive.name}"]
    try:
        run_tool(copy, cwd=archive.parent, log=host.log, timeout_s=COPY_TIMEOUT_S)
    except ToolError as error:
        raise _unreachable(host) from error
    command: Command = [_program("ssh"), *OPTIONS, host.name, remote_command(archive.name, folder)]
    try:
        run_tool(command, cwd=archive.parent, log=host.log, timeout_s=RUN_TIMEOUT_S, watch=watch)
    except ToolError as error:
        raise _explained(error, host) from error


def remote_command(archive: str, folder: str) -> str:
    """For a shell at home on the board: unpack, and validate as root in PYNQ's environment."""
    steps = (
        f"python3 -m zipfile -e {shlex.quote(archive)} . || exit {EXIT_USAGE}",
        f'[ -z "$SUDO_UID" ] || chown -R "$SUDO_UID:$SUDO_GID" {shlex.quote(folder)}',
        f"for name in {' '.join(ENVIRONMENT)}; do "
        "[ ! -r /etc/profile.d/$name ] || . /etc/profile.d/$name; done",
        f"cd {shlex.quote(folder)} && exec python3 -B -u validate.py",
    )
    as_root = shlex.join(["bash", "-c", "; ".join(steps)])
    return (
        f'if [ "$(id -u)" = 0 ]; then {as_root}; '
        f"elif sudo -n true 2>/dev/null; then sudo -n {as_root}; "
        f"else exit {EXIT_NO_ROOT}; fi"
    )


def _program(name: str) -> Path:
    found = find_program(name)
    if found is None:
        raise UserError(f"{name} is not installed", "PATH", "apt install openssh-client")
    return found


def _explained(error: ToolError, host: Host) -> Exception:
    """What the exit code of ssh means; it is that of the command there."""
    said = _last_line(host)
    # 1 is also how Python ends after an exception
    if error.returncode == EXIT_DIFFERENT and FAILED in host.log.read_text(errors="replace"):
        return VerificationFailed(f"{host.name} does not compute what the model does: {said}")
    if error.returncode == EXIT_USAGE:
        return UserError(f"validate.py did not start: {said}", host.name, error.remedy)
    if error.returncode == EXIT_NO_ROOT:
        return UserError(
            "sudo asks for a password there, and what uses PYNQ has to be root",
            f"deploy.host (HOST=) = {host.name}",
            f"HOST=root@{host.address}, after ssh-copy-id root@{host.address}",
        )
    return _unreachable(host) if error.returncode == EXIT_SSH else error


def _unreachable(host: Host) -> UserError:
    said = host.log.read_text(errors="replace")
    for text, reason, remedy in REASONS:
        if text in said:
            what = f"{host.name} refuses: {reason}"
            return UserError(what, str(host.log), remedy.format(host=host.name, name=host.address))
    return UserError(
        f"{host.name} cannot be reached: {_last_line(host)}",
        "deploy.host (HOST=)",
        f"see that the board is on and has this name or address: ping {host.address}",
    )


def _last_line(host: Host) -> str:
    lines: Sequence[str] = host.log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it says nothing"
