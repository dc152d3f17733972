"""The moment as the page's stream tells it: power, tokens and cost of now, and of the last half hour.

Rates are differences of the ledger's own totals, which never fall, between two ticks of this process; no
counter of a source is looked at here.
"""

import json
from collections import deque
from itertools import pairwise
from typing import Any, NamedTuple

from evenwatt.economics.sums import known_sum
from evenwatt.economics.tokens import Tokens
from evenwatt.snapshot import Snapshot, machine_watts, tokens_of
from evenwatt.snapshot.sums import total_money
from evenwatt.units import TOKENS_PER_MTOK

__all__ = ["LiveLog"]

_KEPT_SECONDS = 1_800.0
_MOST_KEPT = 400
"""At most so many points, also where ticks come faster than the default."""
_NOW_SECONDS = 300.0
"""What a million tokens cost now is what they cost in the last five minutes: single ticks tell little."""


class _Point(NamedTuple):
    boot_seconds: float
    utc_seconds: float
    watts: float | None
    tokens: Tokens
    cost: float | None


class LiveLog:
    """The latest ticks of this process."""

    def __init__(self) -> None:
        self._points: deque[_Point] = deque()

    def told(self, snapshot: Snapshot) -> tuple[bytes, bytes]:
        """Take a snapshot down; return the event of this tick, and the document of all that are kept."""
        point = _point(snapshot)
        while self._points and not self._is_recent(point, self._points[0]):
            self._points.popleft()
        if self._is_last_far_enough():
            self._points.append(point)
        else:
            self._points[-1] = point
        event = self._event(snapshot, point)
        return _json(event), _json({**event, "points": self._history()})

    def _is_last_far_enough(self) -> bool:
        """Return whether the last point stays: one too near to that before it gives way to the next."""
        if len(self._points) < 2:  # noqa: PLR2004 -- two points
            return True
        return self._points[-1].boot_seconds - self._points[-2].boot_seconds >= _KEPT_SECONDS / _MOST_KEPT

    def _is_recent(self, point: _Point, kept: _Point) -> bool:
        return 0 <= point.boot_seconds - kept.boot_seconds <= _KEPT_SECONDS

    def _event(self, snapshot: Snapshot, point: _Point) -> dict[str, Any]:
        since = next((p for p in self._points if point.boot_seconds - p.boot_seconds <= _NOW_SECONDS), point)
        before = self._points[-2] if len(self._points) > 1 else None
        tokens = _less(point.tokens, since.tokens)
        full = snapshot.cost_per_hour.full
        return {
            "utc_seconds": point.utc_seconds,
            "simulated": snapshot.simulated,
            "currency": snapshot.currency,
            "power_watts": point.watts,
            "host_watts": snapshot.host.host_watts,
            "gpu_watts": [
                {"index": gpu.index, "uuid": gpu.uuid, "power_watts": gpu.power_watts}
                for gpu in snapshot.gpus
            ],
            "cost_per_hour": full,
            "tokens_per_second": None if before is None else _rates(before, point),
            "now": {
                "seconds": point.boot_seconds - since.boot_seconds,
                "tokens": tokens.total_tokens,
                "cost_per_mtok": None if full is None else _now_cost(since, point, tokens),
            },
            "requests_running": known_sum(view.requests_running for view in snapshot.engines),
            "requests_waiting": known_sum(view.requests_waiting for view in snapshot.engines),
            "sources_down": [source.source for source in snapshot.sources if not source.up],
        }

    def _history(self) -> dict[str, list[float | None]]:
        """Return the kept points as columns; a rate is of the stretch that ends at its point."""
        points = list(self._points)
        rates = [_rates(before, after) for before, after in pairwise(points)]
        return {
            "utc_seconds": [point.utc_seconds for point in points[1:]],
            "power_watts": [point.watts for point in points[1:]],
            "tokens_per_second": [None if rate is None else rate["total"] for rate in rates],
        }


def _point(snapshot: Snapshot) -> _Point:
    totals = snapshot.totals
    usages = [tokens_of(usage) for usage in totals.usage.values()]
    return _Point(
        boot_seconds=snapshot.moment.boot_seconds,
        utc_seconds=snapshot.moment.utc_seconds,
        watts=machine_watts(snapshot.gpus, snapshot.host),
        tokens=Tokens(
            input_tokens=sum(tokens.input_tokens for tokens in usages),
            cached_input_tokens=known_sum(tokens.cached_input_tokens for tokens in usages),
            output_tokens=sum(tokens.output_tokens for tokens in usages),
        ),
        cost=total_money(totals.money.values()).costs.known,
    )


def _less(after: Tokens, before: Tokens) -> Tokens:
    cached = after.cached_input_tokens
    return Tokens(
        input_tokens=after.input_tokens - before.input_tokens,
        cached_input_tokens=None if cached is None else cached - (before.cached_input_tokens or 0),
        output_tokens=after.output_tokens - before.output_tokens,
    )


def _now_cost(since: _Point, now: _Point, tokens: Tokens) -> float | None:
    if now.cost is None or since.cost is None or not tokens.total_tokens:
        return None
    return (now.cost - since.cost) / (tokens.total_tokens / TOKENS_PER_MTOK)


def _rates(before: _Point, after: _Point) -> dict[str, float | None] | None:
    seconds = after.boot_seconds - before.boot_seconds
    if seconds <= 0:
        return None
    tokens = _less(after.tokens, before.tokens)
    cached = tokens.cached_input_tokens
    return {
        "input": tokens.input_tokens / seconds,
        "cached_input": None if cached is None else cached / seconds,
        "output": tokens.output_tokens / seconds,
        "total": tokens.total_tokens / seconds,
    }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
