"""What each model used and cost in each day or hour, as FOCUS bills it."""

import os
from collections.abc import Iterator

from evenwatt.economics.sums import known_sum
from evenwatt.ledger import Usage
from evenwatt.service.exchange.span import Span
from evenwatt.service.exchange.tables import Advance
from evenwatt.sinks.exchange.focus import BilledUse, Biller, focus_sheet
from evenwatt.sinks.exchange.sheets import Sheet
from evenwatt.sinks.history import HistoryReader
from evenwatt.sinks.history.extract import days_of, pieces_of, rows_of_piece
from evenwatt.sinks.history.queries import history_settings
from evenwatt.sinks.history.schema import COST_COLUMNS, TABLES
from evenwatt.snapshot import Money

__all__ = ["Charges"]


class Charges:
    """The charges of a span, and what is missing in them.

    Attributes:
        sheet: Of the charges; its rows are made while it is written.
        unpriced: How many costs of a model and period were left out so far, as no price is known for all of
            it.
    """

    def __init__(
        self, reader: HistoryReader, span: Span, *, finest: str, account: str | None, advance: Advance
    ) -> None:
        """Read a span.

        Args:
            reader: Of the history.
            span: Of rows that begin in it.
            finest: `day` or `hour`.
            account: What the costs are booked under; None: the name of this machine.
            advance: Is told how far it is.
        """
        held = history_settings(reader)
        biller = Biller(
            account=account or os.uname().nodename,
            currency=held.get("currency", ""),
            readings=held.get("readings", ""),
        )
        self.unpriced = 0
        self.sheet: Sheet = focus_sheet(self._uses(reader, span, finest, advance), biller)

    def _uses(self, reader: HistoryReader, span: Span, finest: str, advance: Advance) -> Iterator[BilledUse]:
        names = (*TABLES["usage"][0], *TABLES["usage"][1])
        for _, pieces in days_of(pieces_of(reader, span.start, span.end, finest=finest)):
            for piece in pieces:
                for begin, *values in rows_of_piece(reader, "usage", piece):
                    row = dict(zip(names, values, strict=True))
                    engine, model = row.pop("engine"), row.pop("model")
                    money = Money(**{name.removesuffix("_cost"): row.pop(name) for name in COST_COLUMNS})
                    yield self._use(begin, begin + piece.row_seconds, (engine, model), Usage(**row), money)
            advance((pieces[-1].end - span.start) / (span.end - span.start))

    def _use(self, begin: int, end: int, owner: tuple[str, str], usage: Usage, money: Money) -> BilledUse:
        known = money.whole_costs
        self.unpriced += sum((bool(money.unpriced_seconds), bool(money.unpriced_joules)))
        return BilledUse(
            begin=begin,
            end=end,
            engine=owner[0],
            model=owner[1],
            seconds=known_sum((usage.active_seconds, usage.idle_loaded_seconds, usage.idle_empty_seconds)),
            joules=known_sum((usage.active_joules, usage.idle_loaded_joules, usage.idle_empty_joules)),
            costs={
                "hardware": known.hardware,
                "energy": known.energy,
                "labour": known.labour,
                "other": known.other,
            },
            tokens={
                "input": usage.input_tokens,
                "cached_input": usage.cached_input_tokens,
                "output": usage.output_tokens,
            },
            is_estimated=bool(usage.estimated),
        )
