"""How the core is compiled: three decorators and a cache folder that cannot go stale.

- `compiled` turns a plain scalar function into machine code that Python can call.
- `part` does the same for a function that only compiled code calls. Unpacking a whole `Pack` from Python is most of
  the time it takes to compile a small function, so parts go without (40 s against 28 s for the first step).
- `kernel` is a part that only reads and writes the arrays it is given. It promises that they do not overlap: only then
  do loops over cells use the whole width of the processor (33 ns against 13 ns for one cell of the estimator). And it
  makes no array, gives none back and calls nothing that does, so that nobody counts references to them (106 ns
  against 56 ns for a small function). Measured in docs/decisions/0002.

None uses `fastmath`: live, twin and replay must agree to the bit. With `NUMBA_DISABLE_JIT=1` the same functions
run as ordinary Python, which is how they are debugged, covered and mutated.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import platformdirs

Function = TypeVar("Function")


HOME = Path(__file__).parent
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(packhorse[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n(]*)|import[ \t]+(packhorse[^\n]*))",
    re.MULTILINE,
)


def source_hash(module: str) -> str:
    """Hash of all sources that compiled code of a module can depend on: its own, and what it imports, however far.

    Numba's disk cache looks only at the file of the function itself. It would keep stale code when a *called* function,
    a constant or a named tuple of another file changes, so the cache folder carries this hash in its name. Code from
    outside of the package (tests, benchmarks) depends on everything.
    """
    digest = hashlib.sha256()
    for name in sorted(sources(module) if file_of(module) else every_module()):
        digest.update(name.encode())
        digest.update(text_of(name).encode())
    return digest.hexdigest()[:16]


@functools.cache
def sources(module: str) -> frozenset[str]:
    """A module of ours and all that it imports: a package of a module counts, as its `__init__` runs too."""
    found: set[str] = set()
    left = [module]
    while left:
        name = left.pop()
        if name in found or file_of(name) is None:
            continue
        found.add(name)
        left += [name.rpartition(".")[0], *imported(name)]
    return frozenset(found)


@functools.cache
def imported(module: str) -> frozenset[str]:
    """What a module names in its imports, under whatever condition. Some of it is no module but a name in one."""
    found: set[str] = set()
    for package, names, modules in IMPORT.findall(text_of(module)):
        found |= {package, *(f"{package}.{name}" for name in re.findall(r"\w+", names))} if package else set()
        found |= set(re.findall(r"packhorse[\w.]*", modules))
    return frozenset(found)


@functools.cache
def text_of(module: str) -> str:
    """The source of a module; empty where there is none."""
    path = file_of(module)
    return "" if path is None else path.read_text(encoding="utf-8")


@functools.cache
def file_of(module: str) -> Path | None:
    """The file of a module of ours; None for all else."""
    first, *rest = module.split(".")
    bare = HOME.joinpath(*rest)
    places = (bare / "__init__.py", bare.with_name(f"{bare.name}.py")) if first == "packhorse" else ()
    return next((path for path in places if path.is_file()), None)


def every_module() -> list[str]:
    """All modules of the package."""
    files = (path.relative_to(HOME.parent).with_suffix("") for path in HOME.rglob("*.py"))
    return [".".join(path.parts).removesuffix(".__init__") for path in files]


@functools.cache
def cache_folder(module: str) -> Path:
    """Where the machine code of this very source is kept (`PACKHORSE_CACHE` overrides the parent folder)."""
    parent = os.environ.get("PACKHORSE_CACHE") or platformdirs.user_cache_dir("packhorse")
    return Path(parent) / f"{module.removeprefix('packhorse.')}-{source_hash(module)}"


if TYPE_CHECKING:

    def compiled(function: Function) -> Function:
        """Compile a function of numbers, arrays and named tuples."""
        return function

    def part(function: Function) -> Function:
        """Compile a function that only compiled code calls."""
        return function

    def kernel(function: Function) -> Function:
        """Compile a function that only compiled code calls, makes no arrays, and whose arrays never overlap."""
        return function

else:
    import numba
    from numba.core.compiler import CompilerBase, DefaultPassBuilder

    class _NoOverlap(CompilerBase):
        def define_pipelines(self) -> list[Any]:
            self.state.flags.noalias = True
            return [DefaultPassBuilder.define_nopython_pipeline(self.state)]

    def _cached(function: Any, **options: Any) -> Any:
        numba.config.CACHE_DIR = str(cache_folder(function.__module__))  # Numba looks at it when it decorates
        return numba.njit(cache=True, error_model="numpy", no_cfunc_wrapper=True, **options)(function)

    compiled = _cached
    part = functools.partial(_cached, no_cpython_wrapper=True)
    kernel = functools.partial(_cached, no_cpython_wrapper=True, _nrt=False, pipeline_class=_NoOverlap)
