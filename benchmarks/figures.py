"""What a benchmark found out: figures with their budgets, rendered as a Markdown table."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One number; the budget is the most that it may be, None where there is none."""

    what: str
    value: float
    unit: str
    budget: float | None = None

    def cells(self):
        if self.budget is None:
            return self.what, f"{self.value:.4g} {self.unit}", "", ""
        verdict = "kept" if self.value < self.budget else "MISSED"
        return self.what, f"{self.value:.4g} {self.unit}", f"< {self.budget:g} {self.unit}", verdict


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of one benchmark, and under which circumstances they were taken."""

    title: str
    circumstances: str
    figures: list[Figure] = field(default_factory=list)

    def add(self, what, value, unit, budget=None):
        self.figures.append(Figure(what, value, unit, budget))

    def rendered(self):
        rows = [("what", "measured", "budget", ""), *(figure.cells() for figure in self.figures)]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([f"## {self.title}", "", self.circumstances, "", *lines, ""])


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)
