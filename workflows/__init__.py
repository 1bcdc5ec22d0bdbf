"""What people run: the command line, and one short file per workflow."""
