"""The section that says what electricity costs: one price, prices with dates and time bands, or a feed."""

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import product
from typing import Annotated, Literal, get_args

from evenwatt.config.credentials import ApiKey
from evenwatt.config.parsers import matching_text, number, one_of, parsed_text
from evenwatt.config.refusals import KeyPath
from evenwatt.config.rules import apart, at_least_one
from evenwatt.config.section import Section
from evenwatt.config.urls import FeedUrl
from evenwatt.config.values import Day, Label, Money
from evenwatt.economics.bands import DAYS, HOLIDAY, MINUTES_PER_DAY, Band, band_at, day_kinds

__all__ = ["Electricity", "ElectricityBand", "ElectricityFeed", "ElectricityPrice", "Holidays", "core_band"]


_A_MONDAY = date(2024, 1, 1)


def _parse_json_path(text: str) -> str | None:
    return text if re.fullmatch(r"(\[\d+\]|[^.\[\]\s]+)(\[\d+\]|\.[^.\[\]\s]+)*", text) else None


_DayKind = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]
_FeedUnit = Literal["per_kwh", "per_mwh", "cents_per_kwh"]

DayKind = Annotated[_DayKind, one_of(*get_args(_DayKind))]
FeedUnit = Annotated[_FeedUnit, one_of(*get_args(_FeedUnit))]
Clock = Annotated[
    str,
    matching_text("([01][0-9]|2[0-3]):[0-5][0-9]|24:00", "a time of day from 00:00 to 24:00, such as 22:00"),
]
PromQuery = Annotated[
    str, matching_text(r"(?=.*\S)[ -~]{1,1000}", "a PromQL query of at most 1,000 printable ASCII characters")
]
JsonPath = Annotated[
    str, parsed_text(_parse_json_path, "keys and [indexes] on the way into the JSON, such as data[0].price")
]
_PricePart = Annotated[float, number(at_least=-1_000_000, at_most=1_000_000)]


class ElectricityBand(Section, frozen=True, kw_only=True):
    """A part of the day with a price of its own.

    Attributes:
        name: Name of a band, each its own in its entry; of bands that overlap the first holds.
        price_per_kwh (currency per kWh): Price in it.
        start (time of day): Where it starts, as the clock on the wall shows it.
        end (time of day): Where it ends; at or before the start: on the next day.
        days (days): On which it starts: `mon` to `sun`, and `holiday`. None: every day.
    """

    name: Label
    price_per_kwh: Money
    start: Clock = "00:00"
    end: Clock = "24:00"
    days: tuple[DayKind, ...] | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.start == "24:00":
            yield ("start",), "got 24:00, expected a time before it; the next day starts at 00:00"
        elif self.start == self.end:
            yield ("end",), f"got {self.end}, where it starts; remove start and end for the whole day"


class ElectricityPrice(Section, frozen=True, kw_only=True):
    """Prices from a day on.

    Attributes:
        valid_from (date): From its midnight in `timezone` on; each entry its own, one may have none. Before
            the first the price is unknown. None: since ever.
        price_per_kwh (currency per kWh): Price outside the bands; required unless they cover every moment.
        bands: The first that fits holds.
    """

    valid_from: Day | None = None
    price_per_kwh: Money | None = None
    bands: Annotated[tuple[ElectricityBand, ...], apart("name")] = ()


class Holidays(Section, frozen=True, kw_only=True):
    """The public holidays of the site.

    Attributes:
        country (ISO 3166 code): Whose public holidays count, as the library `holidays` knows them; required
            unless there are `dates`. A holiday from Monday to Friday is `holiday` alone, one at the weekend
            is both.
        subdivision (code): State or region. None: all of the country.
        dates (dates): Other days that count as holidays.
    """

    country: Label | None = None
    subdivision: Label | None = None
    dates: tuple[Day, ...] | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.country is None and self.subdivision is not None:
            yield ("subdivision",), "needs the country that it is a part of; write both"
        elif self.country is None and not self.dates:
            yield ("country",), "missing; write a country such as DE, or dates"


class ElectricityFeed(Section, frozen=True, kw_only=True):
    """Where prices are read.

    Attributes:
        url (URL): Where the JSON is; with `query` the Prometheus server. It may have a query of its own,
            which is shown nowhere.
        query (PromQL): Whose one series is the price of now.
        list (JSON path): Where the list of prices is; without it `start` and `price` lead to lists of equal
            length.
        start (JSON path): Time of a price, in an entry of the list: ISO 8601 with its offset, or Unix time
            in seconds or milliseconds, on a whole minute. None: the price of now.
        end (JSON path): Time at which it ends. None: the next start.
        price (JSON path): The price; required unless there is a `query`. Where it is null, it is not known
            yet.
        unit: `per_kwh`, `per_mwh` or `cents_per_kwh`, of `currency`.
        add (currency per kWh): Fees, added before `multiply`.
        multiply (ratio): Taxes as a factor on price and fees, above 0.
        lowest_per_kwh (currency per kWh): A price below it, after `add` and `multiply`, is refused: a unit
            must be wrong. None: -1 USD.
        highest_per_kwh (currency per kWh): A price above it is refused likewise. None: 5 USD.
        refresh_minutes (minutes): Between two looks, 1 to 1440; a price without times holds for three of
            them.
        api_key (secret): Sent as a bearer token.
    """

    url: FeedUrl
    query: PromQuery | None = None
    list: JsonPath | None = None
    start: JsonPath | None = None
    end: JsonPath | None = None
    price: JsonPath | None = None
    unit: FeedUnit = "per_kwh"
    add: _PricePart = 0.0
    multiply: Annotated[float, number(above=0, at_most=100)] = 1.0
    lowest_per_kwh: _PricePart | None = None
    highest_per_kwh: _PricePart | None = None
    refresh_minutes: Annotated[float, number(at_least=1, at_most=1_440)] = 15.0
    api_key: ApiKey | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.query is not None:
            for key in self.written & {"list", "start", "end", "price"}:
                yield (key,), "a Prometheus query has one value and no path; remove it, or query"
        elif self.price is None:
            yield ("price",), "missing; write its path in the JSON, or a Prometheus query"
        dated = [key for key in ("list", "end") if key in self.written]
        if dated and "start" not in self.written:
            needed = "write the path of the time at which a price begins"
            yield ("start",), f"missing; with {' and '.join(dated)}, {needed}"
        lowest, highest = self.lowest_per_kwh, self.highest_per_kwh
        if lowest is not None and highest is not None and lowest >= highest:
            yield ("lowest_per_kwh",), f"got {lowest:g}, expected less than highest_per_kwh ({highest:g})"


class Electricity(Section, frozen=True, kw_only=True):
    """What power costs.

    Attributes:
        price_per_kwh (currency per kWh): Price of electricity with taxes and fees, from 0; assumed where
            neither it nor `prices` nor `feed` is written.
        prices: In place of it: prices with dates and time bands.
        holidays: For bands; None: no day is a holiday.
        feed: Goes before the others as soon as it has given a price.
        pue (ratio): Energy that the building draws for each that the machine draws, from 1 to 100.
    """

    price_per_kwh: Money = 0.30
    prices: Annotated[
        tuple[ElectricityPrice, ...],
        at_least_one("at least one price"),
        apart("valid_from", shown=lambda day: "no date" if day is None else str(day)),
    ] = ()
    holidays: Holidays | None = None
    feed: ElectricityFeed | None = None
    pue: Annotated[float, number(at_least=1, at_most=100)] = 1.0

    @property
    def is_assumed(self) -> bool:
        """Whether nobody wrote a price or where to read one."""
        return not self.written & {"price_per_kwh", "prices", "feed"}

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if {"price_per_kwh", "prices"} <= self.written:
            yield ("prices",), "given together with price_per_kwh; make that an entry of prices"
        for entry, price in enumerate(self.prices):
            for path, fault in self._band_faults(price):
                yield ("prices", entry, *path), fault

    def _band_faults(self, price: ElectricityPrice) -> Iterator[tuple[KeyPath, str]]:
        has_holidays = self.holidays is not None
        if not has_holidays:
            for index, band in enumerate(price.bands):
                if HOLIDAY in (band.days or ()):
                    yield ("bands", index, "days"), "holiday needs electricity.holidays; write both"
        gap = _first_gap(price.bands, has_holidays=has_holidays)
        if price.price_per_kwh is None and gap is not None:
            outside = f"no band holds {gap}; write the price that holds outside the bands"
            yield ("price_per_kwh",), f"missing; {outside if price.bands else 'write it, or bands'}"


def core_band(band: ElectricityBand) -> Band:
    """Return a band as the economics take it."""
    return Band(
        name=band.name,
        price_per_kwh=band.price_per_kwh,
        start_minute=_minute_of_day(band.start),
        end_minute=_minute_of_day(band.end),
        days=None if band.days is None else frozenset(band.days),
    )


def _minute_of_day(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _first_gap(bands: Iterable[ElectricityBand], *, has_holidays: bool) -> str | None:
    """Return the first moment of a week that no band holds; None: there is none.

    Args:
        bands: Of one set.
        has_holidays: Whether any day may be a holiday.
    """
    core = tuple(core_band(band) for band in bands)
    edges = [mark for band in core for mark in (band.start_minute, band.end_minute % MINUTES_PER_DAY)]
    marks = sorted({0, *edges})
    for weekday, minute in product(range(len(DAYS)), marks):
        kinds = (_kinds(day, has_holidays=has_holidays) for day in (weekday - 1, weekday))
        for yesterday, today in product(*kinds):
            if band_at(core, minute_of_day=minute, today=today, yesterday=yesterday) is None:
                day = f"a holiday ({DAYS[weekday]})" if HOLIDAY in today else DAYS[weekday]
                return f"on {day} at {minute // 60:02}:{minute % 60:02}"
    return None


def _kinds(weekday: int, *, has_holidays: bool) -> tuple[frozenset[str], ...]:
    """Return what kinds of day a weekday can be: an ordinary one, and a holiday where there are any."""
    day = _A_MONDAY + timedelta(days=weekday)
    ordinary = day_kinds(day, frozenset())
    return (ordinary, day_kinds(day, frozenset({day}))) if has_holidays else (ordinary,)
