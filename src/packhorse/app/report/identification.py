"""The report of an identification: one HTML file that opens offline, its plots drawn as SVG.

Whatever is said of how well a log fits comes from a fit that has not seen that log.
"""

from __future__ import annotations

import html

import numpy as np

import packhorse
from packhorse.app.report import asset, fill
from packhorse.app.report.drawing import HEIGHT, MARGIN, Axis, Curve, axis, figure
from packhorse.app.report.found import Fit, Found, rms
from packhorse.app.report.life import say_duration
from packhorse.app.report.sections import table
from packhorse.app.report.series import clock, grid, thin
from packhorse.lab.identify.slow import Branch, branches
from packhorse.lab.identify.training import nearest, thinned
from packhorse.pack.words import SOC_NODES, Array

POINTS, FEW_POINTS = 1500, 300
"""Points of a curve: of the two logs shown at each temperature, and of each of all logs."""
COLD_HUE, WARM_HUE = 225.0, 5.0
LOW_HEIGHT = 170.0
SHOWN_SHARE = 0.998
"""What is left of a voltage is drawn to this share of its rows; single spikes would flatten the rest."""
SHOWN_SOC = 0.05
"""Parts of logs that move less charge are neither the best nor the worst, unless all others move little too."""
KIND_COLOUR = {"drive": "var(--s1)", "pulse": "var(--s2)", "capacity": "var(--s3)", "ocv": "var(--s4)"}
KIND_SAID = {"drive": "drive", "pulse": "pulse test", "capacity": "capacity test", "ocv": "slow test"}
SOC_AXIS = Axis("SOC, %", 0.0, 100.0)


def page(found: Found) -> str:
    """The whole report as HTML."""
    cell = found.identified.cell
    parts = {
        "title": html.escape(f"{cell.name}, identified"),
        "css": asset("report.css"),
        "own_css": asset("identification.css"),
        "head": head(found),
        "facts": facts(found),
        "table": temperature_table(found),
        "ocv": ocv(found),
        "resistance": resistance(found),
        "temperatures": "".join(temperature(found, k) for k in reversed(range(len(found.temperatures)))),
        "logs": logs(found),
        "sources": f'<ul class="sources">{"".join(f"<li>{html.escape(said)}</li>" for said in cell.sources)}</ul>',
        "version": html.escape(packhorse.__version__),
    }
    return fill("identification.html", parts)


def colour(found: Found, centre: int) -> str:
    """The colour of a temperature: blue is the coldest, red the warmest."""
    count = len(found.temperatures)
    share = centre / (count - 1) if count > 1 else 0.0
    return f"hsl({COLD_HUE + share * (WARM_HUE - COLD_HUE):.0f} 62% var(--lit))"


def degrees(degC: float) -> str:
    """A temperature as people write it."""
    return f"{degC:.0f} °C".replace("-", "−")


def millivolts(value_V: float) -> str:
    """A voltage in mV, or a dash."""
    return f"{1000.0 * value_V:.1f}" if np.isfinite(value_V) else "–"


def span(values: list[float]) -> str:
    """Least and largest of some values, or the one there is."""
    return f"{values[0]:.0f}" if len(values) == 1 else f"{min(values):.0f} to {max(values):.0f}"


def head(found: Found) -> str:
    """Title, verdict and what to know before believing the rest."""
    cell, rows = found.identified.cell, found.temperatures
    drives = [row for row in rows if np.isfinite(row.drive_V)]
    what, column = ("drives", "drive_V") if drives else ("logs", "all_V")
    values = [1000.0 * float(getattr(row, column)) for row in drives or rows]
    where = degrees(rows[0].degC)
    if len(rows) > 1:
        where = f"{where} to {degrees(rows[-1].degC)}"
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in found.notes)
    return (
        f"<h1>{html.escape(cell.name)}</h1>"
        f'<p class="sub">{cell.chemistry.upper()} · identified from {len(found.training.each())} logs · {where}</p>'
        f'<p class="verdict">The model misses the voltage of {what} that it has not seen by {span(values)} mV '
        f"(root mean square{' at each temperature' if len(values) > 1 else ''}).</p>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )


def facts(found: Found) -> str:
    """The numbers that one looks for first."""
    cell, shape, errors = found.identified.cell, found.identified.shape, found.identified.errors
    lasting = [1000.0 * row.model_V for row in found.temperatures]
    shown = [
        ("Capacity", f"{cell.capacity_Ah:.4g} Ah", "at 25 °C or nearest"),
        ("Voltage", f"{cell.min_V:g} to {cell.max_V:g} V", "of the slow tests"),
        ("Time constants", f"{shape.tau1_s:g} and {shape.tau2_s:g} s", "of the two RC pairs"),
        (
            "Hysteresis",
            f"{max(row.hysteresis_V for row in found.temperatures) * 1000:.1f} mV",
            "half-width at 50 % SOC",
        ),
        ("Fast error", f"{millivolts(errors.fast_sigma_V)} mV", f"one sigma, a new one every {errors.fast_s:.0f} s"),
        ("Lasting error", f"{span(lasting)} mV", f"one sigma, lasts {errors.slow_s / 60:.0f} min"),
        ("Resistance error", f"{100 * cell.resistance_sigma:.0f} %", "one sigma"),
    ]
    tiles = "".join(
        f'<div class="tile"><span>{label}</span><b>{value}</b><small>{more}</small></div>'
        for label, value, more in shown
    )
    return f'<div class="tiles">{tiles}</div>'


def temperature_table(found: Found) -> str:
    """One line for each temperature."""
    rows = []
    for row in found.temperatures:
        ohms = (row.r0_ohm, row.r1_ohm, row.r2_ohm, row.r0_ohm + row.r1_ohm + row.r2_ohm)
        volts = (row.hysteresis_V, row.model_V, row.drive_V, row.all_V)
        rows.append(
            [
                degrees(row.degC),
                str(row.logs),
                f"{row.capacity_Ah:.4g}",
                *(f"{1000 * value:.3g}" for value in ohms),
                *map(millivolts, volts),
            ]
        )
    heads = ["Temperature", "Logs", "Capacity, Ah", "R0, mΩ", "R1, mΩ", "R2, mΩ", "All, mΩ", "Hysteresis, mV"]
    heads += ["Lasting error, mV", "Drives, mV", "All logs, mV"]
    lead = (
        "Resistances and hysteresis (half of what parts charge from discharge) at 50 % SOC. The lasting error is what "
        "the filter takes as its measurement noise. The last two columns are what is left of the voltage of logs that "
        "the fit has not seen, root mean square."
    )
    return f'<p class="lead">{lead}</p>' + table(heads, rows, set(range(1, 11)), "temperatures")


def ocv(found: Found) -> str:
    """Measured slow branches, and the equilibrium that came of them."""
    cell, known = found.identified.cell, found.identified.known
    slow = branches([thinned(log) for log in found.training.ocv])
    soc = np.linspace(0.0, 100.0, SOC_NODES)
    measured = [
        Curve(
            "discharge" if branch.discharge else "charge",
            soc,
            branch.voltage_V,
            colour(found, nearest(branch.degC, known.centres)),
            "line" if branch.discharge else "dashed",
        )
        for branch in slow
    ]
    equilibrium = [
        Curve(degrees(row.degC), 100.0 * np.array(cell.ocv.soc), np.array(values), colour(found, k))
        for k, (row, values) in enumerate(zip(found.temperatures, cell.ocv.ocv_V, strict=True))
    ]
    volts = axis("voltage, V", [curve.y for curve in (*measured, *equilibrium)], margin=MARGIN)
    drawings = [
        figure("Slow tests as measured, over the charge of each branch", SOC_AXIS, volts, in_grey(measured, slow)),
        figure("OCV of the cell file", SOC_AXIS, volts, equilibrium),
    ]
    half = [
        Curve(degrees(row.degC), 100.0 * np.array(cell.ocv.soc), 1000.0 * np.array(values), colour(found, k))
        for k, (row, values) in enumerate(zip(found.temperatures, cell.ocv.hysteresis_rows(), strict=True))
    ]
    millis = axis("half-width, mV", [np.zeros(1), *(curve.y for curve in half)], margin=MARGIN)
    middle = found.temperatures[reference(found)]
    base = np.array(cell.ocv.ocv_V[reference(found)])
    shifted = [curve._replace(y=1000.0 * (curve.y - base)) for curve in equilibrium]
    over = axis("shift, mV", [curve.y[5:] for curve in shifted], margin=MARGIN)
    drawings += [
        figure("Hysteresis of the cell file", SOC_AXIS, millis, half),
        figure(f"OCV against that at {degrees(middle.degC)}", SOC_AXIS, over, shifted),
    ]
    return grid_of(drawings)


def in_grey(curves: list[Curve], slow: list[Branch]) -> list[Curve]:
    """Legend entries that say what lines mean, without a temperature's colour, before the curves themselves."""
    nothing = np.empty(0)
    kinds = {branch.discharge for branch in slow}
    keys = [Curve("discharge", nothing, nothing, "var(--soft)")] if True in kinds else []
    keys += [Curve("charge", nothing, nothing, "var(--soft)", "dashed")] if False in kinds else []
    return keys + [curve._replace(label="") for curve in curves]


def reference(found: Found) -> int:
    """The temperature nearest to 25 degC."""
    return int(np.argmin([abs(row.degC - 25.0) for row in found.temperatures]))


def grid_of(drawings: list[str]) -> str:
    """Drawings side by side where there is room."""
    return f'<div class="drawings">{"".join(drawings)}</div>'


def resistance(found: Found) -> str:
    """R0, R1 and R2 over SOC at each temperature, on one logarithmic scale."""
    part = found.identified.cell.resistance
    soc = 100.0 * np.array(part.soc)
    rows = {"R0": part.r0_ohm, "R1": part.r1_ohm, "R2": part.r2_ohm}
    shape = found.identified.shape
    titles = {"R0": "R0", "R1": f"R1, {shape.tau1_s:g} s", "R2": f"R2, {shape.tau2_s:g} s"}
    drawings = []
    for name, ohms in rows.items():
        curves = [
            Curve(
                degrees(row.degC),
                soc,
                1000.0 * np.array(ohms[nearest(row.degC, np.array(part.degC))]),
                colour(found, k),
            )
            for k, row in enumerate(found.temperatures)
        ]
        on = axis("resistance, mΩ", [curve.y for curve in curves], log=True, margin=MARGIN)
        drawings.append(figure(titles[name], SOC_AXIS, on, curves))
    return grid_of([*drawings, error(found)])


def error(found: Found) -> str:
    """The lasting part of the model error over SOC: how far the model stays off for minutes."""
    errors = found.identified.errors
    curves = [
        Curve(degrees(row.degC), 100.0 * errors.soc, 1000.0 * errors.sigma_V[k], colour(found, k))
        for k, row in enumerate(found.temperatures)
    ]
    on = axis("sigma, mV", [np.zeros(1), *(curve.y for curve in curves)], margin=MARGIN)
    return figure("Lasting error of the model, one sigma", SOC_AXIS, on, curves)


def temperature(found: Found, centre: int) -> str:
    """The best and the worst log of one temperature, and what is left of all of them."""
    fits = sorted(found.at(centre), key=lambda fit: fit.rms_V)
    title = f"<h2>At {degrees(found.temperatures[centre].degC)}</h2>"
    if not fits:
        return f"<section>{title}<p>No log was taken here.</p></section>"
    most = max(float(np.ptp(fit.piece.soc)) for fit in fits)
    moving = [fit for fit in fits if np.ptp(fit.piece.soc) >= min(SHOWN_SOC, 0.5 * most)]
    shown = [("Worst", moving[-1])] + ([("Best", moving[0])] if len(moving) > 1 else [])
    pairs = "".join(f"<div>{over_time(f'{word}: ' if len(moving) > 1 else '', fit)}</div>" for word, fit in shown)
    groups = [[fit for fit in fits if (fit.piece.kind == "drive") is drives] for drives in (True, False)]
    over = "".join(over_soc(found, centre, group) for group in groups if group)
    return f'<section>{title}<div class="drawings">{pairs}{over}</div></section>'


def over_time(word: str, fit: Fit) -> str:
    """Voltage of one log as measured and as modelled, and their difference below it."""
    log = fit.piece.log
    on = grid(log.time_s.size, [], POINTS)
    time_s = clock(on, log.time_s)[0]
    long = time_s[-1] > 3.0 * 3600.0
    time = Axis("time, h" if long else "time, min", 0.0, float(time_s[-1]) / (3600.0 if long else 60.0))
    x = time_s / (3600.0 if long else 60.0)
    measured, left = thin(on, log.cell_V), thin(on, fit.left_V)
    modelled = thin(on, log.cell_V - fit.left_V)
    curves = [
        Curve("measured", x, measured, "var(--measured)"),
        Curve("modelled", x, modelled, "var(--modelled)", "thin"),
    ]
    volts = axis("voltage, V", [measured, modelled], margin=MARGIN)
    title = f"{word}{fit.name} ({KIND_SAID[fit.piece.kind]}), {1000 * fit.rms_V:.1f} mV"
    return figure(title, time, volts, curves, HEIGHT) + figure(
        "Measured less modelled",
        time,
        within("difference, mV", [1000.0 * fit.left_V]),
        [Curve("", x, 1000.0 * left, "var(--modelled)", "thin")],
        LOW_HEIGHT,
    )


def within(label: str, values: list[Array]) -> Axis:
    """An axis about zero for nearly all of the values."""
    everything = np.abs(np.concatenate(values))
    reach = 1.15 * max(float(np.quantile(everything, SHOWN_SHARE)), 1e-3)
    return Axis(label, -reach, reach)


def over_soc(found: Found, centre: int, fits: list[Fit]) -> str:
    """What is left of some logs of a temperature over SOC, with the lasting error of the cell file."""
    errors = found.identified.errors
    curves = []
    for fit in sorted(fits, key=lambda one: list(KIND_COLOUR).index(one.piece.kind), reverse=True):
        on = grid(fit.left_V.size, [], FEW_POINTS)
        both = np.column_stack([fit.piece.soc[on.begin], fit.piece.soc[on.end]]).ravel()[on.keep]
        colour_of = KIND_COLOUR[fit.piece.kind]
        curves.append(Curve(KIND_SAID[fit.piece.kind], 100.0 * both, 1000.0 * thin(on, fit.left_V), colour_of, "thin"))
    for sign in (1.0, -1.0):
        sigma = sign * 1000.0 * errors.sigma_V[centre]
        curves.append(Curve("± lasting error", 100.0 * errors.soc, sigma, "var(--measured)", "dashed"))
    what, count = "drive" if fits[0].piece.kind == "drive" else "test", len({fit.piece.log.name for fit in fits})
    title = f"Measured less modelled over SOC, {count} {what}{'' if count == 1 else 's'}"
    on_y = within("difference, mV", [1000.0 * fit.left_V for fit in fits])
    return figure(title, SOC_AXIS, on_y, curves, HEIGHT)


def logs(found: Found) -> str:
    """Every log: kind, temperature, length, fit and what was put right in it."""
    rows = []
    for log in found.training.each():
        fits = [fit for fit in found.fits if fit.piece.log.name == log.name]
        used = [fit.piece.log for fit in fits]
        low, high = (float(pick([pick(one.cell_degC) for one in used])) for pick in (np.min, np.max))
        rows.append(
            [
                html.escape(log.name),
                KIND_SAID[fits[0].piece.kind],
                degrees(low) if high - low < 1.0 else f"{degrees(low)} to {degrees(high)}",
                say_duration(float(log.time_s[-1] - log.time_s[0])),
                f"{sum(one.time_s.size for one in used):,}".replace(",", " "),
                str(len(fits)),
                millivolts(rms([fit.left_V for fit in fits])),
                html.escape(found.repairs[log.name].said()) or "–",
            ]
        )
    heads = ["Log", "Test", "Temperature", "Length", "Rows used", "Parts", "Left, mV", "Put right while reading"]
    return table(heads, rows, {3, 4, 5, 6}, "logs")
