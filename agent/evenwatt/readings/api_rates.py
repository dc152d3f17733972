"""What API models cost, as plain values in USD; and the same as JSON, exact."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from evenwatt.economics.api import RateTier

__all__ = [
    "DatedRates",
    "FetchedRates",
    "RateRequest",
    "Rates",
    "ReferenceRates",
    "parse_fetched_rates",
    "parse_reference_rates",
]


class RateRequest(Struct, frozen=True, kw_only=True):
    """One model to look up.

    Attributes:
        provider: The catalogue's id of who sells it: `anthropic`. Always needed: an open-weight model has as
            many prices as sellers.
        at: When the rates are to hold, with its time zone.
        is_optional: Whether it is no fault that nobody knows it.
    """

    provider: str
    model: str
    at: datetime
    is_optional: bool = False


class Rates(Struct, frozen=True, kw_only=True):
    """USD per million tokens, exact; None where the catalogue has no such rate.

    A rate with tiers is its base: a surcharge on long prompts is a matter of single requests.

    Attributes:
        output_usd_per_mtok: 0 where the model gives none, as embedding models do.
        cached_input_usd_per_mtok: None: cached input is billed as input.
        cache_write_usd_per_mtok: Of input that is written to the API's cache; None: it is billed as input.
        tiers: For single long requests, the lowest threshold first.
    """

    input_usd_per_mtok: Decimal | None
    cached_input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal | None
    cache_write_usd_per_mtok: Decimal | None = None
    tiers: tuple[RateTier, ...] = ()


class DatedRates(Struct, frozen=True, kw_only=True):
    """What holds from a day on.

    Attributes:
        valid_from: At midnight UTC; None: from always, as far as the catalogue knows.
        batch: None: no batch price is known.
    """

    valid_from: date | None
    standard: Rates
    batch: Rates | None


class ReferenceRates(Struct, frozen=True, kw_only=True):
    """What one API model costs at a moment.

    Attributes:
        provider: As asked for.
        model: As asked for.
        at: When the rates hold.
        catalogue_model: The catalogue's entry that the name was understood as.
        catalogue_version: Of the library that holds the catalogue.
        fetched_on: The day of the refresh that it comes from; None: it came with the library.
        batch: None where none are known: the catalogue has batch rates only from 2026-10-14 on, and falls
            back to the standard ones without a word. The same holds for each of them: a cached or cache-write
            rate that only repeats the standard one is None.
        bills_input_only: Whether there is no output to bill, as of embedding models.
        rates_within_day: All standard rates of that day (UTC); more than one where the hour matters.
        entries: What held until then, with its days; the oldest first, the last one is what holds.
    """

    provider: str
    model: str
    at: datetime
    catalogue_model: str
    catalogue_version: str
    standard: Rates
    batch: Rates | None
    rates_within_day: tuple[Rates, ...]
    entries: tuple[DatedRates, ...]
    fetched_on: date | None = None
    bills_input_only: bool = False

    @property
    def varies_within_day(self) -> bool:
        """Whether another hour of that day (UTC) has other standard rates."""
        return len(self.rates_within_day) > 1


class FetchedRates(Struct, frozen=True, kw_only=True):
    """The answer to some requests.

    Attributes:
        rates: In the order of the requests, without those that failed.
        faults: A sentence for each request that failed.
    """

    rates: tuple[ReferenceRates, ...]
    faults: tuple[str, ...]


def parse_fetched_rates(answer: Any) -> FetchedRates:
    """Return what `msgspec.to_builtins` made of an answer, after its way through JSON.

    Raises:
        ValueError, TypeError, KeyError, ArithmeticError: It is something else.
    """
    return FetchedRates(
        rates=tuple(parse_reference_rates(fields) for fields in answer["rates"]),
        faults=tuple(str(fault) for fault in answer["faults"]),
    )


def parse_reference_rates(fields: Any) -> ReferenceRates:
    """Return what `msgspec.to_builtins` made of rates, after its way through JSON.

    Raises:
        ValueError, TypeError, KeyError, ArithmeticError: It is something else.
    """
    return ReferenceRates(
        **{
            **fields,
            "at": datetime.fromisoformat(fields["at"]),
            "fetched_on": _day(fields["fetched_on"]),
            "standard": _rates(fields["standard"]),
            "batch": _batch(fields["batch"]),
            "rates_within_day": tuple(map(_rates, fields["rates_within_day"])),
            "entries": tuple(map(_dated, fields["entries"])),
        }
    )


def _dated(fields: dict[str, Any]) -> DatedRates:
    return DatedRates(
        valid_from=_day(fields["valid_from"]),
        standard=_rates(fields["standard"]),
        batch=_batch(fields["batch"]),
    )


def _batch(fields: dict[str, Any] | None) -> Rates | None:
    return None if fields is None else _rates(fields)


def _rates(fields: dict[str, Any]) -> Rates:
    tiers = tuple(RateTier(**_decimals(tier)) for tier in fields["tiers"])
    return Rates(**_decimals({**fields, "tiers": tiers}))


def _decimals(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: Decimal(value) if name.endswith("_mtok") and value is not None else value
        for name, value in fields.items()
    }


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
