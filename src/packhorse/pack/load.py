"""From TOML files to a validated description and a compiled `Pack`.

A name without a suffix is looked up in the catalogue that ships with Packhorse; anything else is a path. Whatever is
wrong is said in one line by `ConfigurationError`: file, place in it, what was found, what is expected.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from packhorse.pack.compile import compile_pack
from packhorse.pack.description import CellFile, PackFile
from packhorse.pack.words import Pack

CATALOGUE = Path(__file__).parent / "catalogue"
MAX_BYTES = 8_000_000

Model = TypeVar("Model", bound=BaseModel)


class ConfigurationError(ValueError):
    """A file of the user's is wrong; the message is one line that names file, place, finding and remedy."""


def names(kind: str) -> list[str]:
    """Names in one shelf of the catalogue: `cells`, `packs` or `trucks`."""
    return sorted(path.stem for path in (CATALOGUE / kind).glob("*.toml"))


def find(kind: str, name: str, beside: Path | None = None) -> Path:
    """Path of a catalogue entry or of a file of the user's, relative to the file that mentions it."""
    if not name.endswith(".toml"):
        known = names(kind)
        if name in known:
            return CATALOGUE / kind / f"{name}.toml"
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}; or give a path to a .toml file"
        raise ConfigurationError(f"{name}: no such entry among {kind} of the catalogue; {hint}")
    path = Path(name)
    if beside is not None and not path.is_absolute():
        path = beside.parent / path
    if not path.is_file():
        raise ConfigurationError(
            f"{path}: no such file; give an existing .toml file or one of: {', '.join(names(kind))}"
        )
    return path


def read(path: Path, model: type[Model]) -> Model:
    """Read one TOML file as the given kind of description."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigurationError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB; this is not a description file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as text ({error}); give a TOML file in UTF-8") from error
    if not text.strip():
        raise ConfigurationError(f"{path}: the file is empty; start from an example: packhorse pack show medium")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
    return check(path, raw, model)


def check(path: Path, raw: dict[str, object], model: type[Model]) -> Model:
    """Validate what a file says; all complaints become one line."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        complaints = [_say(item, model) for item in error.errors(include_url=False)]
        more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
        raise ConfigurationError(f"{path}: {complaints[0]}{more}") from error


def _say(item: ErrorDetails, model: type[BaseModel]) -> str:
    """One pydantic complaint as `place: what (found value); remedy`."""
    place = ".".join(str(part) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(model), n=1)
        remedy = f"did you mean {close[0]}?" if close else "remove it"
        return f"{place}: unknown key; {remedy}"
    if item["type"] == "missing":
        return f"{place}: missing; add it"
    if item["type"] == "value_error":
        return f"{place}: {message}" if place else message
    found = str(item["input"]).replace("\n", " ")
    found = found if len(found) <= 60 else found[:57] + "..."
    return f"{place}: found {found}; {message[0].lower()}{message[1:]} (the unit is the key's suffix, e.g. V, not mV)"


def _known_keys(model: type[BaseModel]) -> list[str]:
    """Every key of a description and of its parts."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        keys.append(name)
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys.extend(_known_keys(kind))
    return keys


def load_cell(name: str, beside: Path | None = None) -> CellFile:
    """A cell of the catalogue or a cell file."""
    return read(find("cells", name, beside), CellFile)


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
