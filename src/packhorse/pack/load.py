"""From TOML files to a validated description and a compiled `Pack`.

A name without a suffix is looked up in the catalogue that ships with Packhorse; anything else is a path. Whatever is
wrong is said in one line by `ConfigurationError`: file, place in it, what was found, what is expected.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from packhorse.pack.catalogue import CATALOGUE, names
from packhorse.pack.compile import compile_cell, compile_pack
from packhorse.pack.description import CellFile, PackFile
from packhorse.pack.words import Pack

MAX_BYTES = 8_000_000
LONGEST_FOUND, LONGEST_PATH = 60, 255
LONGEST_MESSAGE = 600

WANTED = {
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text in quotes",
    "string_too_short": "some text",
    "bool_type": "true or false",
    "list_type": "a list in [ ]",
    "model_type": "a table",
    "dict_type": "a table",
}
"""What is wanted, by the kind of complaint, where it is not a range."""

SLIPS = {
    "V": "in V, not mV",
    "A": "in A, not mA",
    "Ah": "in Ah, not mAh",
    "ohm": "in ohm, not mohm",
    "kg": "in kg, not g",
    "degC": "in degC, not K",
    "s": "in s, not ms",
    "K": "in V/K, not mV/K, or in K",
    "soc": "a fraction, not percent",
    "share": "a fraction, not percent",
    "efficiency": "a fraction, not percent",
    "month": "a fraction, not percent",
}
"""The slip that a value out of range most often is, by the last word of the key that is known here."""

Model = TypeVar("Model", bound=BaseModel)


class ConfigurationError(ValueError):
    """A file of the user's is wrong; the message is one line that names file, place, finding and remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message, LONGEST_MESSAGE))


def _one_line(text: str, longest: int) -> str:
    """The text on one line, without characters that a terminal would obey, cut where it is too long."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def find(kind: str, name: str, beside: Path | None = None) -> Path:
    """Path of a catalogue entry or of a file of the user's, relative to the file that mentions it."""
    known = names(kind)
    said = f"{beside}: " if beside is not None else ""
    if not name.endswith(".toml"):
        if name in known:
            return CATALOGUE / kind / f"{name}.toml"
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}; or give a path that ends in .toml"
        raise ConfigurationError(
            f"{said}{_one_line(repr(name), LONGEST_FOUND)}: no such entry among {kind} of the catalogue; {hint}"
        )
    path = Path(name)
    if beside is not None and not path.is_absolute():
        path = beside.parent / path
    try:
        what = "a folder" if path.is_dir() else "" if path.exists() else "no such file"
    except (OSError, ValueError) as error:
        what = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    if what:
        shown = _one_line(str(path), LONGEST_PATH)
        raise ConfigurationError(f"{said}{shown}: {what}; give an existing .toml file or one of: {', '.join(known)}")
    return path


def read(path: Path, model: type[Model]) -> Model:
    """Read one TOML file as the given kind of description."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigurationError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB; this is not a description file")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); check the path and its rights") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: not text in UTF-8 (byte {error.start}); give a TOML file in UTF-8"
        ) from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}; correct it there") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{path}: holds a number or a nesting beyond all reason; this is not a description file"
        ) from error
    if not raw:
        raise ConfigurationError(f"{path}: the file is empty; start from a copy of a file in {CATALOGUE}")
    return check(path, raw, model)


def check(path: Path, raw: dict[str, object], model: type[Model]) -> Model:
    """Validate what a file says; all complaints become one line, unknown keys first: they explain missing ones."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        items = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
        more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
        raise ConfigurationError(f"{path}: {_say(items[0], model)}{more}") from error


def _say(item: ErrorDetails, model: type[BaseModel]) -> str:
    """One complaint as `place: what was found; what is wanted`."""
    loc, kind = item["loc"], item["type"]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
    if kind == "value_error":
        message = item["msg"].removeprefix("Value error, ")
        return f"{place}: {message}" if place else message
    if kind == "extra_forbidden":
        return f"{_one_line(place, LONGEST_FOUND)}: unknown key; {_nearest(loc, model)}"
    node = _node(model, loc)
    if kind == "missing":
        return f"{place}: missing; add it" + (f" ({_range(node)})" if _range(node) else "")
    found = _one_line(repr(item["input"]), LONGEST_FOUND)
    wanted = WANTED.get(kind)
    if wanted is None and kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        key = next((part for part in reversed(loc) if isinstance(part, str)), "")
        slip = next((SLIPS[word] for word in reversed(key.split("_")) if word in SLIPS), "")
        wanted = _range(node) + (f", {slip}" if slip else "")
    elif wanted is None:
        wanted = item["msg"].removeprefix("Input should be ").removeprefix("List should have ")
    quoted = kind in ("int_type", "float_type") and isinstance(item["input"], str)
    return f"{place}: found {found}; give {wanted}{' without quotes' if quoted else ''}"


def _nearest(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """What may have been meant by an unknown key: the table it belongs to, or the nearest name in its own."""
    key, known = str(loc[-1]), list(_node(model, loc[:-1]).get("properties", {}))
    root = _node(model, ())["properties"]
    tables = [name for name in root if key in _node(model, (name,)).get("properties", {})]
    if tables:
        return f"it belongs under [{tables[0]}]"
    if len(loc) > 1 and key in root:
        return "it belongs to the top of the file, above the first [table]"
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"remove it; known here: {', '.join(known)}"


@functools.cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Keys and ranges of a description, as a JSON schema."""
    return model.model_json_schema()


def _node(model: type[BaseModel], loc: tuple[int | str, ...]) -> dict[str, Any]:
    """What the schema says about one place in a file; empty where it knows nothing."""
    root = _schema(model)
    node: Any = root
    for part in loc:
        inner = node.get("additionalProperties") if isinstance(part, str) else node.get("items")
        node = node.get("properties", {}).get(part, inner) if isinstance(part, str) else inner
        if not isinstance(node, dict):
            return {}
        node = next((kind for kind in node.get("anyOf", [node]) if kind.get("type") != "null"), {})
        node = root["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node
    return dict(node)


def _range(node: dict[str, Any]) -> str:
    """The range of a number in words; empty where there is none."""
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    kind = "a whole number, " if node.get("type") == "integer" else ""
    if "minimum" in node and "maximum" in node:
        return f"{kind}{node['minimum']:g} to {node['maximum']:g}"
    limits = [f"{word} {node[bound]:g}" for bound, word in words.items() if bound in node]
    return kind + " and ".join(limits) if limits else ""


def load_cell(name: str, beside: Path | None = None) -> CellFile:
    """A cell of the catalogue or a cell file."""
    path = find("cells", name, beside)
    cell = read(path, CellFile)
    try:
        compile_cell(cell)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return cell


def load_pack_file(name: str, beside: Path | None = None) -> tuple[PackFile, CellFile]:
    """The description of a pack and of its cell."""
    path = find("packs", name, beside)
    pack = read(path, PackFile)
    return pack, load_cell(pack.cell, path)


def load_pack(name: str) -> Pack:
    """A pack, compiled and ready for `bms.start`."""
    pack, cell = load_pack_file(name)
    try:
        return compile_pack(pack, cell)
    except ValueError as error:
        raise ConfigurationError(f"{find('packs', name)}: {error}") from error
