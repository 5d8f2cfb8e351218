"""The outside world: log files and results on disk. The only room that touches it."""
