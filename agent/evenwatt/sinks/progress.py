"""How far a long command is: a bar on a terminal, nothing anywhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["progress_bar"]

_LEAST_STEP = 0.002
"""Of the whole: a bar has no more steps than that to show."""


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error, and lend what is told how much is done, from 0 to 1.

    Nothing refreshes it in the background: when the command is interrupted, there is nothing left to stop.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        yield lambda _: None
        return
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
    )
    task = progress.add_task(what, total=1.0)
    shown = 0.0

    def advance(done_ratio: float) -> None:
        nonlocal shown
        if done_ratio - shown >= _LEAST_STEP:
            shown = done_ratio
            progress.update(task, completed=done_ratio)
            progress.refresh()

    with progress:
        yield advance
