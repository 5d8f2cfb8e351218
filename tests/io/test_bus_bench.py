"""The benchmark of the bus at a small size: it runs, we and our peers say the same, and our node is in it."""

from __future__ import annotations

import bus as bench

SMALL = bench.Size(frames=4_000, sample=200, text=1_000, calls=20, strings=1, series=12)


def test_every_figure_is_measured_and_stands_beside_its_bar() -> None:
    found = bench.measure(SMALL)
    assert {"decode_over_cantools", "read_blf", "live", "node"} <= set(found)
    node = found["node"]
    assert (node["bar"], node["bar_is"], node["unit"]) == (5.0, "at most", "%")
    assert node["measured"] > 0.0
    assert "1 strings x 12 cells" in node["note"]
