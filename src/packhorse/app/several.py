"""Options that take several files after one flag, as a shell's `*` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand


class SeveralFiles(TyperCommand):
    """A command whose repeatable options take every word up to the next option: `--drive a.csv b.csv`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give every further word its own flag, which is what the parser knows."""
        flags = {flag for param in self.params if getattr(param, "multiple", False) for flag in param.opts}
        return super().parse_args(ctx, repeated(args, flags))


def repeated(words: Sequence[str], flags: set[str]) -> list[str]:
    """`--drive a b` as `--drive a --drive b`, for the flags that may be repeated."""
    out: list[str] = []
    flag, served = "", False
    for word in words:
        if word.startswith("-"):
            flag, _, value = word.partition("=")
            served = bool(value)
        elif flag in flags and served:
            out.append(flag)
        else:
            served = True
        out.append(word)
    return out
