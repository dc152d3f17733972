"""An engine whose work is counted by its own page, from one idle moment to another."""

import asyncio

from evenwatt import clock
from evenwatt.errors import SourceContractError
from evenwatt.model import EngineReading, ModelCounters
from evenwatt.readings.family import FamilySource

__all__ = ["CountedEngine", "increase"]

_IDLE_SECONDS = 15.0
_POLL_SECONDS = 0.05


class CountedEngine:
    """One engine under a load run.

    Args:
        source: Its page.
        others_run: It is known that requests of others run as well, and nobody waits for their end.

    Attributes:
        others_seen: Requests of others ran as well, so that what it counts is not all of this run.
    """

    def __init__(self, source: FamilySource, *, others_run: bool) -> None:
        self.name = source.name
        self.address = source.address
        self.others_seen = others_run
        self._source = source

    async def idle(self) -> EngineReading:
        """Return what it says once nothing runs; where others' requests go on, once we have waited.

        Raises:
            SourceError: It cannot be read.
        """
        until = clock.boot_seconds() + (_POLL_SECONDS if self.others_seen else _IDLE_SECONDS)
        while True:
            # Between steps nothing else waits for this thread, so the source may hold it.
            reading = self._source.read()
            if not reading.requests_running and not reading.requests_waiting:
                return reading
            if clock.boot_seconds() > until:
                self.others_seen = True
                return reading
            await asyncio.sleep(_POLL_SECONDS)


def increase(before: EngineReading, after: EngineReading) -> ModelCounters:
    """Return what an engine counted between two readings, over all of its models.

    Raises:
        SourceContractError: It restarted in between.
    """
    counted = [_sum(before), _sum(after)]
    if counted[1].output_tokens < counted[0].output_tokens or before.epoch.signals != after.epoch.signals:
        raise SourceContractError(f"{after.engine} restarted during the load run; nothing is kept of it")
    outcomes = counted[1].requests.keys()
    return ModelCounters(
        model="",
        input_tokens=max(counted[1].input_tokens - counted[0].input_tokens, 0),
        output_tokens=counted[1].output_tokens - counted[0].output_tokens,
        requests={name: counted[1].requests[name] - counted[0].requests.get(name, 0) for name in outcomes},
    )


def _sum(reading: EngineReading) -> ModelCounters:
    outcomes = {outcome for counters in reading.all_models for outcome in counters.requests}
    return ModelCounters(
        model="",
        input_tokens=sum(counters.input_tokens for counters in reading.all_models),
        output_tokens=sum(counters.output_tokens for counters in reading.all_models),
        requests={
            outcome: sum(counters.requests.get(outcome, 0) for counters in reading.all_models)
            for outcome in outcomes
        },
    )
