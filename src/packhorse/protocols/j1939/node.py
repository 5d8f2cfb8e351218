"""Our battery as a node on the truck's bus.

    start(settings, time_s)                                   -> (node, frames)
    hear(node, settings, time_s, frame)                       -> (node, frames)
    requests(node, settings, time_s)                          -> what is asked of the battery
    vehicle(node.told, time_s, settings.pitch_sign)           -> what is known of the vehicle
    counts(node)                                              -> what went wrong so far
    speak(node, settings, moment, time_s)                     -> (node, frames)

Pure, and never raises whatever it hears. It speaks only while its address is claimed, and answers when it speaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from packhorse.protocols.j1939 import claim, diagnostics, transport
from packhorse.protocols.j1939.claim import Claim, Standing
from packhorse.protocols.j1939.diagnostics import DM1, DM2, DM3, DM11, DM12, Recorded
from packhorse.protocols.j1939.hvess import decode, system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Message, is_sound, single, split, whole
from packhorse.protocols.j1939.request import REQUEST, Answer, acknowledge, request, requested
from packhorse.protocols.j1939.settings import Settings
from packhorse.protocols.j1939.spoken import Moment, encoded, spoken
from packhorse.protocols.j1939.transport import Transport
from packhorse.protocols.j1939.vehicle import take, vehicle

CONTROL = "HVESSC1"
EARLY_S = 0.5e-3
"""A message is due this much before its time, so that the rounding of clocks does not cost it a tick."""
DM1_PERIOD_S, DM1_FASTEST_S = 1.0, 0.1
TROUBLE_FASTEST_S = 1.0
"""No fault has more than one change told between the regular DM1 in this time, however often it comes and goes."""
QUESTIONS = 16
"""As many requests of others wait for an answer."""
STANDING_M_PER_S = 0.5
"""A vehicle that moves faster does not have its faults cleared."""
ASK_MASS_S = 10.0
"""How often the mass of the vehicle is asked for while nobody tells it."""
URGENT, USUAL = 3, 6
"""Priorities: of what is sent ten times a second or faster, and of everything else."""
URGENT_PERIOD_S = 0.1


class Question(NamedTuple):
    """A parameter group that somebody asks for; `directed` at us alone, or at everyone."""

    pgn: int
    source: int
    directed: bool


class Sent(NamedTuple):
    """When a message went out last, what it said, and when it is due again."""

    data: bytes
    time_s: float
    due_s: float


class Node(NamedTuple):
    """All that the node remembers."""

    claim: Claim
    transport: Transport = Transport()
    sent: Mapping[str, Sent] = {}
    questions: tuple[Question, ...] = ()
    recorded: Recorded = Recorded()
    told: Mapping[int, tuple[float, float]] = {}  # by place in `vehicle.SOURCES`: value, and when
    control: Mapping[str, tuple[float, float]] = {}  # by signal of HVESSC1: last value that was one, and when
    control_s: float = math.nan  # when the last HVESSC1 was heard
    reset: float = 0.0  # a tool asks for faults to be cleared
    changed: Mapping[int, float] = {}  # by fault: when its coming or going was last told outside the rhythm
    told_active: frozenset[int] = frozenset()  # faults in the last DM1
    asked_mass_s: float = -math.inf
    malformed: int = 0
    refused: int = 0  # requests beyond those that can wait


class Requests(NamedTuple):
    """What the truck asks of the battery; 0 or 1, NaN where it does not say."""

    heard: float
    drive_request: float
    charge_request: float
    reset_request: float
    balancing: float
    power_down: float


Step = tuple[Node, tuple[CanFrame, ...]]


def start(settings: Settings, time_s: float) -> Step:
    """A node that claims its address."""
    claimed, frames = claim.begin(settings.name, claim.choices(settings.name, settings.address), time_s)
    return Node(claimed), frames


def hear(node: Node, settings: Settings, time_s: float, frame: CanFrame) -> Step:
    """Take one frame of the bus in; gives back what has to be said at once."""
    if not is_sound(frame):
        return node._replace(malformed=node.malformed + 1), ()
    claimed, frames = claim.hear(node.claim, time_s, frame)
    if claimed.address != node.claim.address:  # sessions with our old address are over
        node = node._replace(transport=Transport(counts=node.transport.counts), questions=())
    node = node._replace(claim=claimed)
    own = claimed.address
    if split(frame.can_id).pgn not in {transport.CONNECTION, transport.DATA}:
        return _take(node, settings, time_s, whole(frame)), frames
    sessions, messages, more = transport.hear(node.transport, time_s, own, frame)
    node = node._replace(transport=sessions)
    for message in messages:
        node = _take(node, settings, time_s, message)
    return node, frames + more if claimed.standing is Standing.CLAIMED else frames


def requests(node: Node, settings: Settings, time_s: float) -> Requests:
    """What is asked of the battery now.

    A signal that is not available holds what it said before, for as long as silence is forgiven; after that, or when
    the controller has fallen silent, nothing is asked.
    """
    patience_s, on = settings.silence_s, float(settings.codes["command"]["on"])
    told = {name: value for name, (value, heard_s) in node.control.items() if abs(time_s - heard_s) <= patience_s}
    off = told.get("power_down_command") == on
    able = not off and (told.get("operation_consent") == on or not settings.consent_needed)
    return Requests(
        heard=float(abs(time_s - node.control_s) <= patience_s),
        drive_request=float(able and told.get("connect_command") == on),
        charge_request=float(able and told.get("internal_charger_command") == on),
        reset_request=node.reset,
        balancing=told.get("balancing_command", math.nan),
        power_down=float(off),
    )


def counts(node: Node) -> dict[str, int]:
    """What went wrong on the bus so far, by name: for people to see."""
    claimed = node.claim
    return {
        "address_contended": claimed.contended,
        "address_used_by_others": claimed.intruders,
        "name_used_by_others": claimed.twins,
        "malformed": node.malformed + node.transport.counts.malformed,
        "requests_refused": node.refused,
        **{f"sessions_{name}": n for name, n in node.transport.counts._asdict().items() if name != "malformed"},
    }


def speak(node: Node, settings: Settings, moment: Moment, time_s: float) -> Step:
    """Say whatever is due: on time, on change, on request."""
    claimed, frames = claim.tick(node.claim, time_s)
    recorded = diagnostics.follow(node.recorded, moment.state.watch.active)
    node = node._replace(claim=claimed, recorded=recorded, reset=0.0)
    if claimed.standing is not Standing.CLAIMED:
        return node, frames
    sessions, more = transport.tick(node.transport, time_s, claimed.address)
    node, answers = _answer(node._replace(transport=sessions), settings, moment, time_s)
    node, due = _due(node, settings, moment, time_s)
    node, troubles = _troubles(node, settings, moment, time_s)
    node, questions = _ask(node, time_s)
    return node, (*frames, *more, *answers, *due, *troubles, *questions)


def _take(node: Node, settings: Settings, time_s: float, message: Message) -> Node:
    """Take a whole message in."""
    ours = node.claim.address if node.claim.standing is not Standing.LOST else GLOBAL
    if message.destination not in {ours, GLOBAL}:
        return node
    if message.pgn == REQUEST:
        return _asked(node, message)
    control = system_layouts()[CONTROL]
    if message.pgn == control.pgn:
        if settings.controller not in {None, message.source}:
            return node
        said = decode(control, message.data).values
        fresh = {name: (value, time_s) for name, value in said.items() if not math.isnan(value)}
        return node._replace(control={**node.control, **fresh}, control_s=time_s)
    return node._replace(told=take(node.told, time_s, message))


def _asked(node: Node, message: Message) -> Node:
    pgn = requested(message)
    if pgn is None:
        return node._replace(malformed=node.malformed + 1)
    question = Question(pgn, message.source, message.destination != GLOBAL)
    if pgn == claim.ADDRESS_CLAIMED or question in node.questions:
        return node
    if len(node.questions) >= QUESTIONS:
        return node._replace(refused=node.refused + 1)
    return node._replace(questions=(*node.questions, question))


def _answer(node: Node, settings: Settings, moment: Moment, time_s: float) -> Step:
    """Answer whoever has asked."""
    frames: tuple[CanFrame, ...] = ()
    questions, node = node.questions, node._replace(questions=())
    for question in questions:
        data = _content(node, settings, moment, question.pgn)
        if data is not None:
            destination = question.source if question.directed else GLOBAL
            node, more = _send(node, time_s, question.pgn, data, USUAL, destination)
            frames += more
            continue
        node, answer = _clear(node, settings, question.pgn, time_s)
        if question.directed:
            frames += (acknowledge(answer, question.pgn, node.claim.address, question.source),)
    return node, frames


def _clear(node: Node, settings: Settings, pgn: int, time_s: float) -> tuple[Node, Answer]:
    """Forget faults that are gone (DM3), or active ones and ask the BMS to let go of what is latched (DM11)."""
    if pgn not in {DM3, DM11}:
        return node, Answer.UNKNOWN
    if not settings.may_clear or vehicle(node.told, time_s).speed_m_per_s > STANDING_M_PER_S:
        return node, Answer.DENIED
    if pgn == DM3:
        return node._replace(recorded=diagnostics.clear_previous(node.recorded)), Answer.DONE
    return node._replace(recorded=diagnostics.clear_active(node.recorded), reset=1.0), Answer.DONE


def _content(node: Node, settings: Settings, moment: Moment, pgn: int) -> bytes | None:
    """What we have to say under a parameter group; None where it is not one of ours."""
    if pgn in {DM1, DM2, DM12}:
        # a battery has no faults that concern emissions, so DM12 has its lamps and no codes
        faults = {DM1: node.recorded.active, DM2: node.recorded.previous}.get(pgn, {})
        return _diagnosis(node, settings, moment, faults)
    for said in spoken(settings, moment.pack.strings).values():
        if said.layout.pgn == pgn:
            return encoded(settings, moment, said)
    return None


def _diagnosis(node: Node, settings: Settings, moment: Moment, faults: Mapping[int, int]) -> bytes:
    severity = moment.pack.faults.severity
    lamps = diagnostics.diagnosis(node.recorded.active, severity).lamps
    found = diagnostics.diagnosis(faults, severity, settings.first_own_spn)
    return diagnostics.encode(found._replace(lamps=lamps))


def _due(node: Node, settings: Settings, moment: Moment, time_s: float) -> Step:
    """Say what is due by time or by change; the first time spread over each period, so that not all comes at once."""
    frames: list[CanFrame] = []
    sent = dict(node.sent)
    regular = [said for said in spoken(settings, moment.pack.strings).values() if said.layout.period_s > 0.0]
    for place, said in enumerate(regular):
        layout = said.layout
        first = Sent(b"", -math.inf, time_s + layout.period_s * place / len(regular))
        was = sent.setdefault(layout.name, first)
        due, may_change = _is_due(was, time_s, layout.period_s, layout.fastest_s)
        if due or may_change:
            data = encoded(settings, moment, said)
            if due or data != was.data:
                sent[layout.name] = _now_sent(was, data, time_s, layout.period_s)
                priority = URGENT if layout.period_s <= URGENT_PERIOD_S else USUAL
                message = Message(layout.pgn, node.claim.address, GLOBAL, data, priority)
                frames.append(single(message))
    return node._replace(sent=sent), tuple(frames)


def _troubles(node: Node, settings: Settings, moment: Moment, time_s: float) -> Step:
    """DM1, once a second and when a fault comes or goes, of each fault no more than once a second."""
    was = node.sent.get("DM1", Sent(b"", -math.inf, time_s))
    due, may_change = _is_due(was, time_s, DM1_PERIOD_S, DM1_FASTEST_S)
    active = frozenset(node.recorded.active)
    patient = {code for code, told_s in node.changed.items() if abs(time_s - told_s) < TROUBLE_FASTEST_S}
    fresh = (active ^ node.told_active) - patient
    if not (due or (may_change and fresh)):
        return node, ()
    changed = {**node.changed, **dict.fromkeys(fresh, time_s)}
    data = _diagnosis(node, settings, moment, node.recorded.active)
    sent = {**node.sent, "DM1": _now_sent(was, data, time_s, DM1_PERIOD_S)}
    return _send(node._replace(sent=sent, told_active=active, changed=changed), time_s, DM1, data, USUAL, GLOBAL)


def _ask(node: Node, time_s: float) -> Step:
    """Ask for the mass of the vehicle, which is told on request only."""
    known = not math.isnan(vehicle(node.told, time_s).mass_kg)
    if known or abs(time_s - node.asked_mass_s) < ASK_MASS_S:
        return node, ()
    question = request(system_layouts()["CVW"].pgn, node.claim.address)
    return node._replace(asked_mass_s=time_s), (question,)


def _is_due(was: Sent, time_s: float, period_s: float, fastest_s: float) -> tuple[bool, bool]:
    """Whether a message is due by time, and whether it may be sent again should it have changed."""
    due_s = min(was.due_s, time_s + period_s)  # should the clock have been set back
    return time_s >= due_s - EARLY_S or due_s < was.due_s, time_s - was.time_s >= fastest_s - EARLY_S


def _now_sent(was: Sent, data: bytes, time_s: float, period_s: float) -> Sent:
    """The record of a message that goes out now; it keeps its rhythm unless it has lost it."""
    due_s = was.due_s + period_s
    return Sent(data, time_s, due_s if time_s < due_s <= time_s + period_s + EARLY_S else time_s + period_s)


def _send(node: Node, time_s: float, pgn: int, data: bytes, priority: int, destination: int) -> Step:
    """A message of any length, as a frame or as a session."""
    message = Message(pgn, node.claim.address, destination, data, priority)
    if len(data) < transport.SHORTEST:
        return node, (single(message),)
    sessions, frames = transport.send(node.transport, time_s, message)
    return node._replace(transport=sessions), frames
