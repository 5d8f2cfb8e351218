"""What is believed: the charge of every cell, with its uncertainty."""
