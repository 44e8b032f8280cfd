"""A FINN back end that is one module of `hw/rtl` with its parameters and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from pipeline.dataflow import finn_shim  # noqa: F401  (before FINN's operators)

from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend  # isort: skip


@dataclass(frozen=True)
class Kernel:
    """An instance of a module of `hw/rtl`: its parameters and the tables it loads."""

    module: str
    parameters: Mapping[str, int | str]
    tables: Mapping[str, str]


class OwnKernel(RTLBackend):
    """What our back ends share: a wrapper with FINN's port names around one kernel.

    A back end derives from its abstract operator first, whose Python execution stays its
    reference, then from this class.
    """

    def kernel(self, model: ModelWrapper) -> Kernel:
        """The instance that computes this node."""
        raise NotImplementedError

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        kernel, folder = self.kernel(model), Path(self.get_nodeattr("code_gen_dir_ipgen"))
        name = self.onnx_node.name
        widths = self.get_instream_width_padded(), self.get_outstream_width_padded()
        (folder / f"{name}.v").write_text(wrapper_text(name, kernel, *widths))
        for table, text in kernel.tables.items():
            (folder / table).write_text(text)
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """The wrapper; its kernel is a file of `hw/rtl`, which codegen adds."""
        folder = self.get_nodeattr("code_gen_dir_ipgen") + "/" if abspath else ""
        return [f"{folder}{self.onnx_node.name}.v"]

    def code_generation_ipi(self) -> list[str]:
        """Vivado takes our nodes as part of the whole top, never one by one."""
        return []


def wrapper_text(name: str, kernel: Kernel, in_bits: int, out_bits: int) -> str:
    """A module `name` with FINN's ports around one kernel."""
    parameters = ",\n".join(f"    .{k}({_literal(v)})" for k, v in kernel.parameters.items())
    return f"""module {name} (
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire [{in_bits - 1}:0] in0_V_TDATA,
  input  wire in0_V_TVALID,
  output wire in0_V_TREADY,
  output wire [{out_bits - 1}:0] out0_V_TDATA,
  output wire out0_V_TVALID,
  input  wire out0_V_TREADY
);
  {kernel.module} #(
{parameters}
  ) kernel (
    .ap_clk(ap_clk),
    .ap_rst_n(ap_rst_n),
    .in0_V_TDATA(in0_V_TDATA),
    .in0_V_TVALID(in0_V_TVALID),
    .in0_V_TREADY(in0_V_TREADY),
    .out0_V_TDATA(out0_V_TDATA),
    .out0_V_TVALID(out0_V_TVALID),
    .out0_V_TREADY(out0_V_TREADY)
  );
endmodule
"""


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
