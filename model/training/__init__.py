"""Training: one resumable loop (`loop.py`), one file per task that says what a step is."""
