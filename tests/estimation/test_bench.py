"""The benchmark of the estimator at a small size: it runs, and its peers agree with the core."""

from __future__ import annotations

import json

import pytest

import compiled_c
import estimation as bench
import figures
import filterpy_cells

SMALL = bench.Size(strings=1, series=6, times=40, numpy_times=30, filterpy_times=5, drive_s=200, live=False)


@pytest.mark.filterwarnings("ignore")  # what a peer says of itself is not ours to judge
def test_all_is_measured_that_can_be_and_peers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "REPEATS", 1)
    monkeypatch.setattr(compiled_c, "peaks", lambda: (1e10, 1e10))
    found = bench.measure(SMALL)
    assert json.loads(json.dumps(found)) == found
    assert found["over_numpy"]["measured"] > 0.0
    assert found["rejected"]["measured"] > 0.0
    assert (found["over_c"]["measured"] is None) != compiled_c.installed()
    assert (found["over_filterpy"]["measured"] is None) != filterpy_cells.installed()


def test_a_peer_that_is_apart_is_said() -> None:
    with pytest.raises(ValueError, match="apart"):
        bench.checked("NumPy", 1.0, 1.1)


def test_a_section_is_written_beside_others(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(figures, "PAGE", tmp_path / "performance.md")
    for name, body in (("core", "one"), ("estimation", "two"), ("core", "three")):
        figures.put(name, name.capitalize(), f"{body}\n")
    page = figures.PAGE.read_text(encoding="utf-8")
    assert page.startswith("# How fast")
    assert "one" not in page.split("## Core")[1].split("<!--")[0]
    assert page.index("three") < page.index("two")
