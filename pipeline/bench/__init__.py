"""Benchmarks: ratios between two ways of doing the same, measured by turns in one run."""
