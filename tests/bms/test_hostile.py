"""Whatever is heard, the core stays sane: properties over hostile frames."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from packhorse import bms
from packhorse.pack.words import Frame, Output, Reaction, Stage, State
from packs import calm, closed, small_pack

PACK = small_pack()
CLOSED = closed(PACK)
REACTIONS = PACK.faults.reaction

anything = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1e4, 1e4) | st.floats(2.0, 4.5)
flag = st.sampled_from([0.0, 1.0, float("nan"), -1.0, 2.0])


def block(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, shape, elements=anything)


frames = st.builds(
    Frame,
    time_s=anything,
    cell_V=block(2, 5),
    probe_degC=block(2, 2),
    string_A=block(2),
    string_V=block(2),
    age_s=block(2, 3),
    contactor=block(2, 3),
    link_V=anything,
    isolation_ohm=anything,
    hvil=flag,
    inlet_degC=anything,
    outlet_degC=anything,
    ambient_degC=anything,
    drive_request=flag,
    charge_request=flag,
    reset_request=flag,
)


def sane(was: State, state: State, output: Output) -> None:
    soc, sigma = state.belief.soc, state.belief.covariance[:, 0, :]
    assert np.all((soc >= 0) & (soc <= 1))
    assert np.all((sigma > 0) & (sigma <= 0.2501))
    limits = output.limits
    for value in (limits.discharge_A, limits.charge_A, limits.discharge_W, limits.charge_W):
        assert np.isfinite(value)
        assert value >= 0
    assert np.isfinite(limits.string_A).all()
    assert np.isfinite(output.command.charge_A)
    assert output.command.charge_A >= 0
    for name in ("pump", "chiller", "radiator", "heater"):
        assert 0 <= getattr(output.command, name) <= 1
    assert np.isin(output.command.bleed, (0, 1)).all()
    assert np.isin(state.control.stage, list(Stage)).all()
    tripping = np.array([any(state.watch.active[REACTIONS >= Reaction.OPEN_AFTER_WARNING, s] > 0) for s in range(2)])
    for s in range(2):
        newly_closed = output.command.contactor[s, 1] > 0 and was.control.contactor[s, 1] == 0
        assert not (newly_closed and tripping[s])
        assert not (output.command.contactor[s, 1] > 0 and output.command.contactor[s, 2] > 0)


@given(st.lists(frames, min_size=1, max_size=6), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_hostile_frame_never_breaks_the_core(heard: list[Frame], driving: bool) -> None:
    state = CLOSED if driving else bms.start(PACK)
    for frame in heard:
        was = state
        state, output = bms.step(PACK, state, frame)
        sane(was, state, output)


@given(st.lists(frames, min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_belief_recovers_after_hostile_frames(heard: list[Frame]) -> None:
    state = CLOSED
    for frame in heard:
        state, _ = bms.step(PACK, state, frame._replace(time_s=state.time_s + 0.1))
    quiet = calm(PACK)
    for _ in range(200):
        state, output = bms.step(PACK, state, quiet._replace(time_s=state.time_s + 60.0))
    assert np.isfinite(state.belief.rc1_V).all()
    assert abs(output.estimate.soc - 0.5) < 0.1


@given(
    arrays(np.float64, REACTIONS.size, elements=st.sampled_from([0.0, 0.0, 0.0, 1.0])),
    arrays(np.float64, REACTIONS.size, elements=st.sampled_from([0.0, 0.0, 0.0, 1.0])),
    st.floats(-200, 200),
    st.floats(3.0, 4.15),
)
@settings(max_examples=300, deadline=None)
def test_limits_never_grow_with_more_faults(
    some: np.ndarray, more: np.ndarray, current_A: float, cell_V: float
) -> None:
    frame = calm(PACK, CLOSED.time_s + 0.1, drive_request=1.0, contactor=CLOSED.control.contactor)
    frame = frame._replace(
        cell_V=np.full((2, 5), cell_V), string_V=np.full(2, 5 * cell_V), string_A=np.full(2, current_A)
    )

    def with_faults(active: np.ndarray) -> Output:
        watch = CLOSED.watch._replace(active=np.ascontiguousarray(np.repeat(active[:, None], 2, axis=1)))
        return bms.step(PACK, CLOSED._replace(watch=watch), frame)[1]

    few, many = with_faults(some).limits, with_faults(np.maximum(some, more)).limits
    assert many.discharge_A <= few.discharge_A
    assert many.charge_A <= few.charge_A
    assert many.discharge_W <= few.discharge_W + 1e-6
    assert many.charge_W <= few.charge_W + 1e-6
    assert np.all(many.string_A <= few.string_A)


@given(st.lists(frames, min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_contactors_never_close_on_a_tripped_pack(heard: list[Frame]) -> None:
    tripped = CLOSED._replace(
        watch=CLOSED.watch._replace(active=np.ones_like(CLOSED.watch.active)),
        control=CLOSED.control._replace(stage=np.full(2, float(Stage.TRIPPED)), contactor=np.zeros((2, 3))),
    )
    state = tripped
    for frame in heard:
        state, output = bms.step(PACK, state, frame._replace(reset_request=0.0))
        assert not output.command.contactor.any()
        assert output.limits.discharge_A == 0
        assert output.limits.charge_A == 0
