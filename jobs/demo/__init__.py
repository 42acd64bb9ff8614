"""Every family and head on small checkpoints with random weights: no network, no downloads."""
