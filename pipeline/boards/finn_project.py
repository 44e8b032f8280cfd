"""A FINN build for a board as a project: as `pipeline.boards.vivado`'s, one command, same results.

FINN has an AXI shell, a driver and a deployment package of its own: of ours, only the folder
`output` and its `accelerator.json` are the same, so that what was made elsewhere is known again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from pipeline.boards.vivado import (
    BITSTREAM,
    COMMAND,
    DESCRIPTION,
    DIGEST,
    HANDOFF,
    IDENTITY,
    OLDEST,
    OUTPUT,
    REPORTS,
    TIMING,
    Description,
    digest,
)

FOLDER = "finn"
"""Of the build, within the project."""
DEPLOY = "deploy"
"""Of the output: FINN's bitstream and driver together."""


def project(description: Description, build: Mapping[str, bytes]) -> dict[str, bytes]:
    """All files by path; `build`: those of codegen's folder `finn`, by name."""
    files = {f"{FOLDER}/{name}": content for name, content in build.items()}
    own = digest(files)
    texts = {
        "build.sh": build_script(description, own),
        "README.md": readme(description),
        DESCRIPTION: json.dumps(asdict(description), indent=1) + "\n",
        DIGEST: f"{own}\n",
    }
    return files | {name: text.encode() for name, text in texts.items()}


def build_script(description: Description, own: str) -> str:
    """The shell script that does everything; `own`: the digest of FINN's files."""
    names = ("model", "hash", "board", "part", "backend", "clock_mhz")
    identity = {name: asdict(description)[name] for name in names} | {"project": own}
    known = json.dumps(identity, indent=1).removesuffix("\n}")
    return f"""#!/bin/sh
# Makes {OUTPUT}/{BITSTREAM}, .hwh and .json. FINN, Vivado and Vitis HLS must be there; PYTHON is
# the Python that FINN is installed in. A build that was ended begins anew.
set -eu
cd "$(dirname "$0")"
(cd {FOLDER} && "${{PYTHON:-python3}}" build.py)
mkdir -p {OUTPUT}/{REPORTS}
cp {FOLDER}/output/report/post_route_timing.rpt {OUTPUT}/{REPORTS}/{TIMING}
cp {FOLDER}/output/bitfile/finn-accel.bit {OUTPUT}/{BITSTREAM}
cp {FOLDER}/output/bitfile/finn-accel.hwh {OUTPUT}/{HANDOFF}
rm -rf {OUTPUT}/{DEPLOY}
cp -R {FOLDER}/output/deploy {OUTPUT}/{DEPLOY}
sum=$(sha256sum {OUTPUT}/{BITSTREAM} | cut -d ' ' -f 1)
tool=$(vivado -version | sed -n '1s/^[Vv]ivado v\\([0-9._]*\\).*/FINN, Vivado \\1/p')
cat >{OUTPUT}/{IDENTITY} <<END
{known},
 "bitstream_sha256": "$sum",
 "tool": "$tool"
}}
END
"""


def readme(description: Description) -> str:
    """What is in the folder and how to use it."""
    return f"""# {description.model} for {description.board}, built by FINN

Part {description.part}, {description.clock_mhz:g} MHz. Where FINN, Vivado ({OLDEST} or newer) and
Vitis HLS are, with their settings64.sh sourced:

    PYTHON=<the Python that has FINN> {COMMAND}

takes hours. `{OUTPUT}` then has `{BITSTREAM}`, `{HANDOFF}` and `{IDENTITY}`; where this folder was
made, `make bitstream BITSTREAM=<that folder>` takes them. FINN's own driver, with the bitstream it
belongs to, is in `{OUTPUT}/{DEPLOY}`: our driver and PYNQ package are for our own shell.

`{FOLDER}` is the build alone. It has been run up to the first step that needs Vitis HLS.
"""
