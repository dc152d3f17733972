"""What a benchmark found out: figures with their budgets, rendered as a Markdown table."""

import os
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


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


def head(command: Sequence[str]) -> str:
    """Return what stands before the tables: what was run, when, and on what."""
    named = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    processor = "an unnamed processor" if named is None else named[1]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"""\
# Benchmarks

What the agent costs the server that it runs on, beside what it may cost. The GPUs are the tests' fake driver,
slowed down; the engines are the tests' counting engines; everything else is as it ships.

Measured on {today} by `python {" ".join(command)}`: {os.cpu_count()} cores of
{processor}, {system}, Python {platform.python_version()}.
"""


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)
