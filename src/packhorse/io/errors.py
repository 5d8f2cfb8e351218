"""What the outside world can do to us, each said in one line: what, where, what was expected, the remedy."""

from __future__ import annotations


class Error(Exception):
    """A file, a disk or a bus let us down; the message is one line that a user can act on."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class ReadError(Error):
    """A file cannot be read as what it should be."""


class WriteError(Error):
    """Results cannot be written; nothing half-written is left behind."""


class BusError(Error):
    """A bus cannot be opened, or is gone."""
