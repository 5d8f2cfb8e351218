"""The mains: command line, live view, replay and its report."""
