"""What layers take of a device, estimated from their parameters alone."""
