"""Deploy: the PYNQ package to a board, where validate.py says whether it computes what it should.

Without a host it says how to do that by hand.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from pipeline.boards.remote import ENVIRONMENT, Host, deploy
from pipeline.core.paths import shown
from pipeline.core.progress import say
from pipeline.core.stage import Command, CommandContext
from pipeline.stages import pynq_package

LOG = "deploy.log"


def run(context: CommandContext) -> None:
    made = context.inputs["pynq-package"]
    folder = json.loads((made / pynq_package.REPORT).read_text())["folder"]
    archive, host = made / pynq_package.ARCHIVE, context.config.deploy.host
    if not host:
        _say_how(archive, folder)
        return
    say(f"{shown(archive)} -> {host}:{folder}")
    with tempfile.TemporaryDirectory() as place:
        named = Path(place) / f"{folder}.zip"
        shutil.copyfile(archive, named)
        deploy(named, folder, Host(host, context.build / LOG), say)


def _say_how(archive: Path, folder: str) -> None:
    say("no board is named (HOST=user@board); by hand:")
    say(f"  scp {shown(archive)} USER@BOARD:{folder}.zip")
    say("  ssh -t USER@BOARD, and there:")
    say(f"  python3 -m zipfile -e {folder}.zip . && cd {folder}")
    say(f"  sudo -s; . /etc/profile.d/{ENVIRONMENT[0]}; python3 validate.py")


COMMAND = Command(
    name="deploy",
    summary="copy the PYNQ package to a board by ssh, and validate it there (HOST=user@board)",
    needs=("pynq-package",),
    run=run,
)
