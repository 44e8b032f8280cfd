#!/bin/bash
# Makes the mounted Vivado usable and runs the command that follows.  Exit code 2: what is missing
# is said, and nothing has run.
set -eu

OLDEST=2022.2
MOUNT='docker run -v /tools/Xilinx:/tools/Xilinx:ro -e XILINX_VIVADO=/tools/Xilinx/Vivado/2022.2'

fail() {
    printf 'error: %s\nwhere: %s\n  try: %s\n' "$1" "$2" "$3" >&2
    exit 2
}

vivado=${XILINX_VIVADO:-}
vivado=${vivado%/}
if [ -z "$vivado" ]; then
    fail 'nothing says where Vivado is' 'XILINX_VIVADO' "$MOUNT ..."
fi
if [ ! -d "$vivado" ]; then
    fail "there is no folder $vivado in this container" 'XILINX_VIVADO' \
        "$MOUNT ...   (mounted at the path that it has on the host, which it was installed for)"
fi
if [ ! -r "$vivado/settings64.sh" ]; then
    fail "$vivado has no settings64.sh" 'XILINX_VIVADO' \
        'the folder of one version, for example /tools/Xilinx/Vivado/2022.2'
fi

# The version is a folder's name: .../Vivado/2022.2, and .../2025.1/Vivado from then on.
version=$(printf '%s\n' "$vivado" | grep -o '20[0-9][0-9]\.[0-9]' | tail -n 1 || true)
older=$(printf '%s\n' "$OLDEST" "${version:-$OLDEST}" | sort -V | head -n 1)
if [ "$older" != "$OLDEST" ]; then
    fail "Vivado $version is too old" "$vivado" "Vivado $OLDEST or newer"
fi

if [ -z "${XILINXD_LICENSE_FILE:-}${LM_LICENSE_FILE:-}" ]; then
    echo 'note: no licence is named (XILINXD_LICENSE_FILE, LM_LICENSE_FILE):' \
        'only devices of the free edition can be built for' >&2
fi

# Vivado's licence library crashes in containers where it finds this one by itself.
udev=$(find /lib /usr/lib -maxdepth 2 -name libudev.so.1 2>/dev/null | head -n 1)
if [ -n "$udev" ]; then
    export LD_PRELOAD="$udev"
fi

set +eu # the settings are Vivado's own
# shellcheck source=/dev/null
. "$vivado/settings64.sh"
set -eu
if ! command -v vivado >/dev/null; then
    fail "$vivado/settings64.sh puts no vivado on PATH" "$vivado" \
        'mount the whole installation at the path that it has on the host'
fi
exec "$@"
