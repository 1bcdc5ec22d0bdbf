"""Networks that might have become the default one, trained alike and held against each other."""
