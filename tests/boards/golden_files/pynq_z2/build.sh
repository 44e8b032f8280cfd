#!/bin/sh
# Makes output/accelerator.bit, .hwh and .json. Vivado 2022.2 or newer must be on PATH.
# A build that was ended goes on where it was.
set -eu
cd "$(dirname "$0")"

exec vivado -mode batch -notrace -nojournal -log vivado.log -source build.tcl
