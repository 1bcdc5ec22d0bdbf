"""Pure PyTorch: CLAP towers, separators, conditions, losses, metrics, training. No Ray; no I/O beyond a checkpoint
path."""
