"""What goes wrong is said in one line on stderr, with exit code 2; a traceback is a bug of ours.

Nothing heavy is imported before something has gone wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

FAILED, INTERRUPTED = 2, 130


@contextmanager
def said() -> Iterator[None]:
    """Turn every expected failure inside into its line and its exit code."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        leave("interrupted; nothing was written", INTERRUPTED)
    except BrokenPipeError:
        silence_stdout()
        leave("whoever read the output has closed it", FAILED)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        leave(f"{named}{error.strerror or error}; check the path, its rights and the disk", FAILED)
    except Exception as error:
        if not expected(error):
            raise
        leave(str(error), FAILED)


def expected(error: Exception) -> bool:
    """Whether an error was raised for the user to read."""
    from packhorse.io.errors import Error  # noqa: PLC0415
    from packhorse.pack.load import ConfigurationError  # noqa: PLC0415

    return isinstance(error, Error | ConfigurationError)


def refuse(options: list[str], why: str) -> None:
    """Leave where options were given that do not belong here."""
    if options:
        leave(f"--{options[0]} {why}", FAILED)


def leave(message: str, code: int) -> None:
    """Say why on one line of stderr, without characters that a terminal would obey, and exit."""
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    print(f"packhorse: {line}", file=sys.stderr)
    raise typer.Exit(code)


def silence_stdout() -> None:
    """Let Python's own last flush of a closed pipe go nowhere, or it would complain a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
