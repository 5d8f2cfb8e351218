"""Packhorse: an open battery management system for electric trucks.

One BMS core runs live on a truck, against a simulated truck and over a fleet's recorded life, with the same bits
in all three. Start reading in `packhorse.bms`; the words it speaks are in `packhorse.pack.words`.
"""

__version__ = "0.1.0"
