"""`packhorse`: the command line. Each command is wired here and does its work in a file of its own.

Everything else is imported where it is used, so that `--help` and completion answer at once.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from packhorse import __version__
from packhorse.app import failures
from packhorse.app.several import SeveralFiles
from packhorse.pack.catalogue import KINDS, names
from packhorse.protocols.profiles import names as profile_names


class OneLine(TyperGroup):
    """Commands whose expected failures are one line each."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with failures.said():
            return super().invoke(ctx)


app = typer.Typer(cls=OneLine, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
packs = typer.Typer(no_args_is_help=True, help="Look into packs, cells and trucks, and check files of your own.")
benches = typer.Typer(no_args_is_help=True, help="Measure this machine (from a source checkout).")
dbcs = typer.Typer(no_args_is_help=True, help="Signals as DBC files.")
app.add_typer(packs, name="pack")
app.add_typer(dbcs, name="dbc")
app.add_typer(benches, name="bench")


def _complete_pack(incomplete: str) -> list[str]:
    return [name for name in names("packs") if name.startswith(incomplete)]


def _complete_truck(incomplete: str) -> list[str]:
    return [name for name in names("trucks") if name.startswith(incomplete)]


def _complete_cycle(incomplete: str) -> list[str]:
    return [name for name in names("cycles") if name.startswith(incomplete)]


def _complete_cell(incomplete: str) -> list[str]:
    return [name for name in names("cells") if name.startswith(incomplete)]


def _complete_chemistry(incomplete: str) -> list[str]:
    return [name for name in ("lfp", "nmc", "nca") if name.startswith(incomplete)]


def _complete_family(incomplete: str) -> list[str]:
    shipped = (Path(__file__).parents[1] / "lab" / "score" / "campaigns").glob("*.toml")
    return sorted(path.stem for path in shipped if path.stem.startswith(incomplete))


def _complete_profile(incomplete: str) -> list[str]:
    return [name for name in profile_names() if name.startswith(incomplete)]


def _complete_any(incomplete: str) -> list[str]:
    bare = [name for kind in KINDS for name in names(kind)]
    full = [f"{kind}/{name}" for kind in KINDS for name in names(kind)]
    return [name for name in dict.fromkeys([*bare, *full]) if name.startswith(incomplete)]


AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]
SomeName = Annotated[
    str, typer.Argument(metavar="FILE|NAME", help="A .toml file or a catalogue name.", autocompletion=_complete_any)
]


ProfileOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help=f"A battery system whose messages are known: {', '.join(profile_names())}; or a copy of yours.",
        autocompletion=_complete_profile,
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"packhorse {__version__}")
        raise typer.Exit


@app.callback()
def packhorse(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """An open battery management system for electric trucks.

    One core runs live, against a simulated truck and over recorded logs, and gives the same bits in all three.

    [bold]Try it[/bold]

      packhorse run [dim](a heavy truck on a long haul; Ctrl-C ends it)[/dim]

      packhorse run --truck light --cycle urban --ambient=-10

      packhorse run --seconds 600 --speed 0 --record drive.parquet

      packhorse replay drive.parquet --pack heavy -o out/drive

    [bold]Your own pack[/bold]

      packhorse pack list

      packhorse pack show medium > mine.toml

      packhorse pack check mine.toml

      packhorse replay log.csv --pack mine.toml --map columns.toml

    [bold]Your own bus[/bold]

      packhorse record socketcan:can0 truck.blf

      packhorse signals truck.blf --dbc truck.dbc

      packhorse replay truck.blf --dbc truck.dbc --map signals.toml --pack mine.toml

    [bold]Your own cell[/bold]

      packhorse identify --ocv c20.csv --pulse hppc.csv --drive drive*.csv -o cell.toml --report cell.html

      packhorse estimate cell.toml drive.csv -o out/drive.parquet
    """


Truck = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="heavy, medium, light or a file.", autocompletion=_complete_truck)
]
Cycle = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help=f"{', '.join(names('cycles'))} or a .csv or .toml file.",
        autocompletion=_complete_cycle,
        show_default="the truck's own",
    ),
]
Seconds = Annotated[float | None, typer.Option(help="Simulated seconds to run.", show_default="until Ctrl-C")]
TickS = Annotated[float, typer.Option(help="Seconds from one step of the BMS to the next.")]
Soc = Annotated[float | None, typer.Option(help="Charge at the start, 0 to 1.", show_default="0.9, or as in --state")]
Ambient = Annotated[float, typer.Option(help="Temperature outside, in degC.")]
Seed = Annotated[int, typer.Option(help="Another seed is another truck of the same kind.")]
Faults = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND@START[-END][:...]", help="Something that breaks, and when; may be given again."),
]
OtherPack = Annotated[
    str | None, typer.Option("--pack", metavar="NAME|FILE", help="The same as PACK.", autocompletion=_complete_pack)
]
BUSES = "loopback:45454, socketcan:can0, pcan:PCAN_USBBUS1@500000 and the like"
RealTime = Annotated[
    bool, typer.Option("--real-time", help="By the wall clock, not in step with the other process (loopback only).")
]
NOT_ON_A_BUS = ("truck", "cycle", "speed", "soc", "ambient", "seed", "fault")


@app.command()
def run(
    ctx: typer.Context,
    pack: Annotated[
        str | None,
        typer.Argument(metavar="[PACK]", help="Another pack than the truck's.", autocompletion=_complete_pack),
    ] = None,
    truck: Truck = "heavy",
    cycle: Cycle = None,
    speed: Annotated[float, typer.Option(help="Times real time; 0 is as fast as possible.")] = 60.0,
    seconds: Seconds = None,
    tick: TickS = 0.1,
    soc: Soc = None,
    ambient: Ambient = 20.0,
    seed: Seed = 1,
    fault: Faults = None,
    as_json: AsJson = False,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what the BMS hears (.parquet), or with --bus all frames (.blf, .log, .asc, .gz).",
        ),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Memory of the BMS: loaded if it exists, saved at the end.")
    ] = None,
    other_pack: OtherPack = None,
    bus: Annotated[
        str | None,
        typer.Option(metavar="BUS", help=f"The BMS alone on a bus: {BUSES}.", rich_help_panel="On a bus"),
    ] = None,
    node: Annotated[
        str | None, typer.Option(metavar="FILE", help="How we are a node on it.", rich_help_panel="On a bus")
    ] = None,
    real_time: RealTime = False,
) -> None:
    """Run a simulated truck and its BMS together, live in the terminal. Ctrl-C ends it with a summary.

    With --bus the BMS runs alone, and its truck is whoever is on the bus.

    Examples:
      packhorse run --truck medium --cycle urban --fault "cell_short@300:string=1,place=12,value=2"

      packhorse run --bus socketcan:can0 --pack mine.toml --node node.toml
    """
    failures.refuse(["pack"] if pack and other_pack and pack != other_pack else [], "names another pack than PACK")
    pack = pack or other_pack
    if bus is not None:
        from packhorse.app import on_bus

        given = [name for name in NOT_ON_A_BUS if str(ctx.get_parameter_source(name)).endswith("COMMANDLINE")]
        failures.refuse(given, "belongs to 'packhorse twin', not to 'packhorse run --bus'")
        on_bus.run(on_bus.Settings(bus, pack, node, real_time, seconds, tick, as_json, record, state))
        return
    failures.refuse([name for name, value in (("node", node), ("real-time", real_time)) if value], "needs --bus")
    from packhorse.app.run import run as running
    from packhorse.app.world import Settings

    faults = tuple(fault or ())
    running(Settings(pack, truck, cycle, speed, seconds, tick, soc, ambient, seed, faults, as_json, record, state))


@app.command()
def twin(
    bus: Annotated[str, typer.Option(metavar="BUS", help=f"The bus to be on: {BUSES}.")],
    pack: OtherPack = None,
    truck: Truck = "heavy",
    cycle: Cycle = None,
    speed: Annotated[float, typer.Option(help="Times real time; 0 is as fast as possible.")] = 0.0,
    seconds: Seconds = None,
    tick: TickS = 0.1,
    soc: Soc = None,
    ambient: Ambient = 20.0,
    seed: Seed = 1,
    fault: Faults = None,
    real_time: RealTime = False,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all frames (.blf, .log, .asc, also .gz).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a simulated truck on a bus: its boards, inverter, charger, thermal unit and vehicle controller as nodes.

    On a loopback bus it keeps step with the BMS of another process, as fast as both can; elsewhere it lives in real
    time.

    Example, in two terminals:

      packhorse twin --truck heavy --bus loopback:45454

      packhorse run --pack heavy --bus loopback:45454
    """
    from packhorse.app import twin as driving
    from packhorse.app.world import Settings

    faults = tuple(fault or ())
    asked = Settings(pack, truck, cycle, speed, seconds, tick, soc, ambient, seed, faults, as_json, None, None)
    driving.run(asked, bus, real_time, record)


@app.command()
def record(
    bus: Annotated[str, typer.Argument(metavar="BUS", help=f"The bus to listen to: {BUSES}.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .blf, .log or .asc file, also .log.gz and .asc.gz.")],
    seconds: Annotated[float | None, typer.Option(help="Seconds to record.", show_default="until Ctrl-C")] = None,
    as_json: AsJson = False,
) -> None:
    """Record a bus without taking part in it. Ctrl-C ends it; a crash loses no more than the last second.

    Example:  packhorse record socketcan:can0 truck.blf
    """
    from packhorse.app import record as recording

    recording.record(bus, file, seconds, as_json)


@app.command()
def replay(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="A log: .parquet, .csv, .csv.gz, or a bus with --dbc.")],
    pack: Annotated[str, typer.Option(help="A pack of the catalogue or a .toml file.", autocompletion=_complete_pack)],
    mapping: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="What the log's columns are, if not in our own names.")
    ] = None,
    dbc: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the messages of a recorded bus hold; needs --map.")
    ] = None,
    profile: ProfileOption = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder of the results.", show_default="out/LOG")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what is wrong.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the BMS over a recorded log: results, events, cells and a report to open in a browser.

    Example:  packhorse replay car.csv --pack mine.toml --map columns.toml -o out/car

    Example:  packhorse replay truck.blf --dbc truck.dbc --map signals.toml --pack mine.toml

    Example:  packhorse replay orion.log --profile orion --pack mine.toml
    """
    from packhorse.app import replay as replaying

    stem = log.name.split(".")[0] or log.name
    replaying.replay(log, pack, mapping, out or Path("out") / stem, quiet, as_json, dbc, profile)


@app.command()
def signals(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="A recorded bus: BLF, ASC, candump, CSV, MF4, also .gz or .zst.")
    ],
    dbc: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the messages hold.", show_default="our table of J1939")
    ] = None,
    profile: ProfileOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Write the decoded signals (.parquet); with --discover FILE.dbc and FILE.map.toml for replay.",
        ),
    ] = None,
    discover: Annotated[
        bool,
        typer.Option("--discover", help="Without a DBC: propose by physics where the battery's readings lie."),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="With --discover: plots and evidence for each proposal.")
    ] = None,
    capacity: Annotated[
        float | None,
        typer.Option(
            "--capacity-Ah",
            metavar="X",
            min=0.1,
            help="With --discover: the pack's capacity within 10 %, without which the current has no sure scale.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is on a recorded bus: identifiers, rates, gaps, senders, faults, and signals with their ranges.

    Without a DBC or a profile, signals are those that our own table of J1939 knows.

    With --discover, cell and pack voltages, current, SOC and temperatures are looked for in the bytes: cells are many
    like fields, their sum is the pack, the pack sags with the current, whose integral is the SOC. Record ten minutes of
    driving; of a battery at rest little can be told. docs/discovery.md says what the confidences mean.

    Example:  packhorse signals truck.blf --dbc truck.dbc -o decoded.parquet

    Example:  packhorse signals truck.blf --discover --capacity-Ah 280 -o found.toml --report found.html

    Example:  packhorse replay truck.blf --pack mine.toml --dbc found.dbc --map found.map.toml
    """
    from packhorse.app import signals as listening

    listening.must_agree(log, discover, dbc or profile, report or capacity)
    if discover:
        from packhorse.app import discover as discovering

        wanted = discovering.Wanted(out, report, capacity if capacity is not None else float("nan"))
        discovering.run(log, wanted, as_json)
        return

    listening.signals(log, dbc, out, as_json, profile)


CellMap = Annotated[
    Path | None,
    typer.Option(
        "--map", metavar="FILE", help="What the logs' columns are, if not time_s, current_A, cell_V, cell_degC."
    ),
]
ToldDegC = Annotated[
    float | None,
    typer.Option("--degC", metavar="X", help="Temperature of logs that hold none.", show_default=False),
]


def _logs(said: str) -> Any:
    return typer.Option(metavar="FILE...", help=said, rich_help_panel="Logs, any number after each flag")


@app.command(cls=SeveralFiles)
def identify(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The cell file: .toml, or .json for BPX.")],
    ocv: Annotated[list[Path] | None, _logs("Slow discharge and charge, below C/8, from full to empty.")] = None,
    pulse: Annotated[list[Path] | None, _logs("Pulse tests (HPPC).")] = None,
    capacity: Annotated[list[Path] | None, _logs("Discharges at constant current.")] = None,
    drive: Annotated[list[Path] | None, _logs("Drives, which count most.")] = None,
    mapping: CellMap = None,
    degC: ToldDegC = None,
    chemistry: Annotated[
        str | None,
        typer.Option(
            metavar="lfp|nmc|nca",
            help="What the cell is made of.",
            autocompletion=_complete_chemistry,
            show_default="told from the OCV",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the cell.", show_default="that of the file")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Plots of the fit and of what is left of it.")
    ] = None,
    bpx: Annotated[Path | None, typer.Option("--bpx", metavar="FILE.json", help="Write BPX beside it.")] = None,
    from_bpx: Annotated[
        Path | None, typer.Option("--from-bpx", metavar="FILE.json", help="Turn a BPX file into a cell file; no logs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a cell file from laboratory logs of one cell: OCV, resistances, capacity and how wrong the model is.

    Any temperatures, any number of logs; one file may only be one kind of test. Needed is at least one slow test.

    For example:

      packhorse identify --ocv *_C20.csv --pulse *_HPPC.csv --drive *_Mixed*.csv -o cell.toml --report cell.html

      packhorse identify --ocv slow.csv --pulse pulses.csv --map columns.toml --degC 25 -o cell.toml

      packhorse identify --from-bpx cell.json -o cell.toml
    """
    from packhorse.app import identify as identifying

    logs = (ocv or [], pulse or [], capacity or [], drive or [])
    asked = identifying.Asked(*logs, out, mapping, chemistry, name, degC, report, bpx, from_bpx)
    identifying.identify(asked, as_json)


@app.command()
def estimate(
    cell: Annotated[
        str, typer.Argument(metavar="CELL", help="A cell .toml or a catalogue name.", autocompletion=_complete_cell)
    ],
    log: Annotated[Path, typer.Argument(metavar="LOG", help="A log of one cell: .parquet, .csv or .csv.gz.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The estimates: .parquet or .csv.")],
    initial_soc: Annotated[
        float | None,
        typer.Option("--initial-soc", metavar="X", help="Charge at the start, 0 to 1.", show_default="from voltage"),
    ] = None,
    mapping: CellMap = None,
    degC: ToldDegC = None,
    as_json: AsJson = False,
) -> None:
    """Estimate charge, capacity, resistance, sensor offset and power of one cell over a log, each with its sigma.

    One pass from the first row to the last; no row knows of a later one.

    Example:  packhorse estimate cell.toml drive.csv -o out/drive.parquet
    """
    from packhorse.app import estimate as estimating

    estimating.estimate(cell, log, out, initial_soc, mapping, degC, as_json)


@app.command()
def score(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder with the folders of the data sets.")],
    family: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A data set, or a .toml file that describes one; may be given again.",
            autocompletion=_complete_family,
            show_default="all whose folder is there",
        ),
    ] = None,
    docs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write estimation.md and its plots into this folder.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE.html", help="Write a report.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score identification and estimation against what laboratories counted, on cells that others measured.

    Example:  packhorse score ../shared/data/real --family lg_hg2 -o out/score.html
    """
    from packhorse.app import score as scoring

    scoring.score(data, family, docs, out, as_json)


@packs.command("list")
def pack_list() -> None:
    """List the catalogue: packs, cells, trucks and duty cycles."""
    from packhorse.app import shelf

    print(shelf.listing())


@packs.command("show")
def pack_show(name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=_complete_any)]) -> None:
    """Print the file of a catalogue entry, to copy from.

    A bare name is a pack, else a cell, a truck or a cycle; trucks/heavy says which.

    Example:  packhorse pack show medium > mine.toml
    """
    from packhorse.app import shelf

    print(shelf.find(name).read_text(encoding="utf-8"), end="")


@packs.command("check")
def pack_check(name: SomeName, as_json: AsJson = False) -> None:
    """Check a pack, cell or truck file and say what it describes.

    Example:  packhorse pack check mine.toml
    """
    from packhorse.app import check

    check.check(name, as_json)


@dbcs.command("export")
def dbc_export(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.dbc", help="Where to write it.")],
    pack: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="The pack that speaks.", autocompletion=_complete_pack)
    ] = "heavy",
    node: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its node file.", show_default="as on a simulated bus")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="Write the mapping for replays of a recorded bus too.")
    ] = None,
) -> None:
    """Write a DBC of our own node: its messages of J1939, its boards' readings, and what they are asked.

    Example:  packhorse dbc export --pack mine.toml --node node.toml -o node.dbc

    Example:  packhorse dbc export --pack mine.toml -o node.dbc --map node.map.toml
    """
    from packhorse.app import dbc

    dbc.export(pack, node, out, mapping)


@benches.command("core")
def bench_core(as_json: AsJson = False) -> None:
    """Measure the core: whole-pack steps per second, and the ratios of docs/performance.md."""
    from packhorse.app import bench

    bench.bench("core", as_json)


@benches.command("estimation")
def bench_estimation(as_json: AsJson = False) -> None:
    """Measure the estimator and the identification against NumPy, C, filterpy, PyBOP and this machine."""
    from packhorse.app import bench

    bench.bench("estimation", as_json)


@benches.command("io")
def bench_io(as_json: AsJson = False) -> None:
    """Measure decoding and reading of recorded buses against cantools, asammdf and python-can."""
    from packhorse.app import bench

    bench.bench("bus", as_json)


@benches.command("discovery")
def bench_discovery(as_json: AsJson = False) -> None:
    """Score what is discovered on simulated buses whose layout is known: found, missed, wrong."""
    from packhorse.app import bench

    bench.bench("discovery", as_json)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
