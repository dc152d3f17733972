"""A figure that the owner states: what the machine draws beside its GPUs, all the time that it is up."""

from evenwatt.clock import boot_seconds
from evenwatt.model import Coverage, EnergyCounter
from evenwatt.readings.host.meter import MOST_WATTS, Measurement

__all__ = ["FixedMeter"]


class FixedMeter:
    """A constant, counted from the boot on, so that it also covers time in which the agent was away."""

    source = "fixed"
    covers = Coverage.REST
    is_of_boot = True
    sample_seconds: float | None = None

    def __init__(self, watts: float) -> None:
        self._watts = watts
        self.address = f"{watts:g} W as configured"

    def measure(self, deadline_seconds: float) -> Measurement:  # noqa: ARG002 -- nothing is asked
        """Return what it comes to since the boot."""
        joules = self._watts * boot_seconds()
        counter = EnergyCounter(name="total", energy_joules=joules, most_watts=MOST_WATTS)
        return Measurement(counters=(counter,), power_watts=self._watts)

    def close(self) -> None:
        """Do nothing."""
