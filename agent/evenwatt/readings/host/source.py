"""Host power as a source: the best meter that works, read at each tick and looked at between two of them.

One that works is kept; only after it failed several times in a row is the next one taken, and a better one
that came back is taken again after a while. Each change is a baseline, so that it is not made lightly.
"""

from collections.abc import Callable, Sequence

from evenwatt import clock
from evenwatt.errors import SourceError, SourceUnavailable
from evenwatt.model import Epoch, HostReading, Moment, PowerSample
from evenwatt.readings.host.meter import Measurement, Meter

__all__ = ["HOST_SOURCE", "HostSource"]

HOST_SOURCE = "host_power"
"""The source's name; which meter it reads is in its readings."""

_FAILURES_BEFORE_CHANGE = 3
_LOOK_FOR_BETTER_SECONDS = 600.0
_SAMPLES_KEPT = 600
_LEAST_SECONDS = 0.05


class HostSource:
    """Reads the best of several meters.

    Args:
        meters: Best first.
        deadline_seconds: What one reading may take.
        now: The present.
    """

    name = HOST_SOURCE

    def __init__(
        self,
        meters: Sequence[Meter],
        *,
        deadline_seconds: float,
        now: Callable[[], Moment] = clock.now,
    ) -> None:
        self._meters = tuple(meters)
        self._deadline_seconds = deadline_seconds
        self._now = now
        self._chosen: Meter | None = None
        self._failures = 0
        self._looked_boot_seconds = 0.0
        self._reason = ""
        self._samples: list[PowerSample] = []
        self._sampled: tuple[Moment, Measurement] | None = None

    @property
    def kind(self) -> str:
        """The kind of the meter that is read."""
        return (self._chosen or self._meters[0]).source

    @property
    def address(self) -> str:
        """Which meter is read; before one works, the best there could be."""
        return (self._chosen or self._meters[0]).address

    @property
    def sample_seconds(self) -> float | None:
        """How often the meter's power has to be looked at."""
        return None if self._chosen is None else self._chosen.sample_seconds

    def sample(self) -> None:
        """Look at the power of a meter without a counter; a failure is left to the next reading to tell."""
        if self._chosen is None:
            return
        try:
            self._keep(self._look(self._chosen, self._deadline_seconds))
        except SourceError:
            self._sampled = None

    def read(self) -> HostReading:
        """Return what the meter says.

        Raises:
            SourceError: It says nothing; where there are several, of each why.
        """
        until = clock.boot_seconds() + self._deadline_seconds
        if self._chosen is None or self._is_time_to_look():
            self._choose(until)
        if self._chosen is None:
            raise SourceUnavailable(self._reason)
        meter = self._chosen
        try:
            looked = self._fresh(meter) or self._keep(self._look(meter, until - clock.boot_seconds()))
        except SourceError:
            self._failures += 1
            if self._failures >= _FAILURES_BEFORE_CHANGE and len(self._meters) > 1:
                self._chosen = None
            raise
        self._failures = 0
        return self._reading(meter, *looked)

    def close(self) -> None:
        """Let go of all meters."""
        for meter in self._meters:
            meter.close()

    def _is_time_to_look(self) -> bool:
        is_best = self._chosen is self._meters[0]
        return not is_best and clock.boot_seconds() - self._looked_boot_seconds >= _LOOK_FOR_BETTER_SECONDS

    def _choose(self, until_boot_seconds: float) -> None:
        """Take the best meter that works; the one that is read stays where no better one does."""
        self._looked_boot_seconds = clock.boot_seconds()
        refusals = []
        for meter in self._meters:
            if meter is self._chosen:
                break
            try:
                looked = self._look(meter, until_boot_seconds - clock.boot_seconds())
            except SourceError as error:
                refusals.append(str(error))
                continue
            self._chosen, self._failures = meter, 0
            self._samples.clear()
            self._keep(looked)
            break
        told = "; ".join(refusals)
        if self._chosen is None:
            self._reason = told
        elif len(self._meters) > 1:
            better = f"; better ones do not work: {told}" if refusals else ""
            self._reason = f"the best that was found{better}"

    def _fresh(self, meter: Meter) -> tuple[Moment, Measurement] | None:
        """Return the last look where it was just now: some meters bear no quick asking."""
        if self._sampled is None or meter.sample_seconds is None:
            return None
        age = clock.boot_seconds() - self._sampled[0].boot_seconds
        return self._sampled if age < meter.sample_seconds / 2 else None

    def _look(self, meter: Meter, deadline_seconds: float) -> tuple[Moment, Measurement]:
        found = meter.measure(max(deadline_seconds, _LEAST_SECONDS))
        return self._now(), found

    def _keep(self, looked: tuple[Moment, Measurement]) -> tuple[Moment, Measurement]:
        """Keep a look at the power of a meter without a counter until it is read."""
        moment, found = looked
        if not found.counters and found.power_watts is not None:
            sample = PowerSample(boot_seconds=moment.boot_seconds, power_watts=found.power_watts)
            self._samples = [*self._samples[-_SAMPLES_KEPT + 1 :], sample]
        self._sampled = looked
        return looked

    def _reading(self, meter: Meter, moment: Moment, found: Measurement) -> HostReading:
        samples, self._samples = tuple(self._samples), []
        epoch = Epoch()
        if meter.is_of_boot:
            epoch = Epoch(signals={"boot": moment.boot_id}, started_boot_seconds=0.0)
        return HostReading(
            source=meter.source,
            meter=meter.address,
            moment=moment,
            covers=meter.covers,
            epoch=epoch,
            counters=found.counters,
            power_samples=() if found.counters else samples,
            power_watts=found.power_watts,
            reason=self._reason,
        )
