"""A week of a machine in steps of four minutes, on a real history: what the agent sees at each evaluation.

Load comes and goes around break-even, sources fall silent, GPUs get lost; what happens is drawn from a seed.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from evenwatt.config import Window
from evenwatt.economics.capacity import Capacity, CapacitySource
from evenwatt.ledger import HostUse, SourceTotals
from evenwatt.model import Assumption, Moment, SourceHealth
from evenwatt.service.windows import SumsSince, window_views
from evenwatt.sinks.history import History
from evenwatt.snapshot import ElectricityView, HistoryHealth, PendingPrice, Snapshot
from sink_fixtures import BOOK, engine_view, gpu, idle, served, snapshot, tick

__all__ = ["BEGIN", "STEP_SECONDS", "WEEK_STEPS", "simulated_week"]

STEP_SECONDS = 240
WEEK_STEPS = 7 * 86_400 // STEP_SECONDS
BEGIN = 1_800_000_000 // 86_400 * 86_400

_UTC = ZoneInfo("UTC")
_WINDOWS = (
    Window(label="1h", seconds=3_600),
    Window(label="24h", seconds=86_400),
    Window(label="7d", seconds=7 * 86_400),
)
_CAPACITIES = {"chat": Capacity(tokens_per_second=3_000.0, source=CapacitySource.CONFIGURED)}
_EVEN_TOKENS = 40_000.0
"""Of input, with a tenth of it output, each minute: about what pays for the machine."""


def simulated_week(folder: Path, seed: int) -> Iterator[Snapshot]:
    """Yield what the agent sees at each step of a week, after one that it watched already."""
    chance = random.Random(seed)
    history = History(folder / "week.db", currency="EUR")
    history.write(_tick(range(BEGIN - 7 * 86_400, BEGIN, 3_600), 3_600, lambda _: chance.uniform(0.5, 1.5)))
    load = _levels(chance, 4, 60, lambda: chance.choice([0.0, 0.0, chance.uniform(0, 2.4), 1.0]))
    flags = {name: _flags(chance) for name in ("up", "read", "gpu", "fresh", "written", "config", "whole")}
    flags |= {name: _flags(chance) for name in ("settled", "accepted")}
    drift = _levels(chance, 1, 8, lambda: chance.uniform(1.0, 1.2))
    heard, gap_seconds = float(BEGIN), 0.0
    for number in range(WEEK_STEPS):
        start = BEGIN + number * STEP_SECONDS
        now = float(start + STEP_SECONDS)
        level = next(load)
        history.write(_tick([start], STEP_SECONDS, lambda _, level=level: level))
        at = {name: next(values) for name, values in flags.items()}
        heard = now if at["read"] else heard
        if number and chance.random() < 0.01:
            gap_seconds += chance.randrange(10, 400)
        views = window_views(
            SumsSince(history), _WINDOWS, now_utc_seconds=now, zone=_UTC, capacities=_CAPACITIES
        )
        yield snapshot(
            moment=Moment(utc_seconds=now, boot_seconds=now - BEGIN, boot_id="boot"),
            windows=views,
            source_totals={"chat": SourceTotals(gap_seconds=gap_seconds)},
            gpus=(gpu(fault=None if at["gpu"] else "lost"), gpu(uuid="GPU-b", index=1)),
            counter_power_ratios={"GPU-a": next(drift)},
            engines=(engine_view(up=at["up"]),),
            sources=(
                SourceHealth(
                    source="chat", kind="vllm", address="a", up=at["read"], last_success_utc_seconds=heard
                ),
                SourceHealth(source="new", kind="vllm", address="b", up=False),
            ),
            electricity=ElectricityView(is_stale=not at["fresh"]),
            history=HistoryHealth(
                path="/h", up=at["written"], set_aside=None if at["whole"] else "/h.corrupt"
            ),
            config_reload_ok=at["config"],
            assumptions=()
            if at["settled"]
            else (Assumption(setting="hardware", text="Assumed.", line_to_write="hardware: {}"),),
            pending_prices=()
            if at["accepted"]
            else (
                PendingPrice(
                    reference="flat", accepted="1", offered="2", source="c", offered_utc_seconds=now
                ),
            ),
        )
    history.close()


def _tick(starts, seconds: int, level: Callable[[int], float]):
    """Return steps in which an engine served so much of what pays for the machine."""
    rows = {}
    for start in starts:
        tokens = round(level(start) * _EVEN_TOKENS * seconds / 60)
        parts = {"active_seconds": float(seconds)} if tokens else {"idle_loaded_seconds": float(seconds)}
        use = served(tokens, tokens // 10, 0, **parts) if tokens else idle(**parts)
        rows[start, "chat", "small"] = use
    hosts = {
        start: HostUse(seconds=float(seconds), down_seconds=0.0, estimated_seconds=0.0) for start in starts
    }
    return tick(rows, book=BOOK, hosts=hosts)


def _flags(chance: random.Random) -> Iterator[bool]:
    """Yield whether all is well: for hours or days, and not for minutes or hours in between."""
    while True:
        for _ in range(chance.randrange(1, 700)):
            yield True
        for _ in range(chance.choice([1, 2, 3, 20, 400])):
            yield False


def _levels(
    chance: random.Random, least_hours: int, most_hours: int, draw: Callable[[], float]
) -> Iterator[float]:
    while True:
        level = draw()
        for _ in range(chance.randrange(least_hours, most_hours) * 3_600 // STEP_SECONDS):
            yield level
