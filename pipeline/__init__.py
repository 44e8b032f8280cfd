"""amcflow: from a PyTorch radio-signal classifier to a verified FPGA accelerator."""
