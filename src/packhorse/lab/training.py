"""What a laboratory hands over to have a cell identified."""

from __future__ import annotations

from typing import NamedTuple

from packhorse.io.cell_logs import CellLog


class Training(NamedTuple):
    """Logs of one cell by kind of test. Without a chemistry it is told by the shape of the OCV."""

    ocv: list[CellLog]
    pulse: list[CellLog]
    capacity: list[CellLog]
    drive: list[CellLog]
    chemistry: str | None = None

    def each(self) -> list[CellLog]:
        """All logs, slow tests first."""
        return [*self.ocv, *self.pulse, *self.capacity, *self.drive]
