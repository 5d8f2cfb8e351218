"""Address claim: how a node gets its address, defends it against a higher NAME and yields it to a lower one.

    begin(name, addresses, time_s)  -> (claim, frames)
    hear(claim, time_s, frame)      -> (claim, frames)
    tick(claim, time_s)             -> (claim, frames)

A node may speak while its claim is `CLAIMED`, and not before. One that has lost its address looks for a free one again:
when a holder leaves, and by asking who is there, seldom. Source: behaviour of SAE J1939-81 as implemented in
can-j1939 (MIT).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from packhorse.protocols.j1939.identifier import GLOBAL, NULL, CanFrame, join, split, whole
from packhorse.protocols.j1939.name import name_bytes, split_name
from packhorse.protocols.j1939.request import REQUEST, request, requested

ADDRESS_CLAIMED = 60928
PRIORITY = 6
WAIT_S = 0.25
"""How long a claim must stand unopposed."""
DELAY_UNIT_S = 0.6e-3
"""A node without address waits a share of 153 ms that depends on its NAME, so that several do not speak at once."""
REPEAT_S = 1.0
"""How soon a claim is repeated against a node that speaks from our address without claiming it."""
RETRY_S, ANSWERS_S = 10.0, 1.25
"""How often a node without address asks all others for theirs, and how long it waits for the answers."""
MOVABLE = range(128, 248)
"""Where a node may look for another address."""


class Standing(IntEnum):
    """How far a claim has come."""

    WAITING = 0
    CLAIMED = 1
    LOST = 2


class Claim(NamedTuple):
    """What a node remembers of its own address and those of others."""

    name: int
    address: int  # NULL when lost
    standing: Standing
    since_s: float  # of the standing; of what is to be said, when lost
    silent: bool  # lost, and still to be said
    said_s: float  # when we last claimed
    choices: tuple[int, ...]  # addresses in order of preference
    held: Mapping[int, int]  # address -> NAME of others
    tried_s: float  # when the address was lost, or all others were asked for theirs
    asking: bool = False  # and are answering still
    contended: int = 0  # claims of others for our address
    twins: int = 0  # claims by our very NAME: two nodes are configured alike
    intruders: int = 0  # other messages from our address


Step = tuple[Claim, tuple[CanFrame, ...]]


def choices(name: int, preferred: int) -> tuple[int, ...]:
    """Addresses that a node may claim, in order: the preferred one, and others if its NAME says that it may move."""
    if not split_name(name).may_move:
        return (preferred,)
    return (preferred, *(address for address in MOVABLE if address != preferred))


def begin(name: int, addresses: tuple[int, ...], time_s: float) -> Step:
    """Claim the first of these addresses."""
    claim = Claim(name, NULL, Standing.LOST, time_s, False, time_s, addresses, {}, time_s)
    return _next(claim, time_s)


def hear(claim: Claim, time_s: float, frame: CanFrame) -> Step:
    """Take one frame of the bus in; other frames than claims and requests matter only from our own address."""
    heard = split(frame.can_id)
    if heard.pgn == ADDRESS_CLAIMED:
        return _contend(claim, time_s, heard.source, frame.data) if len(frame.data) == 8 else (claim, ())
    if heard.pgn == REQUEST and requested(whole(frame)) == ADDRESS_CLAIMED:
        return _asked(claim, time_s) if heard.destination in {GLOBAL, claim.address} else (claim, ())
    if heard.source == claim.address and claim.standing is not Standing.LOST:
        claim = claim._replace(intruders=claim.intruders + 1)
        return _say(claim, time_s) if abs(time_s - claim.said_s) >= REPEAT_S else (claim, ())
    return claim, ()


def tick(claim: Claim, time_s: float) -> Step:
    """Let time pass."""
    if time_s < claim.since_s:  # the clock was set back
        return claim._replace(since_s=time_s), ()
    elapsed_s = time_s - claim.since_s
    if claim.standing is Standing.WAITING and elapsed_s >= WAIT_S:
        return claim._replace(standing=Standing.CLAIMED, since_s=time_s), ()
    if claim.silent and elapsed_s >= delay_s(claim.name):
        return _say(claim._replace(silent=False), time_s)
    if claim.standing is Standing.LOST and not claim.silent:
        return _retry(claim, time_s)
    return claim, ()


def _retry(claim: Claim, time_s: float) -> Step:
    """Without an address: claim one that has become free, or find out whether one has."""
    elapsed_s = abs(time_s - claim.tried_s)
    if claim.asking and elapsed_s < ANSWERS_S:
        return claim, ()
    claim = claim._replace(asking=False)
    if _free(claim) != NULL:
        return _next(claim, time_s)
    if elapsed_s < RETRY_S:
        return claim, ()
    return claim._replace(held={}, tried_s=time_s, asking=True), (request(ADDRESS_CLAIMED, NULL),)


def delay_s(name: int) -> float:
    """How long a node of this NAME waits before it says that it has no address."""
    return DELAY_UNIT_S * (sum(name_bytes(name)) & 0xFF)


def _contend(claim: Claim, time_s: float, address: int, data: bytes) -> Step:
    name = int.from_bytes(data, "little")
    ours = address == claim.address and claim.standing is not Standing.LOST
    if name == claim.name:  # answering would have two nodes answer each other for ever
        return claim._replace(twins=claim.twins + 1), ()
    if ours and claim.name < name:
        return _say(claim._replace(contended=claim.contended + 1), time_s)
    held = {place: holder for place, holder in claim.held.items() if holder != name}
    if address < NULL:
        held[address] = name
    claim = claim._replace(held=held)
    return _next(claim._replace(contended=claim.contended + 1), time_s) if ours else (claim, ())


def _asked(claim: Claim, time_s: float) -> Step:
    if claim.standing is not Standing.LOST:
        return _say(claim, time_s)
    return (claim, ()) if claim.silent else (claim._replace(silent=True, since_s=time_s), ())


def _next(claim: Claim, time_s: float) -> Step:
    """Claim the first address that nobody else has, or get ready to say that there is none."""
    free = _free(claim)
    if free == NULL:
        lost = claim._replace(address=NULL, standing=Standing.LOST, since_s=time_s, silent=True)
        return lost._replace(tried_s=time_s, asking=False), ()
    return _say(claim._replace(address=free, standing=Standing.WAITING, since_s=time_s, silent=False), time_s)


def _free(claim: Claim) -> int:
    """The first address of our choice that nobody else is known to have, or NULL."""
    return next((address for address in claim.choices if address not in claim.held), NULL)


def _say(claim: Claim, time_s: float) -> Step:
    can_id = join(PRIORITY, ADDRESS_CLAIMED, GLOBAL, claim.address)
    return claim._replace(said_s=time_s), (CanFrame(can_id, name_bytes(claim.name)),)
