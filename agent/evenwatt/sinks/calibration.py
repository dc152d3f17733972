"""A load run in a terminal: how far it is, and what it found."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from evenwatt import clock
from evenwatt.economics.calibration import Phase, Step, phases_explain

__all__ = ["LoadProgress", "print_calibrations"]

_UNKNOWN = "-"


class LoadProgress:
    """Shows how far a load run is: a bar on a terminal, else a line for each step.

    Nothing refreshes it in the background: when the run is interrupted, there is nothing left to stop.

    Args:
        seconds: Of the run, at most.
    """

    def __init__(self, seconds: float) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("asking for the first answers", total=seconds)
        self._began = clock.boot_seconds()

    def __enter__(self) -> Self:
        """Show it."""
        if self._console.is_terminal:
            self._progress.start()
            self._progress.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away."""
        if self._console.is_terminal:
            self._progress.stop()

    def tick(self) -> None:
        """Show how much of the time is over."""
        self._progress.update(self._task, completed=clock.boot_seconds() - self._began)
        if self._console.is_terminal:
            self._progress.refresh()

    def step(self, phase: Phase, concurrency: int, step: Step | None) -> None:
        """Show that a step begins, or what it was."""
        at_once = f"{phase.value}, {concurrency} at once"
        if step is None:
            self._progress.update(self._task, description=at_once)
        else:
            self._console.print(
                f"{at_once}: {step.tokens_per_second:,.0f} tokens/s "
                f"({step.requests} requests in {step.seconds:.1f} s)",
                soft_wrap=True,
            )


def print_calibrations(documents: Iterable[Mapping[str, Any]]) -> None:
    """Print results as a table, and what is to be known about them.

    Args:
        documents: Of each when, of what, its result and its settings, as the history keeps them.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("date", "engine", "model"):
        table.add_column(column, overflow="fold")
    for column in ("tokens/s", "prefill/s", "decode/s"):
        table.add_column(column, justify="right")
    table.add_column("note", overflow="fold")
    for document in documents:
        table.add_row(*(Text(cell) for cell in _cells(document)))
    if table.row_count:
        console.print(table)
    else:
        console.print("nothing was calibrated yet")


def _cells(document: Mapping[str, Any]) -> Iterator[str]:
    result = document["result"]
    growing = result["still_growing"]
    yield datetime.fromtimestamp(document["utc_seconds"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    yield _clean(document["subject"])
    yield _clean(result["model"])
    for name, phase in (
        ("tokens_per_second", Phase.MIXED),
        ("prefill_tokens_per_second", Phase.PREFILL),
        ("decode_tokens_per_second", Phase.DECODE),
    ):
        rate = result[name]
        yield _UNKNOWN if rate is None else f"{'≥' if phase.value in growing else ''}{rate:,.0f}"
    yield "; ".join(_notes(result, document["settings"]))


def _notes(result: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    yield f"mix {settings['input_per_output']:.2g}:1"
    if result["still_growing"]:
        yield f"still growing at a limit of the run: {', '.join(result['still_growing'])}"
    if result["others_seen"]:
        yield "requests of others ran: too low"
    if not phases_explain(result):
        load = result["mixed_load_by_phases"]
        yield f"the phases put the mixed step at a load of {load:.0%}, so that load is taken from the mix"


def _clean(text: object) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )
