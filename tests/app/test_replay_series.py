"""Thinned series keep every extreme, and pauses stay pauses."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from packhorse.app.report.life import Gap
from packhorse.app.report.series import clock, grid, thin
from packhorse.io.answers import middle

values = arrays(np.float64, st.integers(2, 300), elements=st.one_of(st.just(np.nan), st.floats(-1e3, 1e3)))


@given(column=values, points=st.integers(4, 100), cuts=st.sets(st.integers(0, 298), max_size=5))
def test_extremes_survive_thinning_and_pauses_break_the_line(column: np.ndarray, points: int, cuts: set[int]) -> None:
    gaps = [Gap(row, 100.0) for row in sorted(cuts) if row < column.size - 1]
    on = grid(column.size, gaps, points)
    time_s = np.arange(column.size, dtype=np.float64)
    for gap in gaps:
        time_s[gap.row + 1 :] += gap.length_s
    thinned, high, low = thin(on, column), thin(on, column, "high"), thin(on, column, "low")
    real, shrunk = clock(on, time_s)
    assert thinned.size == real.size == shrunk.size == high.size
    if np.isfinite(column).any():
        assert np.nanmax(thinned) == np.nanmax(high) == np.nanmax(column)
        assert np.nanmin(thinned) == np.nanmin(low) == np.nanmin(column)
    assert (np.diff(real) >= 0.0).all()
    assert (np.diff(shrunk) >= 0.0).all()
    assert real[-1] == time_s[-1] - time_s[0]
    assert thinned.size <= points + 3 * (len(gaps) + 1) + 2
    sound = thin(on, np.nan_to_num(column))
    assert np.isnan(sound).sum() == len(gaps)


@given(values=arrays(np.float64, (5, 7), elements=st.one_of(st.just(np.nan), st.floats(-1e3, 1e3))))
def test_the_middle_is_the_median_of_what_is_known(values: np.ndarray) -> None:
    for row, found in zip(values, middle(values), strict=True):
        known = row[np.isfinite(row)]
        np.testing.assert_array_equal([found], [np.median(known) if known.size else np.nan])
