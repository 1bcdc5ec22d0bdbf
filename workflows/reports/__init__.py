"""The HTML report of a dataset: its page, its timeline, its examples."""
