"""Faults of the modules that runs are made of.

The tests of the modules have more: what only a network of another shape can show, as a remainder of
a pool; what a reset leaves behind; frames that enter without room, for here the FIFO of labels has
room for all.
"""

from __future__ import annotations

from pipeline.verify.mutants.faults import BOUNDARIES, FULL, SourceFault
from pipeline.verify.mutation import REFUSED

BOUNDARIES_OR_REFUSED = (*BOUNDARIES, REFUSED)
SEVERAL = r"([2-9]|\d\d+)\)"
"""A parameter that is not 1."""

CREDIT, PACER, WINDOW = "frame_credit.sv", "position_pacer.sv", "serial_window.sv"
DIGITS, SERIALIZER, REQUANTIZER = "digit_accumulator.sv", "row_serializer.sv", "requantizer.sv"
POOL, ENGINE, UNIT = "position_pool.sv", "sparse_engine.sv", "sparse_unit.sv"
SEQUENCER, WRITER, SCALED = "sparse_sequencer.sv", "position_writer.sv", "scaled_quantizer.sv"

RUN_FAULTS = (
    # ends
    SourceFault(
        "doubled words",
        CREDIT,
        r"= in_valid_i && admit;",
        "= in_valid_i;",
        BOUNDARIES_OR_REFUSED,
        FULL,
    ),
    SourceFault(
        "padding",
        PACER,
        r"(flushes .*) && begins_frame;",
        r"\1;",
        BOUNDARIES,
        needs=rf"\.Flush\({SEVERAL}",
    ),
    SourceFault(
        "padding",
        PACER,
        r"frame_q \^ !begins_frame :",
        "frame_q :",
        BOUNDARIES,
        needs=rf"\.Flush\({SEVERAL}",
    ),
    SourceFault("lost words", PACER, r"= !full_q \|\| free;", "= 1'b1;", BOUNDARIES_OR_REFUSED),
    SourceFault(
        "schedule",
        PACER,
        r"WaitBits'\(Cycles - 1\)",
        "'0",
        BOUNDARIES_OR_REFUSED,
        needs=rf"\.Cycles\({SEVERAL}",
    ),
    # convolutions
    SourceFault(
        "padding", WINDOW, r"inside_q\[k\] \? (.*) : \{Channels\{pad\}\};", r"\1;", BOUNDARIES
    ),
    SourceFault(
        "schedule",
        WINDOW,
        r"active_q && last_phase;",
        "active_q;",
        BOUNDARIES,
        needs=rf"\.Phases\({SEVERAL}",
    ),
    SourceFault(
        "schedule",
        WINDOW,
        r"\? '0 : digit_d\);",
        "? '0 : '0);",
        BOUNDARIES,
        needs=rf"\.Phases\({SEVERAL}",
    ),
    SourceFault("stream order", "truth_table.sv", r"Table\[x\*", "Table[Inputs'(~x)*", BOUNDARIES),
    SourceFault(
        "schedule",
        "lane_select.sv",
        r"x\[phase\]",
        "x[0]",
        BOUNDARIES,
        needs=r"lane_select #",
    ),
    SourceFault("state", DIGITS, r"first \? '0 : y", "y", BOUNDARIES),
    SourceFault(
        "signedness",
        DIGITS,
        r"a \^ InvertA",
        "a",
        BOUNDARIES,
        needs=r"digit_accumulator #\(.*InvertA",
    ),
    SourceFault(
        "accumulator width",
        "ternary_adder.sv",
        r"\(high & q\) \| \(.*\);",
        "high & q;",
        BOUNDARIES,
    ),
    SourceFault("accumulator width", DIGITS, r"y << Digit;", "y;", BOUNDARIES),
    SourceFault("state", SERIALIZER, r"if \(take_i\) rows_q", "rows_q", BOUNDARIES),
    SourceFault(
        "schedule",
        SERIALIZER,
        r"\(phase_i\) \* Digits",
        "(phase_i)",
        BOUNDARIES,
        needs=rf"\.Phases\({SEVERAL}",
    ),
    SourceFault("signedness", REQUANTIZER, r"total_q >>> Shift", "total_q >> Shift", BOUNDARIES),
    SourceFault("bias", REQUANTIZER, r"\) \+ Wide'", ") - Wide'", BOUNDARIES),
    SourceFault(
        "comparison", REQUANTIZER, r"level > \$signed\(Wide'\(Levels\)\)", "1'b0", BOUNDARIES
    ),
    SourceFault(
        "comparison",
        "threshold_search.sv",
        r"x1_q >= threshold_q",
        "x1_q > threshold_q",
        BOUNDARIES,
        needs=r"threshold_search #|\.Scaled\(0\)",
    ),
    SourceFault(
        "maximum",
        "row_maximum.sv",
        r"\(level\[s\]\[2\*w\] > level",
        "(level[s][2*w] < level",
        BOUNDARIES,
        needs=r"row_maximum #",
    ),
    SourceFault("maximum", POOL, r"\] > best", "] < best", BOUNDARIES),
    SourceFault("state", POOL, r"place_q != '0 && ", "", BOUNDARIES),
    # dense layers
    SourceFault("state", UNIT, r"if \(clear_i\) sum_q <= '0;\s*else ", "", BOUNDARIES),
    SourceFault("signedness", UNIT, r"\{AccBits\{sign3_q\}\} \^ ", "", BOUNDARIES),
    SourceFault(
        "schedule",
        SEQUENCER,
        r"hold = wait_q && count_q == '0;",
        "hold = 1'b0;",
        BOUNDARIES_OR_REFUSED,
    ),
    SourceFault(
        "doubled words",
        SEQUENCER,
        r"take = wait_q && count_q != '0;",
        "take = 1'b0;",
        BOUNDARIES_OR_REFUSED,
    ),
    SourceFault("schedule", ENGINE, r"(Coded +=.*);", r"\1 + 1;", BOUNDARIES),
    SourceFault(
        "schedule",
        ENGINE,
        r"constants\[row_q\]",
        "constants[0]",
        BOUNDARIES,
        needs=r"\.Scaled\(1\)",
    ),
    SourceFault("bias", ENGINE, r"\) \+ constant_q", ") - constant_q", BOUNDARIES),
    SourceFault("lost words", WRITER, r"busy_q && !hold_i;", "busy_q;", BOUNDARIES_OR_REFUSED),
    SourceFault("schedule", WRITER, r"= write_o && first_q;", "= valid_i;", BOUNDARIES_OR_REFUSED),
    SourceFault("accumulator width", SCALED, r"beyond \? '1 : ", "", BOUNDARIES),
    SourceFault("signedness", SCALED, r"negative \? '0 : ", "", BOUNDARIES),
    SourceFault(
        "lost words",
        "accumulator_sum.sv",
        r"\* i \+ k < left",
        "* i + k + 1 < left",
        BOUNDARIES,
        needs=rf"\.Units\({SEVERAL}",
    ),
)
