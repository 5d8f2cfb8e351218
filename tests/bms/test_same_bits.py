"""One core, same bits: one life against the twin, live by a clock, and replayed, cut and resumed anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse import bms, twin
from packhorse.io import logs, state
from packhorse.pack.words import Frame, Frames, Output, Record, State
from packs import stacked
from trucks import Moment, along, live, pack_of

TRUCK = "light"
FAULTS = (
    twin.Fault(twin.Kind.CELL_SILENT, 40.0, 50.0, 0, 7, 0.0),
    twin.Fault(twin.Kind.ISOLATION, 70.0, 75.0, -1, -1, 20_000.0),
    twin.Fault(twin.Kind.CURRENT_SILENT, 100.0, 104.0, 1, -1, 0.0),
)


@cache
def life() -> list[Moment]:
    """Three minutes in the city in which a cell falls silent, the isolation drops and a current sensor fails."""
    return live(TRUCK, 180.0, along("urban"), soc=0.6, faults=FAULTS)


def hashes(outputs: list[Output]) -> list[str]:
    return [bms.fingerprint(output) for output in outputs]


def recorded(outputs: list[Output], times: list[float]) -> list[np.ndarray]:
    """The fields of a record, as a replay should have kept them."""
    out = [
        times,
        [o.estimate.soc for o in outputs],
        [o.estimate.soc_sigma for o in outputs],
        [o.estimate.energy_kWh for o in outputs],
        [o.estimate.energy_sigma_kWh for o in outputs],
        [o.estimate.string_soc for o in outputs],
        [o.estimate.string_soc_sigma for o in outputs],
        [o.estimate.soc_min for o in outputs],
        [o.estimate.soc_max for o in outputs],
        [o.signal for o in outputs],
        [o.place for o in outputs],
        [o.limits[:4] for o in outputs],
        [o.limits[4:6] for o in outputs],
        [o.command.stage for o in outputs],
        [o.command.bleed.sum(axis=1) for o in outputs],
        [o.command[2:6] for o in outputs],
        [o.command[6:8] for o in outputs],
        [o.estimate.power_W for o in outputs],
        [o.estimate.health for o in outputs],
        [o.estimate.health_sigma for o in outputs],
        np.concatenate([o.events for o in outputs]),
    ]
    return [np.asarray(field, dtype=np.float64) for field in out]


def joined(records: list[Record]) -> list[np.ndarray]:
    return [np.concatenate(fields) for fields in zip(*records, strict=True)]


def logged(folder: Path) -> Frames:
    """The life written as a log of our own and read back through the door."""
    path = folder / "life.parquet"
    logs.to_table(stacked([m.frame for m in life()])).write_parquet(path)
    blocks = list(logs.open_log(path, None, pack_of(TRUCK)).blocks())
    assert len(blocks) == 1
    return blocks[0].frames


class Clock:
    """A clock that jitters, as clocks of computers do; it paces, and must not change a bit."""

    def __init__(self) -> None:
        self.now_s = 1e9
        self.dice = np.random.default_rng(5)

    def wait(self, until_s: float) -> None:
        self.now_s = max(self.now_s, until_s) + float(self.dice.exponential(0.004))


def by_the_clock(clock: Clock) -> Iterator[Frame]:
    """The frames of the life as a bus would deliver them: when their time has come."""
    begin_s = clock.now_s
    for moment in life():
        clock.wait(begin_s + moment.frame.time_s)
        yield moment.frame


def test_live_by_a_clock_gives_the_bits_of_the_twin() -> None:
    clock = Clock()
    outputs = [output for _frame, _state, output in bms.run(pack_of(TRUCK), by_the_clock(clock))]
    assert clock.now_s > 1e9 + 179.0
    assert hashes(outputs) == hashes([m.output for m in life()])


def test_replay_of_the_recorded_log_gives_the_bits_of_the_twin(tmp_path: Path) -> None:
    pack, frames = pack_of(TRUCK), logged(tmp_path)
    now, record = bms.replay(pack, bms.start(pack), frames)
    expected = recorded([m.output for m in life()], [m.frame.time_s for m in life()])
    assert bms.fingerprint(tuple(record)) == bms.fingerprint(tuple(expected))
    assert bms.fingerprint(now) == bms.fingerprint(life()[-1].state)
    assert record.events.shape[0] >= 6
    outputs = [output for _f, _s, output in bms.run(pack, (bms.frame_at(frames, k) for k in range(frames.time_s.size)))]
    assert hashes(outputs) == hashes([m.output for m in life()])


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 1799), min_size=1, max_size=5, unique=True))
def test_a_life_cut_saved_and_resumed_anywhere_gives_the_same_bits(cuts: list[int], tmp_path_factory: object) -> None:
    pack = pack_of(TRUCK)
    folder = tmp_path_factory.mktemp("cut")  # type: ignore[attr-defined]
    frames = stacked([m.frame for m in life()])
    now: State = bms.start(pack)
    records: list[Record] = []
    bounds = [0, *sorted(cuts), frames.time_s.size]
    for begin, end in itertools.pairwise(bounds):
        part = Frames(*(np.ascontiguousarray(field[begin:end]) for field in frames))
        now, record = bms.replay(pack, now, part)
        records.append(record)
        state.save_state(folder / "state.npz", now)
        now = state.load_state(folder / "state.npz", pack)
    expected = recorded([m.output for m in life()], [m.frame.time_s for m in life()])
    assert bms.fingerprint(tuple(joined(records))) == bms.fingerprint(tuple(expected))
    assert bms.fingerprint(now) == bms.fingerprint(life()[-1].state)


def test_one_bit_in_one_cell_changes_the_fingerprint() -> None:
    frame = life()[-1].frame
    other = frame.cell_V.copy()
    other[0, 0] = np.nextafter(other[0, 0], 5.0)
    assert bms.fingerprint(frame) != bms.fingerprint(frame._replace(cell_V=other))
