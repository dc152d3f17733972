"""One tick's posting while it is being written: rows by minute, from increases already worked out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from evenwatt.ledger import narration
from evenwatt.ledger.attribution import Holding
from evenwatt.ledger.clients import ClientIncrease
from evenwatt.ledger.energy import EnergyPart
from evenwatt.ledger.entries import (
    ClientKey,
    ClientUse,
    EngineKey,
    EngineUse,
    GpuKey,
    GpuUse,
    HostUse,
    Key,
    MeterKey,
    MeterUse,
    Posting,
    Row,
    SourceTotals,
    Usage,
    UsageKey,
    add_rows,
)
from evenwatt.ledger.gauges import part_of_use
from evenwatt.ledger.host import HostPart
from evenwatt.ledger.host_cursor import Owner
from evenwatt.ledger.spans import Piece, Span, cut, cut_count, minute_of
from evenwatt.ledger.tokens import EngineIncrease, ModelIncrease
from evenwatt.model import DEFAULT_MODEL, Event, GpuReading, Moment, State

__all__ = ["Journal"]

TokenRow = TypeVar("TokenRow", Usage, ClientUse)


class Journal:
    """Collects rows, cursors and events of one tick.

    Attributes:
        moment: Up to which the tick accounts.
        owners: GPU joules and seconds booked so far, by owner.
        gpu_parts: GPU energy booked so far.
    """

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self.owners: dict[Owner, tuple[float, float]] = {}
        self.gpu_parts: list[EnergyPart] = []
        self._usage: dict[UsageKey, Usage] = {}
        self._clients: dict[ClientKey, ClientUse] = {}
        self._gpus: dict[GpuKey, GpuUse] = {}
        self._meters: dict[MeterKey, MeterUse] = {}
        self._hosts: dict[int, HostUse] = {}
        self._engines: dict[EngineKey, EngineUse] = {}
        self._sources: dict[str, SourceTotals] = {}
        self._cursors: dict[str, Mapping[str, object]] = {}
        self._events: list[Event] = []

    def posting(self) -> Posting:
        """Return what was collected."""
        return Posting(
            usage=self._usage,
            clients=self._clients,
            gpus=self._gpus,
            meters=self._meters,
            hosts=self._hosts,
            engines=self._engines,
            sources=self._sources,
            cursors=self._cursors,
            events=tuple(self._events),
        )

    def cursor(self, key: str, stored: Mapping[str, object]) -> None:
        """Set the state from which a source's next increase is counted."""
        self._cursors[key] = stored

    def event(self, told: narration.Told) -> None:
        """Add an event, placed at the tick's moment."""
        kind, subject, text = told
        self._events.append(Event(utc_seconds=self.moment.utc_seconds, kind=kind, subject=subject, text=text))

    def restart(self, source: str) -> None:
        """Count a restart of a source."""
        self._sources.setdefault(source, SourceTotals()).restarts += 1

    def gap(self, source: str, span: Span) -> None:
        """Count time in which nobody looked at a source that counted on, and tell of it."""
        self._sources.setdefault(source, SourceTotals()).gap_seconds += span.length_seconds
        self.event(narration.gap(source, span))

    def tokens(self, engine: str, increase: EngineIncrease, span: Span, *, estimated: bool) -> None:
        """Book what an engine's counters rose by, minute by minute."""
        pieces = cut(span)
        for model, counts in increase.models.items():
            for piece, usage in zip(pieces, _spread(counts, pieces, Usage), strict=True):
                usage.estimated = int(estimated)
                usage.prefill_seconds = _share(counts.prefill_seconds, piece)
                usage.decode_seconds = _share(counts.decode_seconds, piece)
                _book(self._usage, (piece.minute, engine, model), usage)
        if increase.restarted:
            for model in increase.models or (DEFAULT_MODEL,):
                _book(self._usage, (pieces[-1].minute, engine, model), Usage(restarted=1))

    def cut_short(self, engine: str, models: Sequence[str]) -> None:
        """Flag the tick's minute of models, and count it as a restart: their last tokens are not known."""
        self.restart(engine)
        for model in models or (DEFAULT_MODEL,):
            _book(self._usage, (minute_of(self.moment.utc_seconds), engine, model), Usage(restarted=1))

    def requests(self, engine: str, use: EngineUse, span: Span) -> None:
        """Book how many requests an engine had, minute by minute."""
        for piece in cut(span):
            _book(self._engines, (piece.minute, engine), part_of_use(use, piece.share))

    def clients(self, engine: str, increase: ClientIncrease, span: Span, *, estimated: bool) -> None:
        """Book what an engine's clients asked of it, minute by minute."""
        pieces = cut(span)
        for (model, client), counts in increase.clients.items():
            for piece, use in zip(pieces, _spread(counts, pieces, ClientUse), strict=True):
                use.estimated = int(estimated)
                _book(self._clients, (piece.minute, engine, model, client), use)

    def energy(
        self,
        gpu: GpuReading,
        part: EnergyPart,
        holdings: Sequence[Holding],
        model_shares: Mapping[str, Mapping[str, float]],
        *,
        estimated: bool,
    ) -> None:
        """Book a GPU's energy, for itself and for whom it was spent."""
        self.gpu_parts.append(part)
        for piece in cut(part.span):
            joules = part.energy_joules * piece.share
            use = GpuUse(
                energy_joules=joules,
                measured_seconds=part.span.length_seconds * piece.share,
                estimated=int(estimated),
            )
            _book(self._gpus, (piece.minute, gpu.uuid), use)
            for holding in holdings:
                for model, share in model_shares[holding.engine].items():
                    usage = Usage(estimated=int(estimated or holding.is_estimated))
                    spent = joules * holding.joules_share * share
                    usage.add_joules(holding.state, spent)
                    self._own((holding.engine, model, holding.state), joules=spent)
                    _book(self._usage, (piece.minute, holding.engine, model), usage)

    def host(self, part: HostPart) -> None:
        """Book host energy, for its source and for whom it was spent."""
        for piece in cut(part.span):
            joules = part.energy_joules * piece.share
            use = MeterUse(
                energy_joules=joules,
                measured_seconds=part.measured_seconds * piece.share,
                estimated=int(part.estimated),
            )
            _book(self._meters, (piece.minute, part.source), use)
            for (engine, model, state), share in part.shares.items():
                usage = Usage(estimated=int(part.estimated))
                usage.add_joules(state, joules * share)
                _book(self._usage, (piece.minute, engine, model), usage)

    def utilization(self, gpu: GpuReading, span: Span) -> None:
        """Book how long a GPU ran kernels, as NVML samples it."""
        if gpu.utilization_ratio is None:
            return
        for piece in cut(span):
            seconds = gpu.utilization_ratio * span.length_seconds * piece.share
            _book(self._gpus, (piece.minute, gpu.uuid), GpuUse(utilization_seconds=seconds))

    def time(
        self,
        span: Span,
        shared: Mapping[tuple[str, State], float],
        model_shares: Mapping[str, Mapping[str, float]],
        *,
        estimated: bool,
        is_down: bool,
    ) -> None:
        """Book the machine's time, for itself and for whom it was held."""
        for piece in cut(span):
            seconds = span.length_seconds * piece.share
            _book(
                self._hosts,
                piece.minute,
                HostUse(
                    seconds=seconds,
                    down_seconds=seconds if is_down else 0.0,
                    estimated_seconds=seconds if estimated else 0.0,
                ),
            )
            for (engine, state), engine_share in shared.items():
                for model, share in model_shares[engine].items():
                    held = seconds * engine_share * share
                    usage = Usage(estimated=int(estimated), down_seconds=held if is_down else 0.0)
                    held_in = State.IDLE_EMPTY if is_down else state
                    usage.add_seconds(held_in, held)
                    self._own((engine, model, held_in), seconds=held)
                    _book(self._usage, (piece.minute, engine, model), usage)

    def _own(self, owner: Owner, *, joules: float = 0.0, seconds: float = 0.0) -> None:
        before = self.owners.get(owner, (0.0, 0.0))
        self.owners[owner] = (before[0] + joules, before[1] + seconds)


def _book(rows: dict[Key, Row], key: Key, row: Row) -> None:
    """Add a row to the one of the same key, if there is one."""
    if key in rows:
        add_rows(rows[key], row)
    else:
        rows[key] = row


def _spread(counts: ModelIncrease, pieces: tuple[Piece, ...], kind: type[TokenRow]) -> Iterable[TokenRow]:
    """Return an increase cut into pieces, every count whole."""

    def parts(count: int | None) -> tuple[int | None, ...]:
        return (None,) * len(pieces) if count is None else cut_count(count, pieces)

    columns = {
        "input_tokens": parts(counts.input_tokens),
        "cached_input_tokens": parts(counts.cached_input_tokens),
        "output_tokens": parts(counts.output_tokens),
        "requests_completed": parts(counts.requests.get("completed")),
        "requests_aborted": parts(counts.requests.get("aborted")),
        "requests_failed": parts(counts.requests.get("failed")),
    }
    for number in range(len(pieces)):
        row = kind()
        for name, column in columns.items():
            setattr(row, name, column[number])
        yield row


def _share(value: float | None, piece: Piece) -> float | None:
    return None if value is None else value * piece.share
