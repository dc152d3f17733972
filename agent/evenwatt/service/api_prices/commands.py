"""What `evenwatt prices` does: documents of prices, from the history beside the agent or from the catalogue.

A document is what `--json` prints and what the tables are made of. Rates are in USD, as lists give them;
comparisons are in the site's currency.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, structs, to_builtins
from msgspec.structs import replace

from evenwatt import clock
from evenwatt.config import PricedReference, Settings
from evenwatt.economics.mixes import (
    NAMED_MIXES,
    Mix,
    batch_price_at_mix,
    measured_mix,
    mix_of_parts,
    price_at_mix,
)
from evenwatt.economics.tokens import Tokens
from evenwatt.readings.api_prices import cached_rates
from evenwatt.service.api_prices.acceptance import (
    Standing,
    decided_quote,
    decided_written,
    price_in_force,
)
from evenwatt.service.api_prices.quotes import (
    ALWAYS,
    NOT_YET,
    OfferedPrices,
    asked_references,
    fetched_path,
    offered_prices,
    reference_price,
    usd_rate_of,
    written_prices,
)
from evenwatt.service.api_prices.words import day_of
from evenwatt.sinks.history import PriceOffer, PriceRow, effective_prices, history_beside, is_there
from evenwatt.snapshot import Sums, tokens_of
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_MINUTE

__all__ = ["KnownPrices", "known_prices", "mix_of", "price_comparison", "price_list", "priced_row"]

_MEASURED_DAYS = 7
_DEFAULT_MIX = "3:1"
_MIX_FORMS = "3:1, 1:1, 30/70, or parts as input:output or input,cached,output"


class KnownPrices(Struct, frozen=True, kw_only=True):
    """The prices of the references, and where they come from.

    Attributes:
        history: Where they were accepted; None: there is no history, and the catalogue's are shown.
        rows: That hold.
        records: All that were ever accepted.
        faults: A sentence for each price that is missing.
        mix: Of the last days' tokens; None where none were served.
    """

    history: Path | None
    rows: tuple[PriceRow, ...]
    records: tuple[PriceRow, ...] = ()
    offers: tuple[PriceOffer, ...] = ()
    faults: tuple[str, ...] = ()
    mix: Mix | None = None


def known_prices(settings: Settings) -> KnownPrices:
    """Return the prices as accepted; without a history, as the catalogue and the configuration say now.

    Raises:
        HistoryError: There is a history, and it cannot be read.
    """
    return _accepted(settings) if is_there(settings.history.path) else _unaccepted(settings)


def mix_of(text: str) -> Mix:
    """Return the mix that a person writes.

    Raises:
        ValueError: It is none; says which there are.
    """
    if text in NAMED_MIXES:
        return NAMED_MIXES[text]
    for mark, names in ((":", ("input", "output")), ("/", ("input", "output")), (",", _THREE)):
        parts = text.split(mark)
        if len(parts) == len(names):
            mix = _mix(dict(zip(names, parts, strict=True)))
            if mix is not None:
                return mix
    raise ValueError(f"got {text}, expected a mix: {_MIX_FORMS}")


_THREE = ("input", "cached", "output")


def _mix(parts: Mapping[str, str]) -> Mix | None:
    try:
        numbers = {name: float(part) for name, part in parts.items()}
    except ValueError:
        return None
    if not all(0 <= number < float("inf") for number in numbers.values()):
        return None
    return mix_of_parts(
        input_part=numbers["input"], output_part=numbers["output"], cached_part=numbers.get("cached")
    )


def price_list(settings: Settings, known: KnownPrices) -> dict[str, Any]:
    """Return every reference with its dated prices, and what waits to be accepted."""
    now = clock.utc_seconds()
    held = set(known.rows)
    listed = known.records or known.rows
    return {
        **_head(settings, known),
        "accept_catalogue": settings.prices.accept_catalogue,
        "references": [
            {
                "reference": reference.name,
                "prices": [
                    {**priced_row(row), "holds": row in held}
                    for row in listed
                    if row.reference == reference.name
                ],
                "in_force": _optional_row(price_in_force(known.rows, reference.name, now)),
                "offer": _offer(reference.name, known.offers),
            }
            for reference in settings.references
        ],
        "faults": list(known.faults),
    }


def price_comparison(settings: Settings, known: KnownPrices, mix_text: str | None) -> dict[str, Any]:
    """Return each reference's price for a million tokens at a mix, by both cache bounds and in batch.

    Args:
        settings: As loaded.
        known: The prices.
        mix_text: As `mix_of` takes it; None: the measured one, else the usual one.

    Raises:
        ValueError: It is no mix.
    """
    if mix_text is not None:
        name, mix = mix_text, mix_of(mix_text)
    elif known.mix is not None:
        name, mix = f"measured in the last {_MEASURED_DAYS} days", known.mix
    else:
        name, mix = f"{_DEFAULT_MIX} (assumed: no tokens were measured)", NAMED_MIXES[_DEFAULT_MIX]
    rows = []
    for reference in settings.references:
        row = price_in_force(known.rows, reference.name, clock.utc_seconds())
        if row is not None:
            rows.append(_compared(row, mix, settings))
    rows.sort(key=lambda row: row["no_cache"] if row["observed_cache"] is None else row["observed_cache"])
    return {
        **_head(settings, known),
        "cache_write_surcharge": settings.prices.cache_write_surcharge,
        "mix": {"name": name, **to_builtins(mix)},
        "references": rows,
        "faults": list(known.faults),
    }


def priced_row(row: PriceRow) -> dict[str, Any]:
    """Return a price as a document: dates in words of ISO 8601, null for all time, tiers exact."""
    columns = structs.asdict(row)
    start, accepted = columns.pop("valid_from_utc_seconds"), columns.pop("accepted_utc_seconds")
    return {
        "valid_from": None if start == ALWAYS else _iso(start),
        "accepted": None if accepted == NOT_YET else _iso(accepted),
        **columns,
        "tiers": [{name: _plain(value) for name, value in to_builtins(tier).items()} for tier in row.tiers],
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else float(value)


def _iso(utc_seconds: float) -> str:
    return datetime.fromtimestamp(utc_seconds, UTC).isoformat(timespec="seconds")


def _head(settings: Settings, known: KnownPrices) -> dict[str, Any]:
    rate = settings.usd_rate
    return {
        "history": None if known.history is None else str(known.history),
        "currency": settings.currency,
        "usd_rate": None if rate is None else {"rate": rate.rate, "date": rate.date.isoformat()},
    }


def _optional_row(row: PriceRow | None) -> dict[str, Any] | None:
    return None if row is None else priced_row(row)


def _offer(reference: str, offers: Iterable[PriceOffer]) -> dict[str, Any] | None:
    for offer in offers:
        if offer.row.reference == reference:
            told = priced_row(offer.row)
            start = told["valid_from"] if offer.is_dated else None
            return {**told, "valid_from": start, "offered": _iso(offer.offered_utc_seconds)}
    return None


def _compared(row: PriceRow, mix: Mix, settings: Settings) -> dict[str, Any]:
    price = reference_price(row, usd_rate_of(settings))
    standard = price_at_mix(price, mix, has_cache_write_surcharge=settings.prices.cache_write_surcharge)
    batch = batch_price_at_mix(price, mix)
    return {
        "reference": row.reference,
        **to_builtins(standard),
        "batch": None if batch is None else to_builtins(batch),
        "has_cached_price": price.cached_input_per_mtok is not None,
        "source": row.source,
    }


def _accepted(settings: Settings) -> KnownPrices:
    path, now = settings.history.path, clock.utc_seconds()
    with history_beside(path) as history:
        rows, records, offers = history.prices(), history.price_records(), history.price_offers()
        begin = int(now - _MEASURED_DAYS * SECONDS_PER_DAY) // SECONDS_PER_MINUTE * SECONDS_PER_MINUTE
        mix = measured_mix(_tokens(history.sums_since(begin)))
    return KnownPrices(
        history=path,
        rows=rows,
        records=records,
        offers=offers,
        mix=mix,
        faults=tuple(
            _missing_in_words(reference.name, rows)
            for reference in settings.references
            if price_in_force(rows, reference.name, now) is None
        ),
    )


def _missing_in_words(name: str, rows: Iterable[PriceRow]) -> str:
    to_come = [row.valid_from_utc_seconds for row in rows if row.reference == name]
    if to_come:
        return f"{name}: its first price holds from {day_of(min(to_come))} on"
    return f"{name}: no price is accepted yet; a running agent takes the first one by itself"


def _tokens(sums: Sums) -> Tokens:
    served = [tokens for tokens in map(tokens_of, sums.usage.values()) if tokens.total_tokens]
    known = [tokens.cached_input_tokens for tokens in served if tokens.cached_input_tokens is not None]
    return Tokens(
        input_tokens=sum(tokens.input_tokens for tokens in served),
        cached_input_tokens=sum(known) if known and len(known) == len(served) else None,
        output_tokens=sum(tokens.output_tokens for tokens in served),
    )


def _unaccepted(settings: Settings) -> KnownPrices:
    """Return what would be accepted now."""
    offered = _offered(settings)
    written = {prices.reference: prices for prices in written_prices(settings)}
    rows: tuple[PriceRow, ...] = ()
    now = clock.utc_seconds()

    def standing() -> Standing:
        return Standing(rows=rows, offers=(), now_utc_seconds=now, begin_utc_seconds=now)

    for prices in written.values():
        rows += decided_written(prices, standing()).rows
    for quote in offered.quotes:
        own = written.get(quote.reference)
        rows += decided_quote(quote, standing(), written=own, is_accepted=False).rows
    unaccepted = (replace(row, accepted_utc_seconds=NOT_YET) for row in effective_prices(rows))
    return KnownPrices(history=None, rows=tuple(unaccepted), faults=offered.faults)


def _offered(settings: Settings) -> OfferedPrices:
    own = {r.name for r in settings.references if isinstance(r, PricedReference)}
    at = datetime.fromtimestamp(clock.utc_seconds(), tz=UTC)
    found = cached_rates(
        (r.name for r in asked_references(settings) if r.name not in own),
        at=at,
        fetched=fetched_path(settings.history.path),
    )
    return offered_prices(found, settings)
