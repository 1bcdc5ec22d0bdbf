"""The parts of `soundquarry evaluate`: lists of mixtures, their scores, and what is told of them."""
