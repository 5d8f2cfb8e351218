"""CAN buses behind one small interface, opened by one name: `socketcan:can0`, `loopback:45454`, `pcan:PCAN_USBBUS1`."""

from packhorse.io.buses.bus import Bus, Counts, Heard
from packhorse.io.buses.lasting import Lasting
from packhorse.io.buses.opening import open_bus

__all__ = ["Bus", "Counts", "Heard", "Lasting", "open_bus"]
