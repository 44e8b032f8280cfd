#!/usr/bin/env python3
"""Builds the bitfile and the PYNQ driver of this folder's network with FINN and Vivado.

    python build.py                                  everything: hours
    python build.py step_generate_estimate_reports   stop after this step of FINN's: seconds

FINN is Xilinx/finn or finn-plus; what it makes is in `output`.  Its simulation of the stitched
accelerator is compared with `expected_output.npy`: a difference ends the build.
Exit code 0: done; 1: FINN stopped, and the last line says in which step; 2: something is missing.
"""

import functools
import json
import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "output"
VERIFICATION = OUTPUT / "verification_output"
FIRST = "step_create_dataflow_partition"
STITCHED = "step_create_stitched_ip"
DONE, STOPPED, MISSING = 0, 1, 2


class DifferentResultError(Exception):
    """FINN's simulation and the expected output differ; FINN itself only writes this down."""


def step_check_verification(model, _config):
    """A step of the build: FINN has simulated the accelerator, and every frame was right."""
    found = sorted(path.name for path in VERIFICATION.glob("verify_*"))
    wrong = [name for name in found if "_FAIL" in name]
    if wrong or not any("_SUCCESS" in name for name in found):
        what = ", ".join(wrong) if wrong else "nothing was simulated"
        raise DifferentResultError(f"the simulation is not what is expected: {what}")
    return model


def steps(config, lookup, started):
    """FINN's own steps from the partition on, and ours; each is noted in `started`."""
    names = config.default_build_dataflow_steps
    chosen = []
    for name in names[names.index(FIRST) :]:
        chosen.append(lookup[name])
        if name == STITCHED:
            chosen.append(step_check_verification)
    return [noted(step, started) for step in chosen]


def noted(step, started):
    """`step`, which adds its name to `started` first."""

    @functools.wraps(step)
    def run(*arguments, **options):
        started.append(step.__name__)
        return step(*arguments, **options)

    return run


def configuration(config, chosen, stop):
    """FINN's build configuration: paths as text, which every version of FINN takes."""
    target = json.loads((HERE / "target.json").read_text(encoding="utf-8"))
    product = config.DataflowOutputType
    return config.DataflowBuildConfig(
        output_dir=str(OUTPUT),
        board=target["board"],
        synth_clk_period_ns=target["clock_period_ns"],
        shell_flow_type=config.ShellFlowType.VIVADO_ZYNQ,
        folding_config_file=str(HERE / "folding_config.json"),
        specialize_layers_config_file=str(HERE / "specialize_layers_config.json"),
        standalone_thresholds=True,
        steps=chosen,
        stop_step=stop,
        verify_steps=[config.VerificationStepType.STITCHED_IP_RTLSIM],
        verify_input_npy=str(HERE / "input.npy"),
        verify_expected_output_npy=str(HERE / "expected_output.npy"),
        generate_outputs=[
            product.ESTIMATE_REPORTS,
            product.STITCHED_IP,
            product.BITFILE,
            product.PYNQ_DRIVER,
            product.DEPLOYMENT_PACKAGE,
        ],
        enable_build_pdb_debug=False,  # a debugger would wait for somebody
    )


def missing_tools():
    """What a complete build needs and PATH does not have."""
    wanted = (("vivado",), ("vitis_hls", "vitis-run"))
    return [" or ".join(names) for names in wanted if not any(map(shutil.which, names))]


def complain(what, remedy):
    print(f"error: {what}\n  try: {remedy}", file=sys.stderr)
    return MISSING


def main(arguments):
    stop = arguments[0] if arguments else None
    lacking = missing_tools()
    if lacking and stop is None:
        what = f"{' and '.join(lacking)} not found on PATH"
        return complain(what, "source settings64.sh of Vivado and of Vitis, then run again")
    os.environ.setdefault("FINN_BUILD_DIR", str(OUTPUT / "finn"))  # where FINN works
    Path(os.environ["FINN_BUILD_DIR"]).mkdir(parents=True, exist_ok=True)
    try:
        from finn.builder import build_dataflow, build_dataflow_config  # noqa: PLC0415
        from finn.builder.build_dataflow_steps import build_dataflow_step_lookup  # noqa: PLC0415
    except ImportError as error:
        return complain(f"FINN cannot be imported: {error}", "run this where FINN is installed")
    started = []
    chosen = steps(build_dataflow_config, build_dataflow_step_lookup, started)
    known = [step.__name__ for step in chosen]
    if stop not in (None, *known):
        return complain(f"there is no step {stop!r}", f"one of {', '.join(known)}")
    shutil.rmtree(VERIFICATION, ignore_errors=True)
    settings = configuration(build_dataflow_config, chosen, stop)
    if build_dataflow.build_dataflow_cfg(str(HERE / "model.onnx"), settings) != 0:
        where = started[-1] if started else "its start"
        print(f"error: FINN stopped in {where}: see {OUTPUT / 'build_dataflow.log'}")
        return STOPPED
    print(f"done: {OUTPUT}")
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
