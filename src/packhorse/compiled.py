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

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import platformdirs

Function = TypeVar("Function")


def source_hash() -> str:
    """Hash of every Python file whose compiled code others call: all rooms but `app` and `lab`.

    Numba's disk cache looks only at the file of the function itself and would keep stale code when a *called*
    function in another file changes, so the cache folder carries this hash in its name. Compiled code in `lab` calls
    only what is below `lab` or in its own file.
    """
    digest = hashlib.sha256()
    home = Path(__file__).parent
    for path in sorted(set(home.rglob("*.py")) - set((home / "app").rglob("*.py")) - set((home / "lab").rglob("*.py"))):
        digest.update(path.relative_to(home).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where the machine code of this very source is kept (`PACKHORSE_CACHE` overrides the parent folder)."""
    parent = os.environ.get("PACKHORSE_CACHE") or platformdirs.user_cache_dir("packhorse")
    return Path(parent) / f"code-{source_hash()}"


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

    numba.config.CACHE_DIR = str(cache_folder())
    _OPTIONS = {"cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    compiled = numba.njit(**_OPTIONS)
    part = numba.njit(**_OPTIONS, no_cpython_wrapper=True)
    kernel = numba.njit(**_OPTIONS, no_cpython_wrapper=True, _nrt=False, pipeline_class=_NoOverlap)
