"""What is forbidden: judges raw measurements against the fault table. Never imports estimation."""
