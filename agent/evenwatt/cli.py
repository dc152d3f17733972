"""The commands for people: arguments, exit codes, and errors in their words.

What a command needs is imported when it runs: `check-config` must not wait for a web server.
"""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evenwatt import __version__
from evenwatt.errors import ConfigError, EvenwattError, SourceError

if TYPE_CHECKING:
    from evenwatt.service.agent import Agent

__all__ = ["main"]

EXIT_FAILED = 1
EXIT_CONFIG = 2

_log = logging.getLogger("evenwatt")

app = typer.Typer(
    name="evenwatt",
    help="Measures what a million tokens really costs on your own inference server.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
gpu_app = typer.Typer(
    help="Let the running agent let go of the GPUs, and take them up again.", no_args_is_help=True
)
app.add_typer(gpu_app, name="gpu")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration. Left out: /etc/evenwatt/config.yaml, else the user's, else none is needed.",
    ),
]


def main() -> None:
    """Run a command; a fault that the user can mend is told in one sentence, without a traceback."""
    try:
        app()
    except ConfigError as error:
        _say("\n".join(error.faults))
        sys.exit(EXIT_CONFIG)
    except EvenwattError as error:
        _say(f"evenwatt: {error}")
        sys.exit(EXIT_FAILED)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"evenwatt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Measure what a million tokens really costs on your own inference server."""


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
) -> None:
    """Start the agent: meter the GPUs and engines of this machine."""
    from evenwatt.config import load  # noqa: PLC0415 -- see the module
    from evenwatt.readings.recording import Recorder  # noqa: PLC0415
    from evenwatt.service.agent import Ending  # noqa: PLC0415
    from evenwatt.service.control import Control  # noqa: PLC0415
    from evenwatt.service.start import real_or_simulated_agent  # noqa: PLC0415

    _log_to_stderr()
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
) -> None:
    """Start the agent on simulated or replayed readings, marked SIMULATED wherever they show."""
    from evenwatt.config import load  # noqa: PLC0415 -- see the module
    from evenwatt.service.control import Control  # noqa: PLC0415
    from evenwatt.service.start import demo_agent  # noqa: PLC0415

    _log_to_stderr()
    settings = load(config)
    control = Control()
    control.install()
    with demo_agent(settings, config_path=config, replay=replay, history_path=history) as agent:
        _log.warning("SIMULATED: nothing that this agent shows was measured")
        _log.info("evenwatt %s at %s, history in %s", __version__, agent.address, agent.history_path)
        agent.run(control, after_tick=_Summary())


@app.command("check-config")
def check_config(config: ConfigOption = None) -> None:
    """Check the configuration: every fault with its line; exit code 2 where there is one."""
    from evenwatt.config import assumptions, find_config, load  # noqa: PLC0415 -- see the module
    from evenwatt.service.pricing import unknown_references  # noqa: PLC0415

    settings = load(config)
    path = config or find_config()
    try:
        unknown = unknown_references(settings)
    except SourceError as error:
        print(f"not checked: references against the price catalogue: {error}")
    else:
        if unknown:
            raise ConfigError(tuple(f"{path}: references: {fault}" for fault in unknown))
    print("no configuration file; all defaults" if path is None else f"{path}: right")
    for assumption in assumptions(settings):
        print(f"not written: {assumption.text}\n  to write, with your value: {assumption.line_to_write}")


@app.command()
def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole document, for programs.")] = False,
) -> None:
    """Show what the running agent sees: sources, power, tokens, cost."""
    from evenwatt.config import load  # noqa: PLC0415 -- see the module
    from evenwatt.service.client import running_status  # noqa: PLC0415
    from evenwatt.sinks.console import print_status  # noqa: PLC0415

    document = running_status(load(config).server.listen)
    if as_json:
        import json  # noqa: PLC0415

        print(json.dumps(document, indent=2))
    else:
        print_status(document)


@gpu_app.command("release")
def gpu_release(config: ConfigOption = None) -> None:
    """Let go of the GPUs, so that a reset, a driver reload or a MIG change can go on; nothing is lost."""
    from evenwatt.config import load  # noqa: PLC0415 -- see the module
    from evenwatt.service.client import ask_for_gpus  # noqa: PLC0415

    pid = ask_for_gpus(load(config), released=True)
    print(f"The agent (PID {pid}) has let go of the GPUs. Take them up again with: evenwatt gpu resume")


@gpu_app.command("resume")
def gpu_resume(config: ConfigOption = None) -> None:
    """Take the GPUs up again after a release."""
    from evenwatt.config import load  # noqa: PLC0415 -- see the module
    from evenwatt.service.client import ask_for_gpus  # noqa: PLC0415

    pid = ask_for_gpus(load(config), released=False)
    print(f"The agent (PID {pid}) meters the GPUs again.")


class _Summary:
    """Says one line a minute where a person looks on."""

    def __init__(self) -> None:
        self._is_watched = sys.stderr.isatty()
        self._minute: int | None = None

    def __call__(self, agent: "Agent") -> None:
        from evenwatt.clock import utc_seconds  # noqa: PLC0415 -- see the module

        minute = int(utc_seconds() // 60)
        if self._is_watched and minute != self._minute:
            self._minute = minute
            _log.info("%s", agent.summary())


def _log_to_stderr() -> None:
    """Log in plain lines; the journal adds the time by itself."""
    in_journal = "JOURNAL_STREAM" in os.environ
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(levelname)s %(message)s" if in_journal else "%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
