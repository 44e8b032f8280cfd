#!/bin/sh
# Makes output/accelerator.bit, .hwh and .json. Vitis HLS and Vivado 2022.2 or newer must be on PATH.
# A build that was ended goes on where it was.
set -eu
cd "$(dirname "$0")"

if ! cmp -s digest done/hls; then
  (cd hls && vitis_hls -f vitis_hls.tcl)
  mkdir -p done && cp digest done/hls
fi

exec vivado -mode batch -notrace -nojournal -log vivado.log -source build.tcl
