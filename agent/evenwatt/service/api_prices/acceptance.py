"""Which API prices count: what is accepted by itself, what waits for a person, what is no news. Pure.

The user's own price goes before the history, the history before the catalogue. A record is never overwritten;
where a price of earlier days is corrected, records beside the old ones take over.
"""

from collections.abc import Iterable, Sequence
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.model import Event
from evenwatt.service.api_prices.quotes import ALWAYS, Quote, WrittenPrices
from evenwatt.service.api_prices.words import change_in_words, in_words, offer_in_words
from evenwatt.sinks.history import PriceOffer, PriceRow, effective_prices
from evenwatt.snapshot import PendingPrice

__all__ = [
    "Decision",
    "Standing",
    "accepted_offers",
    "decided_quote",
    "decided_return",
    "decided_written",
    "pending_prices",
    "price_in_force",
    "same_rates",
]

_RATES = (
    "input_usd_per_mtok",
    "cached_input_usd_per_mtok",
    "output_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "batch_input_usd_per_mtok",
    "batch_cached_input_usd_per_mtok",
    "batch_output_usd_per_mtok",
    "tiers",
)
_BILLED = _RATES[:3]


class Standing(Struct, frozen=True, kw_only=True):
    """What is known when something new is said.

    Attributes:
        rows: The accepted prices that hold.
        offers: What waits to be accepted.
        now_utc_seconds: When it is said; acceptance is dated by it.
        begin_utc_seconds: When the history begins, before which there are no tokens to price.
    """

    rows: tuple[PriceRow, ...]
    offers: tuple[PriceOffer, ...]
    now_utc_seconds: float
    begin_utc_seconds: float

    def offer(self, reference: str) -> PriceOffer | None:
        """Return what waits for a reference."""
        return next((offer for offer in self.offers if offer.row.reference == reference), None)


class Decision(Struct, frozen=True, kw_only=True):
    """What follows.

    Attributes:
        rows: To be accepted.
        offers: To be kept until somebody accepts them.
        settled: References whose offers are done with.
        events: About it.
    """

    rows: tuple[PriceRow, ...] = ()
    offers: tuple[PriceOffer, ...] = ()
    settled: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()


def price_in_force(rows: Iterable[PriceRow], reference: str, utc_seconds: float) -> PriceRow | None:
    """Return the price of a reference that holds at a moment; None before its first one."""
    begun = [row for row in rows if row.reference == reference and row.valid_from_utc_seconds <= utc_seconds]
    return max(begun, key=lambda row: row.valid_from_utc_seconds, default=None)


def decided_written(written: WrittenPrices, standing: Standing) -> Decision:
    """Take the prices of the configuration: from their days on, or from now on where they have none.

    Without a day the first price of a reference stands for all time before it.
    """
    known = [row for row in standing.rows if row.reference == written.reference]
    if written.is_dated or not known:
        wanted = written.rows
    else:
        wanted = (replace(written.rows[0], valid_from_utc_seconds=standing.now_utc_seconds),)
    return _accepted(wanted, standing)


def decided_return(reference: str, standing: Standing, records: Iterable[PriceRow]) -> Decision:
    """Go back to the last price that the catalogue gave, where the configuration no longer writes one."""
    present = price_in_force(standing.rows, reference, standing.now_utc_seconds)
    if present is None or present.accepted_by != "configuration":
        return Decision()
    earlier = [row for row in records if row.reference == reference and row.accepted_by != "configuration"]
    if not earlier:
        return Decision()  # it is asked for, and taken from then on
    last = max(earlier, key=lambda row: (row.accepted_utc_seconds, row.valid_from_utc_seconds))
    return _accepted((replace(last, valid_from_utc_seconds=standing.now_utc_seconds),), standing)


def decided_quote(
    quote: Quote, standing: Standing, *, written: WrittenPrices | None, is_accepted: bool
) -> Decision:
    """Take what the catalogue says: at once where there is nothing to compare with, else as an offer.

    Args:
        quote: What it says.
        standing: What is known.
        written: What the configuration writes of the same reference, which goes first from its first day on.
        is_accepted: Whether a change counts without asking.
    """
    now, until = standing.now_utc_seconds, _own_begin(written)
    present = price_in_force(standing.rows, quote.reference, now)
    if until <= now or present is None:
        return _first(quote, standing, until=until)
    if present.accepted_by == "configuration":  # nobody writes it any more
        return _accepted((replace(quote.present, valid_from_utc_seconds=now),), standing, until=until)
    waiting = standing.offer(quote.reference)
    if any(
        _is_older_edition(quote.present, row)
        for row in (present, *(() if waiting is None else (waiting.row,)))
    ):
        return Decision()
    if any(same_rates(present, row) for row in (quote.present, *quote.within_day)):
        return Decision() if waiting is None else _withdrawn(quote.reference, standing)
    is_dated = quote.present.valid_from_utc_seconds > present.valid_from_utc_seconds
    offered = quote.present if is_dated else replace(quote.present, valid_from_utc_seconds=now)
    if _only_adds(present, offered):
        from_now = replace(quote.present, valid_from_utc_seconds=now)
        return _accepted((from_now,), standing, until=until, settled=(quote.reference,))
    if is_accepted:
        return _accepted((offered,), standing, until=until, settled=(quote.reference,))
    if waiting is not None and same_rates(waiting.row, offered):
        return Decision()
    return Decision(
        offers=(PriceOffer(row=offered, is_dated=is_dated, offered_utc_seconds=now),),
        events=(_event(standing, "price_offered", quote.reference, offer_in_words(present, offered)),),
    )


def accepted_offers(
    offers: Iterable[PriceOffer], standing: Standing, *, written: Iterable[WrittenPrices]
) -> Decision:
    """Take what waited, as a person says: from its day on where the catalogue tells one, else from now on.

    Args:
        offers: What is accepted.
        standing: What is known.
        written: What the configuration writes, which goes first from its first day on.
    """
    own = {prices.reference: prices for prices in written}
    rows: tuple[PriceRow, ...] = ()
    events: tuple[Event, ...] = ()
    offers = tuple(offers)
    for offer in offers:
        row = replace(offer.row, accepted_by="person")
        if not offer.is_dated:
            row = replace(row, valid_from_utc_seconds=standing.now_utc_seconds)
        taken = _accepted((row,), standing, until=_own_begin(own.get(row.reference)))
        rows, events = (*rows, *taken.rows), (*events, *taken.events)
    return Decision(rows=rows, events=events, settled=tuple(offer.row.reference for offer in offers))


def pending_prices(standing: Standing, references: Iterable[str]) -> tuple[PendingPrice, ...]:
    """Return what waits to be accepted, of some references, as views show it."""
    pending = []
    for name in references:
        offer = standing.offer(name)
        present = price_in_force(standing.rows, name, standing.now_utc_seconds)
        if offer is not None and present is not None:
            pending.append(
                PendingPrice(
                    reference=name,
                    accepted=in_words(present),
                    offered=in_words(offer.row),
                    source=offer.row.source,
                    offered_utc_seconds=offer.offered_utc_seconds,
                )
            )
    return tuple(pending)


def same_rates(one: PriceRow, other: PriceRow) -> bool:
    """Return whether two prices are the same, whatever their dates and sources."""
    return all(getattr(one, name) == getattr(other, name) for name in _RATES)


def _own_begin(written: WrittenPrices | None) -> float:
    """Return from when on the configuration's own prices hold; infinity where it has none."""
    if written is None:
        return inf
    return written.begin_utc_seconds if written.is_dated else ALWAYS


def _first(quote: Quote, standing: Standing, *, until: float) -> Decision:
    """Take the entries of the time in which there were tokens, the first of them for all time before."""
    begin = standing.begin_utc_seconds
    waiting = standing.offer(quote.reference)
    settled = () if waiting is None else (quote.reference,)
    if until <= begin or price_in_force(standing.rows, quote.reference, begin) is not None:
        return Decision(settled=settled)
    before = [row for row in quote.entries if row.valid_from_utc_seconds <= begin]
    first = replace(before[-1] if before else quote.entries[0], valid_from_utc_seconds=ALWAYS)
    later = [row for row in quote.entries if begin < row.valid_from_utc_seconds < until]
    return _accepted((first, *later), standing, until=until, settled=settled)


def _accepted(
    wanted: Sequence[PriceRow], standing: Standing, *, until: float = inf, settled: tuple[str, ...] = ()
) -> Decision:
    """Return the records that make a reference's prices what is wanted, from its first date to a moment."""
    reference, begin = wanted[0].reference, wanted[0].valid_from_utc_seconds
    rows = tuple(row for row in standing.rows if row.reference == reference)
    dates = {row.valid_from_utc_seconds for row in (*wanted, *rows)}
    added: list[PriceRow] = []
    events = []
    for at in sorted(at for at in dates if begin <= at < until):
        row = price_in_force(wanted, reference, at)
        before = price_in_force(effective_prices((*rows, *added)), reference, at)
        if row is None or (before is not None and same_rates(before, row)):
            continue
        added.append(replace(row, valid_from_utc_seconds=at, accepted_utc_seconds=standing.now_utc_seconds))
        only_adds = before is not None and _only_adds(before, row)
        kind = "price" if before is None or only_adds else "price_change"
        text = change_in_words(before, added[-1], only_adds=only_adds)
        events.append(_event(standing, kind, reference, text))
    return Decision(rows=tuple(added), settled=settled, events=tuple(events))


def _is_older_edition(said: PriceRow, present: PriceRow) -> bool:
    """Return whether the library repeats what a refresh of the same library has replaced."""
    edition, fetched, _ = present.source.partition(" fetched ")
    return bool(fetched) and said.source.partition(",")[0] == edition


def _withdrawn(reference: str, standing: Standing) -> Decision:
    text = "the catalogue says the accepted price again; what it offered is withdrawn"
    return Decision(
        settled=(reference,), events=(_event(standing, "price_offer_withdrawn", reference, text),)
    )


def _only_adds(before: PriceRow, after: PriceRow) -> bool:
    """Return whether a price says no more than what was not known before, and bills the same."""
    return all(
        getattr(before, name) == getattr(after, name)
        or (name not in _BILLED and not getattr(before, name) and getattr(before, name) != 0)
        for name in _RATES
    )


def _event(standing: Standing, kind: str, reference: str, text: str) -> Event:
    return Event(utc_seconds=standing.now_utc_seconds, kind=kind, subject=reference, text=text)
