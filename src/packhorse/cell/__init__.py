"""Physics of one cell: charge, relaxation, hysteresis, voltage, heat.

Scalar functions, shared by estimation and the twin, which call them with different parameters. Positive current
discharges. Validity: an equivalent circuit with two RC pairs describes the terminal voltage of a lithium-ion cell
from about 0.1 s to hours and up to a few C; it knows nothing of concentration limits at very high rates.
"""
