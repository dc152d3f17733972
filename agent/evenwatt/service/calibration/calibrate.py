"""What `evenwatt calibrate` does: picks an engine, disturbs nobody unasked, runs, keeps the result."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from msgspec import Struct

from evenwatt import __version__, clock
from evenwatt.config import Settings
from evenwatt.config.engines import Engine
from evenwatt.economics.load_run import Phase, Step
from evenwatt.errors import CalibrationRefused
from evenwatt.model import EngineReading
from evenwatt.readings.discovery import FoundEngine
from evenwatt.readings.load import LoadClient
from evenwatt.service.calibration.load_run import DEFAULT_INPUT_PER_OUTPUT, LoadLimits, LoadRun
from evenwatt.service.capacity import CALIBRATION
from evenwatt.service.engines import EngineRoster
from evenwatt.service.sources import engine_source, is_local
from evenwatt.sinks.history import CalibrationRow, HistoryReader, history_beside
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_MINUTE

__all__ = ["CalibrationPlan", "calibrate", "calibrations", "planned"]

OnStep = Callable[[Phase, int, Step | None], None]

_DEADLINE_SECONDS = 5.0
_TICK_SECONDS = 0.2
_MIX_DAYS = 7
_LEAST_MIX_TOKENS = 10_000
_LEAST_MIX, _MOST_MIX = 0.1, 100.0


class CalibrationPlan(Struct, frozen=True, kw_only=True):
    """A load run that may be begun.

    Attributes:
        engine: To run it against.
        model: That is asked.
        input_per_output: The mix, as the engine had it lately or by default.
        requests_running: Of others, now.
    """

    engine: Engine | FoundEngine
    model: str
    limits: LoadLimits
    input_per_output: float
    requests_running: int


def planned(
    settings: Settings,
    *,
    engine: str | None,
    model: str | None,
    limits: LoadLimits,
    may_be_remote: bool,
    may_be_busy: bool,
) -> CalibrationPlan:
    """Return what would be run, without giving the engine any work.

    Raises:
        CalibrationRefused: Which engine or model is not clear, it is another machine's, or in use.
        SourceError: The engine cannot be read.
        HistoryError: There is no history to keep the result in, or it cannot be read.
    """
    with history_beside(settings.history.path, may_write=True) as history:
        chosen = _chosen(_engines(settings, history), engine)
        mix = _usual_mix(history, chosen.name)
    if not may_be_remote and not is_local(chosen.url):
        raise CalibrationRefused(
            f"{chosen.name} at {chosen.url} runs on another machine, whose users this would disturb too; if "
            "that is right, add --force"
        )
    source = engine_source(chosen, _DEADLINE_SECONDS)
    try:
        reading = source.read()
    finally:
        source.close()
    running = (reading.requests_running or 0) + (reading.requests_waiting or 0)
    if running and not may_be_busy:
        raise CalibrationRefused(
            f"{chosen.name} has {running} requests of others; they would be slowed down, and the result "
            "would be too low. Wait, or add --busy"
        )
    return CalibrationPlan(
        engine=chosen,
        model=_served_model(reading, model),
        limits=limits,
        input_per_output=mix,
        requests_running=running,
    )


def calibrate(
    settings: Settings, plan: CalibrationPlan, on_step: OnStep, on_tick: Callable[[], None] = lambda: None
) -> CalibrationRow:
    """Run it and keep the result; where this is interrupted, nothing runs on and nothing is kept.

    Args:
        settings: Where the history is.
        plan: What to run.
        on_step: As `LoadRun` takes it.
        on_tick: Called several times a second meanwhile.

    Raises:
        SourceError: The engine cannot be read, does not answer, or does not count what it answers.
        CalibrationRefused: Nothing was found in the time allowed.
        HistoryError: The result cannot be kept.
    """
    row = asyncio.run(_watched(_run(plan, on_step), on_tick))
    with history_beside(settings.history.path, may_write=True) as history:
        history.add_calibration(row)
    return row


def calibrations(settings: Settings) -> tuple[CalibrationRow, ...]:
    """Return all results that are kept, newest first.

    Raises:
        HistoryError: There is no history, or it cannot be read.
    """
    with history_beside(settings.history.path) as history:
        return history.calibrations(CALIBRATION)


async def _watched(run: Coroutine[Any, Any, CalibrationRow], on_tick: Callable[[], None]) -> CalibrationRow:
    async def tick() -> None:
        while True:
            on_tick()
            await asyncio.sleep(_TICK_SECONDS)

    ticking = asyncio.create_task(tick())
    try:
        return await run
    finally:
        ticking.cancel()


async def _run(plan: CalibrationPlan, on_step: OnStep) -> CalibrationRow:
    source = engine_source(plan.engine, _DEADLINE_SECONDS)
    api_key = plan.engine.api_key if isinstance(plan.engine, Engine) else None
    try:
        async with LoadClient(
            plan.engine.url,
            model=plan.model,
            api_key=None if api_key is None else api_key.get_secret_value(),
        ) as client:
            run = LoadRun(
                source,
                client,
                model=plan.model,
                limits=plan.limits,
                input_per_output=plan.input_per_output,
                others_run=plan.requests_running > 0,
                on_step=on_step,
            )
            result = await run.run()
    finally:
        source.close()
    return CalibrationRow(
        utc_seconds=clock.utc_seconds(),
        kind=CALIBRATION,
        subject=plan.engine.name,
        result=result,
        settings={**run.settings, "engine_kind": source.kind, "evenwatt_version": __version__},
    )


def _engines(settings: Settings, history: HistoryReader) -> Sequence[Engine | FoundEngine]:
    """Return the engines that the configuration names, else those that the agent has found."""
    if settings.engines is not None:
        return settings.engines
    found: Mapping[str, Any] = history.cursors().get(EngineRoster.CURSOR, {})
    return [FoundEngine(**engine) for engine in found.values()]


def _chosen(engines: Sequence[Engine | FoundEngine], name: str | None) -> Engine | FoundEngine:
    names = ", ".join(engine.name for engine in engines)
    if not engines:
        raise CalibrationRefused(
            "no engine is known; start the agent, which finds them, or name one under engines in the "
            "configuration"
        )
    if name is None and len(engines) == 1:
        return engines[0]
    for engine in engines:
        if engine.name == name:
            return engine
    said = "which engine?" if name is None else f"no engine is called {name}."
    raise CalibrationRefused(f"{said} Name one of: {names}")


def _served_model(reading: EngineReading, wanted: str | None) -> str:
    names = list(dict.fromkeys(counters.model for counters in reading.all_models))
    if wanted is not None:
        return wanted
    if len(names) != 1 or not names[0]:
        listed = ", ".join(names) or "no model that it has counted yet"
        raise CalibrationRefused(f"{reading.engine} serves {listed}; name the one to ask: --model")
    return names[0]


def _usual_mix(history: HistoryReader, engine: str) -> float:
    """Return computed input for each output token over a week; a default where too little was served."""
    begin = int(clock.utc_seconds() // SECONDS_PER_MINUTE) * SECONDS_PER_MINUTE - _MIX_DAYS * SECONDS_PER_DAY
    rows = [usage for (owner, _), usage in history.sums_since(begin).usage.items() if owner == engine]
    read = sum(usage.input_tokens or 0 for usage in rows)
    wrote = sum(usage.output_tokens or 0 for usage in rows)
    if read + wrote < _LEAST_MIX_TOKENS or not wrote:
        return DEFAULT_INPUT_PER_OUTPUT
    return min(max(read / wrote, _LEAST_MIX), _MOST_MIX)
