"""The zero-skipping engine's plans: which nonzero weight is computed where and when.

A plan is a value with a check that proves it, by its own arithmetic, to be the layer it was made
for; code generation only writes down what a plan says.
"""
