"""What the configuration and the catalogue say of API prices, as rows that could be accepted."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path

from msgspec import Struct

from evenwatt import clock
from evenwatt.config import CatalogueReference, DatedPrices, PricedReference, Settings
from evenwatt.economics.api import ReferencePrice, reference_price_from_usd
from evenwatt.errors import SourceError
from evenwatt.readings.api_rates import FetchedRates, RateRequest, Rates, ReferenceRates
from evenwatt.sinks.history import PriceRow

__all__ = [
    "ALWAYS",
    "NOT_YET",
    "OfferedPrices",
    "Quote",
    "WrittenPrices",
    "asked_references",
    "fetched_path",
    "fetched_prices",
    "offered_prices",
    "rate_requests",
    "reference_price",
    "unknown_references",
    "usd_rate_of",
    "written_prices",
]

ALWAYS = 0.0
"""The date of what holds for all time before it was known."""

NOT_YET = 0.0
"""The date of acceptance of what is not accepted."""

_FETCHED = "api-prices.json"


class WrittenPrices(Struct, frozen=True, kw_only=True):
    """The prices of one reference that the configuration writes out.

    Attributes:
        rows: By date; one alone, of always, where no date is written.
    """

    reference: str
    rows: tuple[PriceRow, ...]
    is_dated: bool

    @property
    def begin_utc_seconds(self) -> float:
        """From when on they go before the catalogue."""
        return self.rows[0].valid_from_utc_seconds


class Quote(Struct, frozen=True, kw_only=True):
    """What the catalogue says of one reference.

    Attributes:
        entries: By date, the first one of always; the last one is what holds.
        within_day: Its prices at all hours of the day.
    """

    reference: str
    entries: tuple[PriceRow, ...]
    within_day: tuple[PriceRow, ...]

    @property
    def present(self) -> PriceRow:
        """What holds."""
        return self.entries[-1]


class OfferedPrices(Struct, frozen=True, kw_only=True):
    """What the catalogue answered.

    Attributes:
        faults: A sentence for each price that could not be had.
    """

    quotes: tuple[Quote, ...] = ()
    faults: tuple[str, ...] = ()


def written_prices(settings: Settings) -> tuple[WrittenPrices, ...]:
    """Return the API prices that the configuration writes out."""
    return tuple(
        _written(reference, settings)
        for reference in settings.references
        if isinstance(reference, PricedReference)
    )


def fetched_prices(settings: Settings) -> OfferedPrices:
    """Return the catalogue's API prices, as of now; waits for a child process, for half a minute at most."""
    try:
        return offered_prices(_looked_up(settings, asked_references(settings)), settings)
    except SourceError as error:
        return OfferedPrices(faults=(str(error),))


def unknown_references(settings: Settings) -> tuple[str, ...]:
    """Return a sentence for each reference that the price catalogue does not know.

    Raises:
        SourceError: The catalogue could not be asked.
    """
    named = tuple(r for r in settings.references if isinstance(r, CatalogueReference))
    return _looked_up(settings, named).faults


def offered_prices(fetched: FetchedRates, settings: Settings) -> OfferedPrices:
    """Return looked-up rates as quotes; a price that is written needs none of the catalogue's."""
    written = _written_names(settings)
    quotes, faults = [], list(fetched.faults)
    for rates in fetched.rates:
        quote = _quote(rates)
        if quote is not None:
            quotes.append(quote)
        elif f"{rates.provider}:{rates.model}" in written:
            continue
        elif rates.standard.input_usd_per_mtok is None:
            faults.append(f"{rates.provider}:{rates.model} has no price per token")
        else:
            faults.append(
                f"{rates.provider}:{rates.model}: the catalogue has no price of its output tokens, and what "
                "is not known is not free; write its prices out"
            )
    return OfferedPrices(quotes=tuple(quotes), faults=tuple(faults))


def asked_references(settings: Settings) -> tuple[CatalogueReference, ...]:
    """Return the catalogue's models that prices are needed of: all but those written for all time."""
    return tuple(_asked(settings))


def rate_requests(settings: Settings, wanted: Iterable[CatalogueReference]) -> tuple[RateRequest, ...]:
    """Return what to ask the catalogue, as of now."""
    at = datetime.fromtimestamp(clock.utc_seconds(), tz=UTC)
    written = _written_names(settings)
    return tuple(
        RateRequest(provider=r.provider, model=r.model, at=at, is_optional=r.name in written) for r in wanted
    )


def fetched_path(history: Path) -> Path:
    """Return where a refresh keeps what it fetched: beside the history."""
    return history.with_name(_FETCHED)


def usd_rate_of(settings: Settings) -> float:
    """Return what one USD is worth in the site's currency."""
    return 1.0 if settings.usd_rate is None else settings.usd_rate.rate


def reference_price(row: PriceRow, usd_rate: float) -> ReferencePrice:
    """Return an accepted price as the economics take it, in the site's currency."""
    return reference_price_from_usd(
        name=row.reference,
        valid_from_utc_seconds=row.valid_from_utc_seconds,
        input_usd_per_mtok=row.input_usd_per_mtok,
        output_usd_per_mtok=row.output_usd_per_mtok,
        cached_input_usd_per_mtok=row.cached_input_usd_per_mtok,
        cache_write_usd_per_mtok=row.cache_write_usd_per_mtok,
        batch_input_usd_per_mtok=row.batch_input_usd_per_mtok,
        batch_cached_input_usd_per_mtok=row.batch_cached_input_usd_per_mtok,
        batch_output_usd_per_mtok=row.batch_output_usd_per_mtok,
        tiers=row.tiers,
        usd_rate=usd_rate,
    )


def _asked(settings: Settings) -> Iterator[CatalogueReference]:
    for reference in settings.references:
        if isinstance(reference, CatalogueReference):
            yield reference
        elif (reference.prices or reference.valid_from) and reference.catalogue_reference is not None:
            yield reference.catalogue_reference


def _written_names(settings: Settings) -> frozenset[str]:
    return frozenset(r.name for r in settings.references if isinstance(r, PricedReference))


def _looked_up(settings: Settings, wanted: tuple[CatalogueReference, ...]) -> FetchedRates:
    if not wanted:
        return FetchedRates(rates=(), faults=())
    from evenwatt.readings.api_prices import fetch_in_subprocess  # noqa: PLC0415 -- reports ask for none

    return fetch_in_subprocess(rate_requests(settings, wanted), fetched=fetched_path(settings.history.path))


def _written(reference: PricedReference, settings: Settings) -> WrittenPrices:
    dated = reference.prices
    if dated:
        rows = tuple(_written_row(reference.name, entry, entry.valid_from, settings) for entry in dated)
    else:
        rows = (_written_row(reference.name, reference, reference.valid_from, settings),)
    return WrittenPrices(
        reference=reference.name, rows=rows, is_dated=bool(dated) or reference.valid_from is not None
    )


def _written_row(
    name: str, rates: PricedReference | DatedPrices, day: date | None, settings: Settings
) -> PriceRow:
    return PriceRow(
        reference=name,
        valid_from_utc_seconds=(
            ALWAYS if day is None else datetime.combine(day, time(), tzinfo=settings.timezone).timestamp()
        ),
        accepted_utc_seconds=NOT_YET,
        input_usd_per_mtok=rates.input or 0.0,
        cached_input_usd_per_mtok=rates.cached_input,
        output_usd_per_mtok=rates.output or 0.0,
        source="configuration",
        cache_write_usd_per_mtok=rates.cache_write,
        batch_input_usd_per_mtok=rates.batch_input,
        batch_cached_input_usd_per_mtok=rates.batch_cached_input,
        batch_output_usd_per_mtok=rates.batch_output,
        accepted_by="configuration",
    )


def _quote(rates: ReferenceRates) -> Quote | None:
    dated = [
        (entry.valid_from, _row(rates, entry.standard, entry.batch, entry.valid_from))
        for entry in rates.entries
    ]
    entries = [row for _, row in dated if row is not None]
    if not entries or dated[-1][1] is None:
        return None
    within_day = [_row(rates, standard, rates.batch, None) for standard in rates.rates_within_day]
    return Quote(
        reference=f"{rates.provider}:{rates.model}",
        entries=tuple(entries),
        within_day=tuple(row for row in within_day if row is not None),
    )


def _row(rates: ReferenceRates, standard: Rates, batch: Rates | None, day: date | None) -> PriceRow | None:
    if standard.input_usd_per_mtok is None or standard.output_usd_per_mtok is None:
        return None
    midnight = None if day is None else datetime.combine(day, time(), tzinfo=UTC)
    return PriceRow(
        reference=f"{rates.provider}:{rates.model}",
        valid_from_utc_seconds=ALWAYS if midnight is None else midnight.timestamp(),
        accepted_utc_seconds=NOT_YET,
        input_usd_per_mtok=float(standard.input_usd_per_mtok),
        cached_input_usd_per_mtok=_float(standard.cached_input_usd_per_mtok),
        output_usd_per_mtok=float(standard.output_usd_per_mtok),
        source=_source(rates),
        cache_write_usd_per_mtok=_float(standard.cache_write_usd_per_mtok),
        batch_input_usd_per_mtok=None if batch is None else _float(batch.input_usd_per_mtok),
        batch_cached_input_usd_per_mtok=None if batch is None else _float(batch.cached_input_usd_per_mtok),
        batch_output_usd_per_mtok=None if batch is None else _float(batch.output_usd_per_mtok),
        tiers=standard.tiers,
    )


def _float(rate: object) -> float | None:
    return None if rate is None else float(str(rate))


def _source(rates: ReferenceRates) -> str:
    fetched = "" if rates.fetched_on is None else f" fetched {rates.fetched_on}"
    by_hour = ", the price of this hour: it varies within the day" if rates.varies_within_day else ""
    return f"genai-prices {rates.catalogue_version}{fetched}{by_hour}"
