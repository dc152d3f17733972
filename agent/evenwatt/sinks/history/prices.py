"""API prices as the history keeps them: what was accepted, when and by whom, and what waits to be.

Nothing is overwritten. A price that corrects another one of the same date stands beside it, with a later date
of acceptance, and holds in its place; the records tell both.
"""

import json
import sqlite3
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, Literal

from msgspec import Struct

from evenwatt.economics.api import RateTier

__all__ = [
    "PriceOffer",
    "PriceRow",
    "add_prices",
    "drop_offers",
    "effective_prices",
    "keep_offers",
    "stored_offers",
    "stored_prices",
]

AcceptedBy = Literal["configuration", "catalogue", "person"]
"""Who made a price count: the file that writes it, the catalogue by itself, or somebody who was asked."""


class PriceRow(Struct, frozen=True, kw_only=True):
    """An API price that was accepted, in USD per million tokens, from a date on.

    Each rate is the float nearest to the decimal of its list, and prints as that decimal.

    Attributes:
        cached_input_usd_per_mtok: None: cached input is billed as input.
        source: Where it comes from, in words.
        cache_write_usd_per_mtok: None: not known, or billed as input.
        batch_input_usd_per_mtok: None, as for output: no batch price is known.
        tiers: Long-context tiers; empty where none are known.
    """

    reference: str
    valid_from_utc_seconds: float
    accepted_utc_seconds: float
    input_usd_per_mtok: float
    cached_input_usd_per_mtok: float | None
    output_usd_per_mtok: float
    source: str
    cache_write_usd_per_mtok: float | None = None
    batch_input_usd_per_mtok: float | None = None
    batch_cached_input_usd_per_mtok: float | None = None
    batch_output_usd_per_mtok: float | None = None
    tiers: tuple[RateTier, ...] = ()
    accepted_by: AcceptedBy = "catalogue"


class PriceOffer(Struct, frozen=True, kw_only=True):
    """A price that the catalogue says and that nobody has accepted; it counts for nothing.

    Attributes:
        row: What would be accepted; its date of validity is the catalogue's, where that tells one.
        is_dated: Whether it does; else the price counts from when it is accepted.
        offered_utc_seconds: When it was first seen.
    """

    row: PriceRow
    is_dated: bool
    offered_utc_seconds: float


_COLUMNS: Final = PriceRow.__struct_fields__
_NAMES: Final = ", ".join(_COLUMNS)
_PLACES: Final = ", ".join("?" * len(_COLUMNS))


def effective_prices(records: Iterable[PriceRow]) -> tuple[PriceRow, ...]:
    """Return what holds of all records: for each reference and date the one accepted last, by date."""
    latest: dict[tuple[str, float], PriceRow] = {}
    for row in sorted(records, key=lambda row: row.accepted_utc_seconds):
        latest[row.reference, row.valid_from_utc_seconds] = row
    return tuple(sorted(latest.values(), key=lambda row: row.valid_from_utc_seconds))


def stored_prices(connection: sqlite3.Connection) -> tuple[PriceRow, ...]:
    """Return all records, by date, and those of one date in the order in which they were accepted."""
    order = "ORDER BY valid_from_utc_seconds, accepted_utc_seconds"
    rows = connection.execute(f"SELECT {_NAMES} FROM price {order}")  # noqa: S608 -- our own names only
    return tuple(map(_row, rows))


def stored_offers(connection: sqlite3.Connection) -> tuple[PriceOffer, ...]:
    """Return what waits to be accepted, by name."""
    rows = connection.execute(
        f"SELECT is_dated, offered_utc_seconds, {_NAMES} FROM price_offer ORDER BY reference"  # noqa: S608 -- our own names only
    )
    return tuple(
        PriceOffer(row=_row(row), is_dated=bool(is_dated), offered_utc_seconds=offered)
        for is_dated, offered, *row in rows
    )


def add_prices(connection: sqlite3.Connection, rows: Iterable[PriceRow]) -> None:
    """Add records; what is there already stays as it is."""
    connection.executemany(
        f"INSERT OR IGNORE INTO price ({_NAMES}) VALUES ({_PLACES})",  # noqa: S608 -- our own names only
        map(_values, rows),
    )


def keep_offers(connection: sqlite3.Connection, offers: Iterable[PriceOffer]) -> None:
    """Keep offers, each in place of an earlier one of its reference."""
    connection.executemany(
        f"INSERT OR REPLACE INTO price_offer (is_dated, offered_utc_seconds, {_NAMES})"  # noqa: S608 -- our own names only
        f" VALUES (?, ?, {_PLACES})",
        ((offer.is_dated, offer.offered_utc_seconds, *_values(offer.row)) for offer in offers),
    )


def drop_offers(connection: sqlite3.Connection, references: Iterable[str]) -> None:
    """Forget offers: they were accepted, or the catalogue no longer says so."""
    connection.executemany("DELETE FROM price_offer WHERE reference = ?", ((name,) for name in references))


def _row(values: Iterable[Any]) -> PriceRow:
    columns = dict(zip(_COLUMNS, values, strict=True))
    return PriceRow(**{**columns, "tiers": _tiers(columns["tiers"])})


def _values(row: PriceRow) -> tuple[Any, ...]:
    columns = {name: getattr(row, name) for name in _COLUMNS}
    return tuple({**columns, "tiers": _tiers_text(row.tiers)}.values())


def _tiers(text: str | None) -> tuple[RateTier, ...]:
    return tuple(map(_tier, json.loads(text or "[]")))


def _tier(columns: dict[str, Any]) -> RateTier:
    rates: dict[str, Any] = {
        name: Decimal(value) if name.endswith("_mtok") and value is not None else value
        for name, value in columns.items()
    }
    return RateTier(**rates)


def _tiers_text(tiers: tuple[RateTier, ...]) -> str | None:
    names = list(RateTier.__struct_fields__)
    written = [{name: getattr(tier, name) for name in names} for tier in tiers]
    return json.dumps(written, default=str) if tiers else None
