"""Synthesis with Yosys: what the layers of an accelerator take, and how deep their logic is."""
