"""Electricity prices from a service: JSON over HTTP, or a Prometheus server. One bounded GET for each look.

What comes is checked before it is believed: times in order, prices that can be prices. A wrong unit shows
as a price a hundred or a thousand times too high, and is refused with what to change.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from evenwatt.errors import SourceContractError
from evenwatt.readings.http import HttpClient, shown_url
from evenwatt.readings.json_path import finite_number, parse_json, quoted, value_at
from evenwatt.readings.promql import query_path, value_now
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

__all__ = ["FeedSpec", "QuotedPrice", "read_quotes"]

_STATUS_ADVICE = MappingProxyType({400: "check its query", 404: "check its url"})
_MOST_BYTES = 2**20
"""As objects, JSON takes some ten times its size, and the agent has no more than a few MiB for it."""
_MOST_PRICES = 20_000
"""200 days of quarter hours; services give one or two days."""
_LEAST_UTC_SECONDS = 946_684_800.0
"""2000-01-01: whatever is before it, is no time of a price."""
_LEAST_MILLISECONDS = 1e11
"""As seconds, this would be in the year 5138."""
_LAST_LASTS_SECONDS = SECONDS_PER_HOUR
"""For how long the last price of a list holds that does not say so, where it is the only one."""


class FeedSpec(Struct, frozen=True, kw_only=True):
    """Where prices are, and what is made of them.

    Attributes:
        query: PromQL; None: `url` is the JSON itself.
        list_path: Of the list of prices; None with `start_path`: each path leads to a list of its own.
        start_path: None: there is one price, the one that holds now.
        end_path: None: a price ends where the next one begins.
        price_path: None with `query`.
        kwh_ratio: What the price is multiplied with to be in currency per kWh.
        add: Fees per kWh, before `multiply`.
        multiply: Taxes as a factor.
        lowest_per_kwh: The lowest price that is believed, after all that.
        highest_per_kwh: The highest one.
        lasting_seconds: For how long a price without times holds.
    """

    url: str
    query: str | None = None
    list_path: str | None = None
    start_path: str | None = None
    end_path: str | None = None
    price_path: str | None = None
    kwh_ratio: float = 1.0
    add: float = 0.0
    multiply: float = 1.0
    lowest_per_kwh: float = -1.0
    highest_per_kwh: float = 5.0
    lasting_seconds: float = SECONDS_PER_HOUR

    @property
    def address(self) -> str:
        """What is asked, with the query of Prometheus."""
        if self.query is None:
            return self.url
        return f"{self.url.rstrip('/')}{query_path(self.query)}"


class QuotedPrice(Struct, frozen=True, kw_only=True):
    """A price and the time that it is for, both ends on whole minutes."""

    start_utc_seconds: float
    end_utc_seconds: float
    price_per_kwh: float


def read_quotes(
    client: HttpClient, spec: FeedSpec, *, now_utc_seconds: float, deadline_seconds: float
) -> tuple[QuotedPrice, ...]:
    """Return the prices that a service gives, oldest first; past and future ones as they come.

    Raises:
        SourceUnavailable: No complete answer came in time.
        SourceContractError: What came is not what the specification says, or cannot be believed.
    """
    answer = client.get(spec.address, deadline_seconds)
    shown = shown_url(spec.url)
    body = answer.ok_body(_STATUS_ADVICE)
    if len(body) > _MOST_BYTES:
        raise SourceContractError(
            f"{shown} sends {len(body)} bytes; expected at most {_MOST_BYTES}, for a day or two of prices"
        )
    document = parse_json(body, shown)
    if spec.query is not None:
        return (_current(spec, value_now(document, shown), now_utc_seconds, shown),)
    if spec.start_path is None:
        found = value_at(document, spec.price_path or "", shown)
        return (_current(spec, found, now_utc_seconds, shown),)
    return _listed(spec, document, shown)


def _current(spec: FeedSpec, found: Any, now_utc_seconds: float, shown: str) -> QuotedPrice:
    # Minutes are priced as a whole: what was read within one holds from its beginning.
    start = now_utc_seconds // SECONDS_PER_MINUTE * SECONDS_PER_MINUTE
    return QuotedPrice(
        start_utc_seconds=start,
        end_utc_seconds=start + spec.lasting_seconds,
        price_per_kwh=_price_per_kwh(spec, found, shown),
    )


def _listed(spec: FeedSpec, document: Any, shown: str) -> tuple[QuotedPrice, ...]:
    entries = sorted(_entries(spec, document, shown), key=lambda entry: entry[0])
    if not entries:
        raise SourceContractError(f"{shown} has an empty list of prices; see whether it asks for a day")
    starts = [start for start, _, _ in entries]
    for before, after in pairwise(starts):
        if before == after:
            raise SourceContractError(f"{shown} has two prices for {_iso(before)}; expected one")
    last_length = starts[-1] - starts[-2] if len(starts) > 1 else _LAST_LASTS_SECONDS
    nexts = [*starts[1:], starts[-1] + min(last_length, SECONDS_PER_DAY)]
    quotes = tuple(
        _quote(start, next_start if end is None else end, price, shown)
        for (start, end, price), next_start in zip(entries, nexts, strict=True)
        if price is not None
    )
    if not quotes:
        raise SourceContractError(
            f"{shown} has times without prices; see the path, or whether it is too early"
        )
    _check_overlaps(quotes, shown)
    return quotes


def _quote(start: float, end: float, price_per_kwh: float, shown: str) -> QuotedPrice:
    if end <= start:
        raise SourceContractError(f"{shown} has a price that ends at {_iso(end)}, before it begins")
    return QuotedPrice(start_utc_seconds=start, end_utc_seconds=end, price_per_kwh=price_per_kwh)


def _check_overlaps(quotes: Iterable[QuotedPrice], shown: str) -> None:
    for before, after in pairwise(quotes):
        if before.end_utc_seconds > after.start_utc_seconds:
            raise SourceContractError(
                f"{shown} has two prices for {_iso(after.start_utc_seconds)}, as one that began before ends "
                f"at {_iso(before.end_utc_seconds)}; expected one"
            )


def _entries(spec: FeedSpec, document: Any, shown: str) -> Iterator[tuple[float, float | None, float | None]]:
    """Yield start, end where it is told, and price of each entry; null is a price not known yet."""
    for start, end, price in _raw_entries(spec, document, shown):
        yield (
            _utc_seconds(start, shown),
            None if spec.end_path is None else _utc_seconds(end, shown),
            None if price is None else _price_per_kwh(spec, price, shown),
        )


def _raw_entries(spec: FeedSpec, document: Any, shown: str) -> Iterator[tuple[Any, Any, Any]]:
    paths = [spec.start_path or "", spec.end_path or spec.start_path or "", spec.price_path or ""]
    if spec.list_path is not None:
        for entry in _list_at(document, spec.list_path, shown):
            start, end, price = (value_at(entry, path, f"an entry of {shown}") for path in paths)
            yield start, end, price
        return
    columns = [_list_at(document, path, shown) for path in paths]
    if len({len(column) for column in columns}) > 1:
        lengths = " and ".join(
            f"{len(column)} at {path}" for path, column in zip(paths, columns, strict=True)
        )
        raise SourceContractError(f"{shown} has lists of different lengths, {lengths}; see the paths")
    yield from zip(*columns, strict=True)


def _list_at(document: Any, path: str, shown: str) -> Sequence[Any]:
    found = value_at(document, path, shown)
    if not isinstance(found, list):
        raise SourceContractError(f"{shown} has no list at {path}, found {quoted(found)}; see the path")
    if len(found) > _MOST_PRICES:
        raise SourceContractError(
            f"{shown} has {len(found)} prices at {path}; expected {_MOST_PRICES} at most"
        )
    return found


def _utc_seconds(found: Any, shown: str) -> float:
    """Return a time told as ISO 8601 with its offset, or as Unix time in seconds or milliseconds."""
    seconds = finite_number(found)
    if seconds is None and isinstance(found, str):
        seconds = _iso_seconds(found, shown)
    elif seconds is not None and seconds >= _LEAST_MILLISECONDS:
        seconds /= 1_000
    if seconds is None or not _LEAST_UTC_SECONDS <= seconds < _LEAST_MILLISECONDS:
        raise SourceContractError(f"{shown} has {quoted(found)} where a time is expected; see the paths")
    if seconds % SECONDS_PER_MINUTE:
        raise SourceContractError(f"{shown} has a price from {quoted(found)} on; expected a whole minute")
    return seconds


def _iso_seconds(text: str, shown: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        raise SourceContractError(
            f"{shown} has the time {quoted(text)} without its offset from UTC; expected one, such as +01:00"
        )
    return moment.timestamp()


def _price_per_kwh(spec: FeedSpec, found: Any, shown: str) -> float:
    raw = finite_number(found)
    if raw is None:
        raise SourceContractError(f"{shown} has {quoted(found)} where a price is expected; see the path")
    price = (raw * spec.kwh_ratio + spec.add) * spec.multiply
    if not spec.lowest_per_kwh <= price <= spec.highest_per_kwh:
        raise SourceContractError(
            f"{shown} has the price {raw:g}, which would be {price:g} per kWh; expected from "
            f"{spec.lowest_per_kwh:g} to {spec.highest_per_kwh:g}. Check unit (per_kwh, per_mwh, "
            "cents_per_kwh), or set lowest_per_kwh and highest_per_kwh if it is right"
        )
    return price


def _iso(utc_seconds: float) -> str:
    # Only times that came from the calendar get here.
    return f"Unix time {utc_seconds:.0f}"
