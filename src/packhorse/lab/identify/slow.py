"""Slow tests: the open-circuit voltage of discharge and charge, and the capacity, at each temperature."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.cell.physics import SECONDS_PER_HOUR
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.training import alike, moved_Ah, steps_s, typical_degC
from packhorse.pack.compile import SOC_GRID
from packhorse.pack.words import SOC_NODES, Array

SLOW_RATE = 1 / 8
"""A current of less than this share of the capacity per hour leaves the cell near its equilibrium."""
WHOLE_SHARE = 0.6
"""A branch that moves less than this share of the largest charge moved is a piece of something else."""
SAME_CHARGE = 0.08
"""Branches that move charges that differ by less than this share run over the same range. In the cold one that differs
by more ended early; in the warm no cell does, and an offset of the tester's current is the likely reason, which the
mean of both ways is free of."""
WARM_DEGC = 15.0
CAPACITY_DOUBT = 0.02
"""No capacity is known better than this share, of a cell of the same kind (assumed)."""
TAIL = 0.95
"""Beyond this share of a charge that ended early its voltage says more of its end than of the equilibrium."""
LEAST_STEP_V = 2e-5
"""OCV rises at least this much from node to node, so that it can be turned round."""


class Branch(NamedTuple):
    """One whole slow discharge or charge."""

    degC: float
    discharge: bool
    charge_Ah: float
    voltage_V: Array  # (SOC_NODES,) over the SOC of this branch


class Slow(NamedTuple):
    """What slow tests say at one temperature. A branch that was not measured is None."""

    degC: float
    capacity_Ah: float
    doubt: float  # share of the capacity, one sigma
    discharge: Branch | None
    charge: Branch | None

    def half_V(self) -> Array | None:
        """Half of what parts charge from discharge, (SOC_NODES,); None without both."""
        if self.discharge is None or self.charge is None:
            return None
        return 0.5 * (self.charge.voltage_V - self.discharge.voltage_V)


def runs(log: CellLog, capacity_Ah: float) -> list[slice]:
    """Stretches of slow current in one direction, gaps and rests of less than `HEARD_S` included."""
    small, least = SLOW_RATE * capacity_Ah, 0.002 * capacity_Ah
    sign = np.where(np.abs(log.current_A) < least, 0, np.sign(log.current_A))
    sign = np.where(np.abs(log.current_A) > small, 9, sign)
    found: list[slice] = []
    start, way = 0, 0
    for k in range(sign.size + 1):
        here = 9 if k == sign.size else int(sign[k])
        if here != way:
            if abs(way) == 1 and k - start > 5:
                found.append(slice(start, k))
            start, way = k, here
    return found


def largest_Ah(logs: list[CellLog]) -> float:
    """The largest charge that any log moves in one direction: a first guess of the capacity."""
    return max((float(np.ptp(moved_Ah(log))) for log in logs), default=0.0)


def branches(logs: list[CellLog]) -> list[Branch]:
    """Every whole slow discharge or charge in the logs. Raises ValueError where there is none."""
    guess_Ah = largest_Ah(logs)
    found: list[Branch] = []
    for log in logs:
        dt = steps_s(log)
        for part in runs(log, guess_Ah):
            charge = np.cumsum(dt[part] * log.current_A[part]) / SECONDS_PER_HOUR
            total = float(abs(charge[-1]))
            if total < WHOLE_SHARE * guess_Ah:
                continue
            out = charge[-1] > 0
            soc = 1.0 - charge / total if out else -charge / total
            order = np.argsort(soc)
            degC = typical_degC(CellLog(log.name, *(column[part] for column in log[1:])))
            voltage = np.interp(SOC_GRID, soc[order], log.cell_V[part][order])
            found.append(Branch(degC, bool(out), total, voltage))
    if not found:
        where = (
            f"no whole slow discharge or charge in {', '.join(log.name for log in logs)}" if logs else "no slow test"
        )
        raise ValueError(
            f"{where}: the open-circuit voltage needs one at less than C/{1 / SLOW_RATE:.0f} from full to empty; "
            "give one with --ocv"
        )
    return found


def slow_tests(logs: list[CellLog]) -> list[Slow]:
    """Branches paired by temperature, rising. Capacity is the charge of the slow discharge, or else of the charge."""
    return [paired(group) for group in alike(branches(logs), lambda branch: branch.degC)]


def paired(group: list[Branch]) -> Slow:
    """The longest discharge and the longest charge of one temperature, over one SOC."""
    discharge = max((b for b in group if b.discharge), key=lambda b: b.charge_Ah, default=None)
    charge = max((b for b in group if not b.discharge), key=lambda b: b.charge_Ah, default=None)
    main = discharge or group[0]
    capacity_Ah, doubt = main.charge_Ah, CAPACITY_DOUBT
    if discharge and charge:
        apart = abs(charge.charge_Ah / discharge.charge_Ah - 1.0)
        if main.degC >= WARM_DEGC:
            doubt = max(doubt, 0.25 * apart)
            if apart > SAME_CHARGE:
                capacity_Ah = 0.5 * (charge.charge_Ah + discharge.charge_Ah)
        else:
            charge = aligned(charge, discharge)
    return Slow(main.degC, capacity_Ah, doubt, discharge, charge)


def aligned(charge: Branch, discharge: Branch) -> Branch | None:
    """A charge in the cold over the SOC of the discharge.

    One that moves about the same charge runs from empty to full. One that moves less reached its voltage early: it is
    counted from empty and goes on beside the discharge. One that did not begin near empty is of no use.
    """
    share = charge.charge_Ah / discharge.charge_Ah
    if abs(share - 1.0) < SAME_CHARGE:
        return charge
    if charge.voltage_V[0] > discharge.voltage_V[SOC_NODES // 4] or share > 1.0:
        return None
    voltage = np.interp(SOC_GRID / share, SOC_GRID, charge.voltage_V)
    beyond = share * TAIL < SOC_GRID
    half_V = np.interp(share * TAIL, SOC_GRID, voltage - discharge.voltage_V)
    return charge._replace(voltage_V=np.where(beyond, discharge.voltage_V + half_V, voltage))


def rising(voltage_V: Array) -> Array:
    """The nearest voltage that rises from node to node (pool adjacent violators, then a least slope)."""
    level: list[float] = []
    count: list[int] = []
    for value in voltage_V:
        level.append(float(value))
        count.append(1)
        while len(level) > 1 and level[-2] > level[-1]:
            last, many = level.pop(), count.pop()
            level[-1] = (level[-1] * count[-1] + last * many) / (count[-1] + many)
            count[-1] += many
    lift = LEAST_STEP_V * np.arange(voltage_V.size)
    return np.asarray(np.maximum.accumulate(np.repeat(level, count) - lift) + lift)


def middle(slow: Slow, half_V: Array) -> Array:
    """Equilibrium at one temperature: the mean of both branches, or the one there is, moved by the usual half."""
    if slow.discharge and slow.charge:
        return rising(0.5 * (slow.discharge.voltage_V + slow.charge.voltage_V))
    if slow.charge:
        return rising(slow.charge.voltage_V - half_V)
    return rising(slow.discharge.voltage_V + half_V) if slow.discharge else np.empty(0)
