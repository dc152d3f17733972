"""Gathers a report from a history: beside the agent that writes it, or without one."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from evenwatt import __version__
from evenwatt.config import Settings
from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Rented
from evenwatt.ledger.host_cursor import HOST_KEY
from evenwatt.model import Assumption, Coverage
from evenwatt.service.host.assumptions import host_assumptions
from evenwatt.service.pricing import all_assumptions, price_book, stored_gpu_names
from evenwatt.service.report.batch import with_batch_bills
from evenwatt.service.report.capacities import report_capacities
from evenwatt.service.report.notes import notes_on, site_notes
from evenwatt.service.report.owning import owning_of
from evenwatt.service.report.span import asked_span
from evenwatt.service.report.window import AskedWindow, in_words
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.queries import HistorySpan, history_settings
from evenwatt.snapshot import WindowView, window_view, with_outlook
from evenwatt.snapshot.report.calendar import by_hour_of_week, days_of, week_of
from evenwatt.snapshot.report.comparing import Machine, comparisons_of, curve_of, machine_of
from evenwatt.snapshot.report.comparison import Comparison
from evenwatt.snapshot.report.hours import HourRow, ModelHours
from evenwatt.snapshot.report.localtime import LocalTime, local_time
from evenwatt.snapshot.report.owning import Owning
from evenwatt.snapshot.report.totalling import rows_of, totals_of
from evenwatt.snapshot.report.values import EngineCapacity, Report, ReportHead, ReportWindow
from evenwatt.snapshot.report.verdict import VerdictFacts, verdict_on
from evenwatt.snapshot.report.whatif import decision_on, quiet_hours, scenarios_of
from evenwatt.snapshot.sums import Sums, tokens_of
from evenwatt.snapshot.windows import ALL

__all__ = ["gathered_report"]


def gathered_report(
    settings: Settings, reader: HistoryReader, asked: AskedWindow, *, now_utc_seconds: float
) -> Report:
    """Return the report on a window of a history.

    Args:
        settings: For what the history does not hold: the site's zone, capacities, the purchase price.
        reader: Of the history.
        asked: The window, in a person's words.
        now_utc_seconds: The present, after which no window reaches.

    Raises:
        OptionError: The window means nothing.
        ReportError: The history holds nothing of it.
        HistoryError: It cannot be read.
    """
    extent, window, span = asked_span(settings, reader, asked, now_utc_seconds=now_utc_seconds)
    found = _Found.of(settings, reader, window, span, now_utc_seconds, first_utc_seconds=extent[0])
    book = price_book(
        settings,
        reader.prices(),
        found.gpu_names,
        electricity=reader.electricity_prices(span.start),
    )
    if settings.currency == found.currency:
        found = replace(found, view=with_outlook(found.view, book))
    owning = _owning(settings, found, book)
    machine = machine_of(found.sums, found.view, found.hours)
    comparisons = with_batch_bills(
        comparisons_of(found.sums, machine, owning),
        machine.sums.tokens,
        reader=reader,
        span=span,
        served=found.sums.usage,
        book=book,
    )
    head = _head(settings, found, now_utc_seconds)
    if settings.currency == found.currency:
        head = replace(head, notes=site_notes(head, machine, owning, book, settings.timezone))
    return _report(found, head, book, owning, machine, comparisons)


class _Found(Struct, frozen=True, kw_only=True):
    """What the history says of the window, read once."""

    window: ReportWindow
    sums: Sums
    local: LocalTime
    hours: Sequence[HourRow]
    is_approximate: bool
    by_model: ModelHours
    gpus: int
    gpu_joules: float | None
    events: Mapping[str, int]
    view: WindowView
    currency: str
    simulated: bool
    gpu_names: tuple[str, ...]
    host_assumptions: tuple[Assumption, ...]
    first_utc_seconds: float
    hours_from_utc_seconds: int | None

    @classmethod
    def of(
        cls,
        settings: Settings,
        reader: HistoryReader,
        window: ReportWindow,
        span: HistorySpan,
        now_utc_seconds: float,
        *,
        first_utc_seconds: float,
    ) -> "_Found":
        """Read the window."""
        local = local_time(settings.timezone, span.start, span.end)
        sums = span.sums()
        hours, is_approximate = span.hours(local)
        gpus, gpu_joules = span.gpus()
        held, cursors = history_settings(reader), reader.cursors()
        simulated = held.get("readings") == "simulated"
        return cls(
            window=window,
            sums=sums,
            local=local,
            hours=hours,
            is_approximate=is_approximate,
            by_model=span.model_hours(local),
            gpus=gpus,
            gpu_joules=gpu_joules,
            events=span.event_counts(),
            view=window_view(
                sums,
                name=window.label,
                start_utc_seconds=float(span.start),
                seconds=float(span.end - span.start),
                capacities=report_capacities(
                    settings,
                    reader,
                    cursors,
                    [key for key, usage in sums.usage.items() if tokens_of(usage).total_tokens],
                    now_utc_seconds=now_utc_seconds,
                ),
            ),
            currency=held.get("currency", settings.currency),
            simulated=simulated,
            gpu_names=stored_gpu_names(cursors),
            host_assumptions=() if simulated else _host_assumptions(settings, cursors, sums),
            first_utc_seconds=float(first_utc_seconds),
            hours_from_utc_seconds=span.hours_from,
        )


def _report(
    found: _Found,
    head: ReportHead,
    book: PriceBook,
    owning: Owning,
    machine: Machine,
    comparisons: tuple[Comparison, ...],
) -> Report:
    week = by_hour_of_week(found.hours, found.local)
    totals = totals_of(found.sums, found.view, gpu_joules=found.gpu_joules)
    rented = isinstance(book.hardware, Rented) and book.hardware.is_active_only
    return Report(
        head=replace(
            head,
            notes=(
                *notes_on(head, totals, machine, found.sums, hours_from=found.hours_from_utc_seconds),
                *head.notes,
            ),
        ),
        verdict=verdict_on(
            VerdictFacts(
                window=in_words(found.window.label),
                currency=found.currency,
                simulated=found.simulated,
                coverage_ratio=head.coverage_ratio,
                watched_seconds=head.accounted_seconds * (1 - head.estimated_ratio),
                tokens=totals.tokens.total_tokens,
                costs=totals.costs,
                own_cost_per_mtok=totals.cost_per_mtok.full_total,
                load_ratio=machine.load_ratio,
                comparisons=comparisons,
                assumptions=head.assumptions,
            )
        ),
        totals=totals,
        load_ratio=machine.load_ratio,
        rows=rows_of(found.sums, found.view),
        days=days_of(found.hours, found.local),
        week=week_of(week, load=_load_at(machine), is_approximate=found.is_approximate),
        comparisons=comparisons,
        curve=curve_of(machine, comparisons, owning),
        idle_power=machine.idle_power,
        scenarios=scenarios_of(
            totals,
            machine,
            owning,
            quiet_hours(week, is_given_back=rented),
            gpus=found.gpus,
        ),
        decision=decision_on(
            machine,
            comparisons,
            owning,
            hours=week,
            by_model=found.by_model,
            tokens={key: tokens_of(usage).total_tokens for key, usage in found.sums.usage.items()},
        ),
    )


def _head(settings: Settings, found: _Found, now: float) -> ReportHead:
    host = found.sums.host
    accounted = host.seconds or 0.0
    return ReportHead(
        window=found.window,
        currency=found.currency,
        version=__version__,
        machine=os.uname().nodename,
        generated_utc_seconds=now,
        simulated=found.simulated,
        month_hours=float(settings.month_hours),
        accounted_seconds=accounted,
        coverage_ratio=found.view.coverage_ratio,
        estimated_ratio=(host.estimated_seconds or 0.0) / accounted if accounted else 0.0,
        down_seconds=host.down_seconds or 0.0,
        gaps=found.events.get("gap", 0),
        restarts=found.events.get("engine_restart", 0),
        first_utc_seconds=max(found.first_utc_seconds, found.window.start_utc_seconds),
        assumptions=(*all_assumptions(settings, found.gpu_names), *found.host_assumptions),
        capacities=tuple(_capacities(found.view)),
    )


def _capacities(view: WindowView) -> Iterator[EngineCapacity]:
    for row in view.rows:
        if row.model == ALL and row.capacity is not None:
            yield EngineCapacity(
                engine=row.engine,
                tokens_per_second=row.capacity.tokens_per_second,
                source=row.capacity.source.value,
                load_ratio=row.load_ratio,
                prefill_tokens_per_second=row.capacity.prefill_tokens_per_second,
                decode_tokens_per_second=row.capacity.decode_tokens_per_second,
                measured_utc_seconds=row.capacity.at_utc_seconds,
                is_lower_bound=row.capacity.is_lower_bound,
            )


def _owning(settings: Settings, found: _Found, book: PriceBook) -> Owning:
    """Return how the machine is had; prices in another currency than the history's are none."""
    if settings.currency != found.currency:
        return Owning(month_hours=float(settings.month_hours))
    return owning_of(
        book,
        start_utc_seconds=max(found.window.start_utc_seconds, found.first_utc_seconds),
        end_utc_seconds=found.window.end_utc_seconds,
        accounted_seconds=found.sums.host.seconds or 0.0,
    )


def _load_at(machine: Machine) -> Callable[[HourRow], float | None]:
    """Return the load of an hour at the mix of the window: in proportion to its computed tokens."""
    tokens = machine.sums.tokens
    computed = tokens.input_tokens + tokens.output_tokens
    load, seconds = machine.load_ratio, machine.accounted_seconds
    if load is None or not computed or not seconds:
        return lambda _: None
    per_token = load * seconds / computed
    return lambda row: per_token * row.computed_tokens / row.seconds if row.seconds else None


def _host_assumptions(
    settings: Settings, cursors: Mapping[str, Mapping[str, Any]], sums: Sums
) -> tuple[Assumption, ...]:
    """Return what is left out of the energy, by what the source of host power that was last read measures."""
    cursor = cursors.get(HOST_KEY)
    if cursor is None and sums.meters:
        return ()
    return host_assumptions(settings.host_power, None if cursor is None else Coverage(str(cursor["covers"])))
