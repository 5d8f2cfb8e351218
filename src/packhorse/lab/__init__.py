"""Laboratory work: measurements of a cell become its cell file, and estimates are scored against the tester."""
