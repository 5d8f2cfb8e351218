"""Any adapter that python-can knows: PCAN, Kvaser, Vector, slcan, gs_usb and many more; the extra `can` installs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packhorse.io.buses.bus import MOST_FRAMES, Clock, Counts, Heard
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import CanFrame


class PythonCanBus:
    """A node on a bus of python-can."""

    def __init__(self, interface: str, channel: str, bitrate: int | None, clock: Clock) -> None:
        self.counts = Counts()
        self._where, self._clock = f"{interface}:{channel}", clock
        self._can = library(self._where)
        options: dict[str, Any] = {} if bitrate is None else {"bitrate": bitrate}
        place = int(channel) if channel.isdigit() else channel
        try:
            self._bus = self._can.Bus(interface=interface, channel=place, **options)
        except Exception as error:  # adapters raise what their vendors' libraries raise
            raise BusError(f"{self._where}: {error}; check the adapter, its driver and its name") from error

    def send(self, frames: Sequence[CanFrame]) -> None:
        """Hand the frames to the adapter."""
        for can_id, data in frames:
            message = self._can.Message(
                arbitration_id=can_id, data=data, is_extended_id=True, is_fd=len(data) > 8, check=False
            )
            try:
                self._bus.send(message, timeout=0)
            except self._can.CanOperationError as error:
                if "full" not in str(error).lower():
                    raise self._broken(error) from error
                self.counts.dropped += 1
            except Exception as error:
                raise self._broken(error) from error
            else:
                self.counts.sent += 1

    def heard(self, wait_s: float = 0.0) -> list[Heard]:
        """Frames that the adapter has."""
        found: list[Heard] = []
        try:
            message = self._bus.recv(wait_s)
            while message is not None:
                self._take(message, found)
                message = self._bus.recv(0) if len(found) < MOST_FRAMES else None
        except BusError:
            raise
        except Exception as error:
            raise self._broken(error) from error
        self.counts.heard += len(found)
        return found

    def close(self) -> None:
        """Let the adapter go."""
        self._bus.shutdown()

    def _take(self, message: Any, found: list[Heard]) -> None:
        if message.is_error_frame:
            self.counts.errors += 1
            if self._bus.state == self._can.BusState.ERROR:
                self.counts.bus_off += 1
                raise BusError(f"{self._where}: bus off; check wiring, bit rate and termination")
        elif message.is_remote_frame:
            self.counts.malformed += 1
        else:
            frame = CanFrame(message.arbitration_id, bytes(message.data))
            found.append(Heard(self._clock(), frame, message.is_extended_id))

    def _broken(self, error: Exception) -> BusError:
        return BusError(f"{self._where}: {error}; check that the adapter is plugged in")


def library(where: str) -> Any:
    """python-can, imported when it is needed. Raises BusError where it is not installed."""
    try:
        import can  # noqa: PLC0415
    except ImportError as error:
        raise BusError(f"{where}: needs python-can; install it with 'pip install packhorse[can]'") from error
    return can
