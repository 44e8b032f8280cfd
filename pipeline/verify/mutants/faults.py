"""Faults of sources, as hardware engineers make them."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.verify.ladder import OUTPUT
from pipeline.verify.mutation import REFUSED

SUMS, BOUNDARIES = ("accumulators",), ("boundaries",)
SUMS_OR_REFUSED = (*SUMS, REFUSED)
ANY = ("any", REFUSED)
TIE = "tie rule"
FULL = "full"
"""Stalls that fill every FIFO, which random ones do not."""


@dataclass(frozen=True)
class SourceFault:
    """Text of a generated folder, replaced once.

    old: a regular expression; where: streams in which it is seen first ("accumulators",
    "boundaries", "any" stand for several), and `REFUSED` where it may also be found before;
    stalls: under which it shows, in RTL; needs: a regular expression that has to be in a module of
    a run, where not every use of the file shows the fault.
    """

    kind: str
    file: str
    old: str
    new: str
    where: tuple[str, ...]
    stalls: str = "random 40"
    needs: str = ""


CPP_FAULTS = (
    SourceFault("comparison", "thresholds.hpp", r"<= sum", "< sum", BOUNDARIES),
    SourceFault(
        "comparison", "thresholds.hpp", r"level < Levels", "level + 1 < Levels", BOUNDARIES
    ),
    SourceFault("padding", "sliding_window.hpp", r"tap - Padding", "tap", SUMS_OR_REFUSED),
    SourceFault("padding", "sliding_window.hpp", r"= zeros;", "= kept[0][0];", SUMS),
    SourceFault("state", "sliding_window.hpp", r"output == 0 \|\| ", "", SUMS_OR_REFUSED),
    SourceFault("schedule", "matrix_vector.hpp", r"kept\[synapse\];", "kept[0];", SUMS),
    SourceFault("state", "matrix_vector.hpp", r"synapse == 0 \? 0 : ", "", SUMS),
    SourceFault(
        "signedness",
        "matrix_vector.hpp",
        r"short\(weights(.*)\);",
        r"(short(weights\1) & 15);",
        SUMS,
    ),
    SourceFault(
        "signedness",
        "axis.hpp",
        r"T\(packed.range\((.*)\)\);",
        r"T(ap_uint<ElementBits - 1>(packed.range(\1)));",
        SUMS,
    ),
    SourceFault(
        "accumulator width",
        "matrix_vector.hpp",
        r"Sum\(sums\[row\]\)",
        "Sum(sums[row] << 1) >> 1",
        SUMS,
    ),
    SourceFault("maximum", "max_pool.hpp", r"now > held", "now < held", BOUNDARIES),
    SourceFault("state", "max_pool.hpp", r"tap == 0 \|\| ", "", BOUNDARIES),
    SourceFault(
        "stream order",
        "width_converter.hpp",
        r"wide.lane\[i % Ratio",
        "wide.lane[(Ratio - 1 - i % Ratio)",
        SUMS,
    ),
    SourceFault(
        "stream order",
        "width_converter.hpp",
        r"= wide.lane\[i % Ratio",
        "= wide.lane[(Ratio - 1 - i % Ratio)",
        ANY,
    ),
    SourceFault("bias", "bias.hpp", r"\) \+ int\(", ") - int(", BOUNDARIES),
    SourceFault(TIE, "label_select.hpp", r"logit > best", "logit >= best", ("label",)),
    SourceFault("output", "axis.hpp", r"in.read\(\).lane\[0\]", "in.read().lane[0] + 1", (OUTPUT,)),
    SourceFault("output", "axis.hpp", r"beat.last = 1", "beat.last = 0", (REFUSED,)),
)

UNIT, WINDOW, THRESHOLDS = "matrix_vector_unit.sv", "sliding_window.sv", "thresholds.sv"
HELD_BACK = r"= !out0_V_TVALID \|\| out0_V_TREADY"
RTL_FAULTS = (
    SourceFault(
        "accumulator width",
        UNIT,
        r"\(word_first_q \? '0 : acc_q\) \+ word_q;",
        "acc_t'($signed((AccBits-1)'((word_first_q ? '0 : acc_q) + word_q)));",
        SUMS,
    ),
    SourceFault("state", UNIT, r"word_first_q \? '0 : acc_q", "acc_q", SUMS),
    SourceFault("signedness", UNIT, r"InSigned && x\[InBits-1\]", "1'b0", SUMS),
    SourceFault("signedness", UNIT, r"\$signed\(w\)", "$signed({1'b0, w})", SUMS),
    SourceFault("schedule", UNIT, r"\(last_sf && last_nf\) \? '0", "last_sf ? '0", SUMS),
    SourceFault("schedule", UNIT, r": kept\[sf_q\]", ": kept[0]", SUMS),
    SourceFault("handshake", UNIT, HELD_BACK, "= 1'b1", ANY),
    SourceFault("maximum", "max_pool.sv", r": \(now > held\)", ": (now < held)", BOUNDARIES),
    SourceFault("state", "max_pool.sv", r"tap_q == '0 \|\| larger", "larger", BOUNDARIES),
    SourceFault("handshake", "max_pool.sv", HELD_BACK, "= 1'b1", ANY),
    SourceFault("bias", "bias_add.sv", r"wide \+ bias", "wide - bias", BOUNDARIES),
    SourceFault(TIE, "label_select.sv", r"> best_d\)", ">= best_d)", ("label",)),
    SourceFault(
        "lost words", "stream_fifo.sv", r"count_q != CountBits'\(Stored\)", "1'b1", ANY, FULL
    ),
    SourceFault("doubled words", "stream_fifo.sv", r"push && !\(load && empty\);", "push;", ANY),
    SourceFault(
        "padding", "frame_padding.sv", r"\(word_q\) >= Begin", "(word_q) > Begin", SUMS_OR_REFUSED
    ),
    SourceFault("padding", "frame_padding.sv", r": '0;", ": out0_V_TDATA[Bits-1:0];", SUMS),
    SourceFault("handshake", "frame_padding.sv", HELD_BACK, "= 1'b1", ANY),
    SourceFault("window", WINDOW, r"ahead_t'\(NextWindow\)", "ahead_t'(NextTap)", SUMS_OR_REFUSED),
    SourceFault("window", WINDOW, r": way\(NextWindow\)", ": way(NextTap)", SUMS),
    SourceFault("state", WINDOW, r"room_t'\(Depth\);", "'1;", SUMS_OR_REFUSED),
    SourceFault("handshake", WINDOW, HELD_BACK, "= 1'b1", ANY),
    SourceFault("comparison", THRESHOLDS, r"\) >= wide_t", ") > wide_t", BOUNDARIES),
    SourceFault("signedness", THRESHOLDS, r"Signed && x\[InBits-1\]", "1'b0", BOUNDARIES),
    SourceFault("schedule", THRESHOLDS, r"\{folds_q\[s-1\], c", "{fold_q, c", BOUNDARIES),
    SourceFault("handshake", THRESHOLDS, HELD_BACK, "= 1'b1", ANY),
    SourceFault(
        "stream order",
        "width_converter.sv",
        r"\{in0_V_TDATA\[InBits-1:0\], wide\[WideBits-1:InBits\]\}",
        "{wide[WideBits-InBits-1:0], in0_V_TDATA[InBits-1:0]}",
        ANY,
    ),
    SourceFault(
        "stream order",
        "width_converter.sv",
        r"= rest_q\[OutBits-1:0\]",
        "= rest_q[WideBits-1 -: OutBits]",
        ANY,
    ),
    SourceFault("handshake", "width_converter.sv", r"= !wide_valid \|\| wide_ready", "= 1'b1", ANY),
    SourceFault("lost words", "width_converter.sv", r"\(!out0_V_TVALID \|\| last\)", "1'b1", ANY),
    SourceFault(
        "output", "accelerator.sv", r"m_axis_tdata = (\w+);", r"m_axis_tdata = ~\1;", (OUTPUT,)
    ),
)
