"""The geometry of a report's pictures: where bars, cells and labels stand, in percent of the plot's width.

Heights are in pixels, as text is: so a picture fills a phone or a desk without a script, and its letters stay
legible. Templates write the marks; nothing here knows of SVG.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from evenwatt.sinks.curve.axes import Axis, linear_axis
from evenwatt.sinks.report.calendar import DaySpan, day_spans, day_words, span_words
from evenwatt.sinks.report.overview import missing_costs
from evenwatt.sinks.report.parts import name_cell
from evenwatt.sinks.report.spending import COMPONENTS, STATES
from evenwatt.sinks.words import UNKNOWN, money, per_mtok, percent
from evenwatt.snapshot.report.comparison import Comparison
from evenwatt.snapshot.report.values import Report

__all__ = [
    "ApiBar",
    "ApiBars",
    "DayBar",
    "DayBars",
    "Label",
    "Segment",
    "Split",
    "api_bars",
    "day_bars",
    "splits",
]

_STACKED = ("hardware", "labour", "other", "energy")
"""From the bottom: what accrues with time first, as it does without load too."""
_BAR_OF_SLOT = 0.8
_DATE_LABELS = 5
_LEAST_GAP = 20.0
"""A narrower one has no room for words."""
_LEAST_LABELLED = 0.1
"""A narrower segment has no room for its share."""


class Label(Struct, frozen=True, kw_only=True):
    """Words at a place along an axis, in percent."""

    at: float
    words: str


class Segment(Struct, frozen=True, kw_only=True):
    """A part of a bar, in percent from its beginning.

    Attributes:
        name: Of the component or state; its colour goes by it.
        words: Written into it; empty where there is no room.
    """

    name: str
    title: str
    start: float
    length: float
    words: str = ""


class DayBar(Struct, frozen=True, kw_only=True):
    """A day's cost, stacked.

    Attributes:
        idle: The height of the part in which no request ran; None where not known.
    """

    left: float
    width: float
    segments: tuple[Segment, ...]
    idle: float | None
    words: str


class DayBars(Struct, frozen=True, kw_only=True):
    """Cost by day, week or month.

    Attributes:
        components: That have a cost, from the bottom of a bar: names and titles.
        missing: The components that are not known, in words.
        before: What stands where the history has not begun yet.
    """

    unit: str
    costs: Axis
    bars: tuple[DayBar, ...]
    dates: tuple[Label, ...]
    components: tuple[tuple[str, str], ...]
    missing: str
    has_idle: bool
    before: Label | None


class Split(Struct, frozen=True, kw_only=True):
    """All of the cost as one bar."""

    title: str
    segments: tuple[Segment, ...]


class ApiBar(Struct, frozen=True, kw_only=True):
    """An API's price of a million tokens: at least, at most, and as batch; in percent of the axis."""

    name: str
    price: str
    words: str
    least: float
    most: float
    batch: float | None


class ApiBars(Struct, frozen=True, kw_only=True):
    """All APIs, and our own cost beside them."""

    prices: Axis
    own: float | None
    own_words: str
    bars: tuple[ApiBar, ...]


def day_bars(report: Report) -> DayBars | None:
    """Return cost by day; None where no day has a known one."""
    unit, spans = day_spans(report.days)
    most = max((span.costs.known or 0.0 for span in spans), default=0.0)
    if most <= 0:
        return None
    costs, titles = linear_axis(most), dict(COMPONENTS)
    slot = 100.0 / len(spans)
    return DayBars(
        unit=unit,
        costs=costs,
        bars=tuple(
            DayBar(
                left=(number + (1 - _BAR_OF_SLOT) / 2) * slot,
                width=slot * _BAR_OF_SLOT,
                segments=tuple(_stacked(span, costs)),
                idle=None if span.idle_cost is None else costs.position(span.idle_cost),
                words=_span_words(span, report.head.currency),
            )
            for number, span in enumerate(spans)
        ),
        dates=tuple(_dates(spans, slot)),
        components=tuple(
            (name, titles[name]) for name in _STACKED if any(getattr(span.costs, name) for span in spans)
        ),
        missing=" and ".join(missing_costs(report)),
        has_idle=any(span.idle_cost for span in spans),
        before=_before(spans, slot),
    )


def _before(spans: Sequence[DaySpan], slot: float) -> Label | None:
    first = next((number for number, span in enumerate(spans) if span.accounted_seconds), len(spans))
    if first * slot < _LEAST_GAP:
        return None
    return Label(at=first * slot / 2, words="not in the history")


def _stacked(span: DaySpan, costs: Axis) -> Iterator[Segment]:
    below = 0.0
    for name in _STACKED:
        cost = getattr(span.costs, name)
        if cost:
            start = costs.position(below)
            below += cost
            yield Segment(name=name, title="", start=start, length=costs.position(below) - start)


def _span_words(span: DaySpan, currency: str) -> str:
    idle = "" if span.idle_cost is None else f", {money(span.idle_cost)} of it idle"
    when = span_words(span.first, span.last)
    if not span.accounted_seconds:
        return f"{when}: not in the history"
    return f"{when}: {money(span.costs.known)} {currency}{idle}"


def _dates(spans: Sequence[DaySpan], slot: float) -> Iterator[Label]:
    step = max(-(-len(spans) // _DATE_LABELS), 1)
    years = {span.first.year for span in spans}
    for number in range(0, len(spans), step):
        yield Label(at=(number + 0.5) * slot, words=day_words(spans[number].first, year=len(years) > 1))


def splits(report: Report) -> tuple[Split, ...]:
    """Return the full cost by component and by state; empty where it is not known."""
    costs = report.totals.costs
    if not costs.full:
        return ()
    components = [(name, title, getattr(costs, name) or 0.0) for name, title in COMPONENTS]
    states = [(share.state.value, STATES[share.state], share.cost or 0.0) for share in report.totals.states]
    found = [Split(title="By component", segments=tuple(_split(components, costs.full)))]
    if all(share.cost is not None for share in report.totals.states):
        found.append(Split(title="Busy and idle", segments=tuple(_split(states, costs.full))))
    return tuple(found)


def _split(parts: Sequence[tuple[str, str, float]], whole: float) -> Iterator[Segment]:
    start = 0.0
    for name, title, cost in parts:
        share = cost / whole
        if share > 0:
            yield Segment(
                name=name,
                title=f"{title} {percent(share)}",
                start=start * 100,
                length=share * 100,
                words=f"{share:.0%}" if share >= _LEAST_LABELLED else "",
            )
        start += share


def api_bars(report: Report) -> ApiBars | None:
    """Return what each API would charge for a million tokens; None without any price."""
    told = [item for item in report.comparisons if item.price_per_mtok is not None]
    if not told:
        return None
    own = report.totals.cost_per_mtok.full_total
    prices = linear_axis(max([own or 0.0, *(bound for item in told for bound in _bounds(item))]))
    return ApiBars(
        prices=prices,
        own=None if own is None else prices.position(own),
        own_words="not known" if own is None else per_mtok(own),
        bars=tuple(_api_bar(item, prices) for item in told),
    )


def _bounds(item: Comparison) -> list[float]:
    return [price for price in (item.price_per_mtok, item.price_per_mtok_no_cache) if price is not None]


def _api_bar(item: Comparison, prices: Axis) -> ApiBar:
    bounds = _bounds(item)
    batch = item.price_per_mtok_batch
    words = [per_mtok(item.price_per_mtok)]
    if item.price_per_mtok_no_cache not in {None, item.price_per_mtok}:
        words.append(f"without cache {per_mtok(item.price_per_mtok_no_cache)}")
    if batch is not None:
        words.append(f"batch {per_mtok(batch)}")
    return ApiBar(
        name=name_cell(item.reference),
        price=per_mtok(item.price_per_mtok),
        words=", ".join(word for word in words if word != UNKNOWN),
        least=prices.position(min(bounds)),
        most=prices.position(max(bounds)),
        batch=None if batch is None else prices.position(batch),
    )
