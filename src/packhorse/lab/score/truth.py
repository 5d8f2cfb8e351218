"""The true SOC of a scored log, from what the tester counted and the estimator is never told."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from packhorse.io.errors import ReadError
from packhorse.lab.score.campaign import Campaign, Columns, Rested, Scripts, TesterCharge, matched
from packhorse.lab.score.files import column
from packhorse.lab.score.words import Truth
from packhorse.pack.words import Array

STILL_A = 0.02
JUMP_Ah = 0.1
"""A counter that falls from more than this to exactly zero was set back."""
NEAR_K = 2.5
"""A capacity of another temperature than this near is not that of the log."""


def truth(campaign: Campaign, path: Path) -> Truth:
    """SOC at every row of a log, and the capacity that it is a fraction of."""
    recipe = campaign.truth
    if isinstance(recipe, TesterCharge):
        return tester_charge(campaign, recipe, path)
    if isinstance(recipe, Rested):
        return rested(campaign, recipe, path)
    if isinstance(recipe, Scripts):
        return scripts(recipe, path)
    return Truth(column(path, recipe.column), campaign.nominal_Ah)


def counted_Ah(columns: Columns, path: Path) -> Array:
    """The tester's counter, positive for charge, from the start of its test (where the cell was full).

    Some tests set it back to zero on the way; from there on it says nothing and is NaN.
    """
    if columns.counter_Ah is None:
        raise ReadError(f"{path}: the campaign names no counter; add columns.counter_Ah")
    sign = 1.0 if columns.positive == "charge" else -1.0
    counter_Ah = sign * column(path, columns.counter_Ah)
    back = np.flatnonzero((np.abs(counter_Ah[:-1]) > JUMP_Ah) & (counter_Ah[1:] == 0.0))
    if back.size:
        counter_Ah[back[0] + 1 :] = np.nan
    return counter_Ah


def tester_charge(campaign: Campaign, recipe: TesterCharge, path: Path) -> Truth:
    """SOC = 1 + counter / capacity, with the capacity of the nearest named temperature."""
    degC = campaign.temperature.of(path.name)
    at = min(recipe.capacity, key=lambda entry: abs(entry.degC - degC))
    if abs(at.degC - degC) > NEAR_K:
        raise ReadError(f"{path}: no capacity is named for {degC:g} degC; add it to truth.capacity")
    return Truth(1.0 + counted_Ah(campaign.columns, path) / at.Ah, at.Ah)


def rested(campaign: Campaign, recipe: Rested, path: Path) -> Truth:
    """SOC = 1 + counter / capacity, for a cell that fades during its campaign.

    The capacity is that of the step discharge of the same temperature, made in the same weeks: what it took out until
    the lower voltage limit, over one less the SOC at which the cell then rested on the mean of slow discharge and
    charge. The rest is a minute long and the OCV has a half-width: 1 to 2 points, and no better label exists there.
    """
    degC = campaign.temperature.of(path.name)
    beside = {campaign.temperature.of(some.name): some for some in matched(path.parent, recipe.logs)}
    nearest = min(beside, key=lambda other: abs(other - degC))
    if abs(nearest - degC) > NEAR_K:
        raise ReadError(f"{path}: no step discharge at {degC:g} degC; add one to truth.logs")
    removed_Ah = -float(np.nanmin(counted_Ah(campaign.columns, beside[nearest])))
    rest_V = campaign.columns.voltage_factor * float(column(beside[nearest], campaign.columns.cell_V)[-1])
    left = soc_at_rest(campaign, path.parent / recipe.ocv, rest_V)
    capacity_Ah = removed_Ah / (1.0 - left)
    return Truth(1.0 + counted_Ah(campaign.columns, path) / capacity_Ah, capacity_Ah)


def soc_at_rest(campaign: Campaign, path: Path, rest_V: float) -> float:
    """SOC at which the mean of the slow discharge and the slow charge has a voltage.

    Each way is scaled by its own extent, so that an offset of the tester's current does not matter.
    """
    current_A, cell_V = column(path, campaign.columns.current_A), column(path, campaign.columns.cell_V)
    count_Ah = counted_Ah(campaign.columns, path)
    sign = 1.0 if campaign.columns.positive == "charge" else -1.0
    cell_V = campaign.columns.voltage_factor * cell_V
    grid = np.linspace(0.0, 1.0, 1001)
    mean_V = np.zeros(grid.size)
    for way in (-1.0, 1.0):
        run = way * sign * current_A > STILL_A
        if not np.any(run):
            raise ReadError(f"{path}: holds no slow {'charge' if way > 0 else 'discharge'}; name another truth.ocv")
        some_Ah = count_Ah[run]
        soc = (some_Ah - some_Ah.min()) / np.ptp(some_Ah)
        order = np.argsort(soc, kind="stable")
        mean_V += 0.5 * np.interp(grid, soc[order], cell_V[run][order])
    return float(np.interp(rest_V, np.maximum.accumulate(mean_V), grid))


def scripts(recipe: Scripts, path: Path) -> Truth:
    """SOC in the first of Plett's three scripts: 1 - (discharged - efficiency * charged) / capacity.

    Script 1 drives the full cell down at the test temperature; script 2 empties it and script 3 fills it, both at
    25 degC (G. L. Plett, Battery Management Systems vol. 1, 2015, sec. 2.11; function processDynamic of his ESC
    toolbox). What goes in over all three is what comes out times the efficiency:

    - at 25 degC, efficiency = (all discharged) / (all charged), one number for the three scripts;
    - elsewhere scripts 2 and 3 have that of 25 degC, and script 1 the one that closes its balance:
      (discharged 1+2+3 - efficiency_25 * charged 2+3) / charged 1;
    - capacity = discharged 1+2 - efficiency_1 * charged 1 - efficiency_25 * charged 2: from full to empty.
    """
    own = path.name.removesuffix(recipe.suffixes[0])
    if own == path.name:
        raise ReadError(f"{path}: is no first script (its name ends otherwise than {recipe.suffixes[0]}); score that")
    out, into = totals(recipe, path.parent, own)
    out_25, into_25 = totals(recipe, path.parent, recipe.at_25_degC)
    efficiency_25 = float(out_25.sum() / into_25.sum())
    efficiency = efficiency_25
    if own != recipe.at_25_degC:
        efficiency = float((out.sum() - efficiency_25 * into[1:].sum()) / into[0])
    capacity_Ah = float(out[0] + out[1] - efficiency * into[0] - efficiency_25 * into[1])
    left_Ah = efficiency * column(path, recipe.charged_Ah) - column(path, recipe.discharged_Ah)
    return Truth(1.0 + left_Ah / capacity_Ah, capacity_Ah)


def totals(recipe: Scripts, folder: Path, stem: str) -> tuple[Array, Array]:
    """Discharged and charged Ah at the end of each of the three scripts, each (3,)."""
    paths = [folder / f"{stem}{suffix}" for suffix in recipe.suffixes]
    out = np.array([column(path, recipe.discharged_Ah)[-1] for path in paths])
    into = np.array([column(path, recipe.charged_Ah)[-1] for path in paths])
    return out, into
