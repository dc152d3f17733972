"""What went unwatched within the last hour, from totals that only grow."""

from collections.abc import Iterable, Mapping

from evenwatt.ledger import SourceTotals
from evenwatt.units import SECONDS_PER_HOUR

__all__ = ["RecentGaps"]

_Step = tuple[float, str, float]
"""(when a total grew, whose, what it was before)"""


class RecentGaps:
    """The growth of each source's gaps over the last hour."""

    def __init__(self, totals: Mapping[str, SourceTotals], steps: Iterable[_Step] = ()) -> None:
        """Begin with totals as they were before anything is counted.

        Args:
            totals: Of all sources that are known.
            steps: As `steps` returned them before a restart.
        """
        self._totals = {source: row.gap_seconds for source, row in totals.items()}
        self.steps: list[_Step] = [(at, source, before) for at, source, before in steps]

    def seconds(self, totals: Mapping[str, SourceTotals], now_utc_seconds: float) -> dict[str, float]:
        """Return what each source's total grew by within the last hour.

        Args:
            totals: As they are now.
            now_utc_seconds: The end of the hour.
        """
        for source, row in totals.items():
            before = self._totals.get(source, 0.0)
            if row.gap_seconds > before:
                self.steps.append((now_utc_seconds, source, before))
            self._totals[source] = row.gap_seconds
        begin = now_utc_seconds - SECONDS_PER_HOUR
        self.steps = [step for step in self.steps if begin < step[0] <= now_utc_seconds]
        first: dict[str, float] = {}
        for _, source, before in self.steps:
            first.setdefault(source, before)
        return {source: self._totals[source] - before for source, before in first.items() if source in totals}
