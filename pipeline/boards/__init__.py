"""Boards: what an accelerator is built for."""
