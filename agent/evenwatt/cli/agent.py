"""`evenwatt run` and `evenwatt demo`: the agent itself."""

import faulthandler
import gc
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evenwatt import __version__
from evenwatt.cli.app import ConfigOption, app
from evenwatt.cli.logs import LogFormat, LogFormatOption, log_to_stderr

if TYPE_CHECKING:
    from evenwatt.service.agent import Agent

__all__ = ["demo", "keep_memory_small", "run", "tell_where_it_hangs"]

_log = logging.getLogger("evenwatt")

_GARBAGE_OBJECTS = 700
"""How many objects come between two looks for garbage: Python's own number, which a start may raise."""


@app.command()
def run(
    config: ConfigOption = None,
    simulation: Annotated[
        bool,
        typer.Option(
            "--simulation/--no-simulation",
            help="With nothing to meter: run on readings marked SIMULATED, or wait for something real.",
        ),
    ] = True,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write every (real) reading to this file, for `demo --replay`."
        ),
    ] = None,
    log_format: LogFormatOption = LogFormat.AUTO,
) -> None:
    """Start the agent: meter the GPUs and engines of this machine."""
    from evenwatt.config import load
    from evenwatt.readings.recording import Recorder
    from evenwatt.service.agent import Ending
    from evenwatt.service.control import Control
    from evenwatt.service.start import real_or_simulated_agent

    log_to_stderr(log_format)
    tell_where_it_hangs()
    keep_memory_small()
    settings = load(config)
    control = Control()
    control.install()
    recorder = None if record is None else Recorder(record)
    with real_or_simulated_agent(
        settings,
        config_path=config,
        may_simulate=simulation and record is None,
        recorder=recorder,
        is_stopping=lambda: control.stopping,
    ) as agent:
        _log.info("evenwatt %s at %s, history in %s", __version__, agent.address, agent.history_path)
        _tell_what_to_type(config)
        ending = agent.run(control, after_tick=_Summary())
    if ending is Ending.STOPPED:
        return
    control.uninstall()
    if not control.stopping:
        _log.info("starting anew: %s", ending.value)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 -- ourselves


@app.command()
def demo(
    config: ConfigOption = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Replay readings recorded by `run --record`.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the history here; left out: gone at the end.")
    ] = None,
    log_format: LogFormatOption = LogFormat.AUTO,
) -> None:
    """Start the agent on simulated or replayed readings, marked SIMULATED wherever they show."""
    from evenwatt.config import load
    from evenwatt.service.control import Control
    from evenwatt.service.start import demo_agent

    log_to_stderr(log_format)
    tell_where_it_hangs()
    keep_memory_small()
    settings = load(config)
    control = Control()
    control.install()
    with demo_agent(settings, config_path=config, replay=replay, history_path=history) as agent:
        _log.warning("SIMULATED: nothing that this agent shows was measured")
        _log.info("evenwatt %s at %s, history in %s", __version__, agent.address, agent.history_path)
        _tell_what_to_type(config)
        agent.run(control, after_tick=_Summary())


class _Summary:
    """Says one line a minute where a person looks on."""

    def __init__(self) -> None:
        self._is_watched = sys.stderr.isatty()
        self._minute: int | None = None

    def __call__(self, agent: "Agent") -> None:
        from evenwatt.clock import utc_seconds

        minute = int(utc_seconds() // 60)
        if self._is_watched and minute != self._minute:
            self._minute = minute
            _log.info("%s", agent.summary())


def _tell_what_to_type(config: Path | None) -> None:
    if sys.stderr.isatty():
        named = "" if config is None else f" --config {config}"
        _log.info("to see it, in another terminal: evenwatt status%s; Ctrl-C ends it", named)


def tell_where_it_hangs() -> None:
    """Let a process that its watchdog ends (SIGABRT) say in its log what each thread was doing."""
    faulthandler.enable()


def keep_memory_small() -> None:
    """Look for garbage as often as a process must that runs for months, but not in what was imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, *gc.get_threshold()[1:])
