"""From an engine's gauges at two readings to how many requests it had between them."""

from evenwatt.ledger.cursors import EngineCursor
from evenwatt.ledger.entries import EngineUse
from evenwatt.model import EngineReading

__all__ = ["engine_use", "part_of_use"]


def engine_use(before: EngineCursor, reading: EngineReading, seconds: float) -> EngineUse:
    """Return what the gauges say of the time between an engine's last reading and this one.

    A gauge is looked at once a tick, so its mean over a tick is that of both ends, and the time in which
    somebody waited is half a tick for each end that says so. What comes and goes between two readings is not
    seen; over many of them that evens out.

    Args:
        before: Its last reading, of the same process.
        reading: This reading.
        seconds: Between them.
    """
    running = _mean(before.requests_running, reading.requests_running)
    waiting = _mean(before.requests_waiting, reading.requests_waiting)
    waited = _mean(_any(before.requests_waiting), _any(reading.requests_waiting))
    return EngineUse(
        observed_seconds=seconds if waiting is not None else None,
        waiting_seconds=_over(waited, seconds),
        running_request_seconds=_over(running, seconds),
        waiting_request_seconds=_over(waiting, seconds),
    )


def part_of_use(use: EngineUse, share: float) -> EngineUse:
    """Return a share of what was observed over a span."""
    return EngineUse(
        observed_seconds=_over(use.observed_seconds, share),
        waiting_seconds=_over(use.waiting_seconds, share),
        running_request_seconds=_over(use.running_request_seconds, share),
        waiting_request_seconds=_over(use.waiting_request_seconds, share),
    )


def _any(requests: int | None) -> int | None:
    return None if requests is None else min(requests, 1)


def _mean(one: int | None, other: int | None) -> float | None:
    return None if one is None or other is None else (one + other) / 2


def _over(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
