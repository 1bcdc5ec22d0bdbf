"""Which claims of the four papers hold at a size that trains on two cores, on real recordings."""
