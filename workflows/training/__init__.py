"""What the `train` command is made of: clips in, the run on Ray, curves and the exported model out."""
