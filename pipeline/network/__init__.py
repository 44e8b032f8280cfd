"""The classifier: its layers and quantizers, training, and the loading of others' weights."""
