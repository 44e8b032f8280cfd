"""Measurements: of speed, as ratios by turns in one run, and of what a choice costs."""
