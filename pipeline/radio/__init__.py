"""Radio signals: modulations, the channel, the synthetic set, RadioML's HDF5 layout."""
