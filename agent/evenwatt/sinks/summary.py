"""The agent in its own log: what matters now, as one line a minute."""

from evenwatt.economics.effective import Basis, TokenBase
from evenwatt.sinks.words import WHOLE_RATIO
from evenwatt.snapshot import Snapshot, WindowView

__all__ = ["summary_line"]


def summary_line(snapshot: Snapshot) -> str:
    """Return what matters now, in one line."""
    parts = []
    watts = [gpu.power_watts for gpu in snapshot.gpus if gpu.power_watts is not None]
    if watts:
        parts.append(f"{len(snapshot.gpus)} GPU {sum(watts):,.0f} W")
    if snapshot.host.host_watts is not None:
        parts.append(f"host {snapshot.host.host_watts:,.0f} W")
    up = sum(view.up for view in snapshot.engines)
    parts.append(f"{up}/{len(snapshot.engines)} engines up")
    if snapshot.cost_per_hour.full is not None:
        parts.append(f"{snapshot.cost_per_hour.full:.4f} {snapshot.currency}/h")
    told = [_window_words(window, snapshot.currency) for window in snapshot.windows]
    # A history younger than a window says in it what it says in a shorter one.
    parts += [words for number, words in enumerate(told) if not number or _differs(snapshot, number)]
    marked = "SIMULATED  " if snapshot.simulated else ""
    return marked + "  ".join(part for part in parts if part)


def _differs(snapshot: Snapshot, number: int) -> bool:
    return snapshot.windows[number].rows != snapshot.windows[number - 1].rows


def _window_words(window: WindowView, currency: str) -> str:
    row = window.row()
    cost = None if row is None else row.cost_per_mtok.get((Basis.FULL, TokenBase.TOTAL))
    if cost is None:
        return ""
    so_far = "" if window.coverage_ratio >= WHOLE_RATIO else " so far"
    return f"{window.name}{so_far} {cost:.4f} {currency}/Mtok"
