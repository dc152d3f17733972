"""`evenwatt calibrate`: what an engine can sustain, measured by a load run on request."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from evenwatt.cli.app import ConfigOption, app

if TYPE_CHECKING:
    from evenwatt.service.calibration.calibrate import CalibrationPlan

__all__ = ["calibrate"]

_INTERRUPTED = 130


@app.command()
def calibrate(
    engine: Annotated[
        str | None, typer.Argument(metavar="ENGINE", help="Its name; left out where there is but one.")
    ] = None,
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
    seconds: Annotated[
        float, typer.Option(metavar="SECONDS", min=5, max=3_600, help="All of it, at most.")
    ] = 120.0,
    max_concurrency: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=1_024, help="Requests at once, at most.")
    ] = 64,
    max_requests: Annotated[
        int, typer.Option(metavar="NUMBER", min=10, max=1_000_000, help="Requests, at most.")
    ] = 2_000,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which to ask, of an engine that serves several.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also an engine on another machine.")] = False,
    busy: Annotated[bool, typer.Option("--busy", help="Also while requests of others run.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="Show the results so far.")] = False,
) -> None:
    """Measure what an engine can sustain, by giving it work until more requests bring no more tokens.

    It disturbs whoever uses the engine, and costs the power that it draws. Ctrl-C ends it at once.
    """
    from evenwatt.config import load
    from evenwatt.service.calibration.calibrate import calibrations, planned
    from evenwatt.service.calibration.load_run import LoadLimits
    from evenwatt.sinks.calibration import print_calibrations

    settings = load(config)
    if list_all:
        print_calibrations(to_builtins(row) for row in calibrations(settings))
        return
    plan = planned(
        settings,
        engine=engine,
        model=model,
        limits=LoadLimits(seconds=seconds, max_concurrency=max_concurrency, max_requests=max_requests),
        may_be_remote=force,
        may_be_busy=busy,
    )
    _ask(plan, is_told=yes)
    from evenwatt.service.calibration.calibrate import calibrate as run_and_keep
    from evenwatt.sinks.calibration import LoadProgress

    try:
        with LoadProgress(seconds) as progress:
            row = run_and_keep(settings, plan, progress.step, progress.tick)
    except KeyboardInterrupt:
        print("stopped: the run's requests are closed, and nothing is kept", file=sys.stderr)
        raise typer.Exit(_INTERRUPTED) from None
    print_calibrations([to_builtins(row)])
    print("Kept in the history; a running agent takes it up within a minute.")


def _ask(plan: "CalibrationPlan", *, is_told: bool) -> None:
    """Say what will be done, and have it confirmed."""
    print(
        f"A load run against {plan.engine.name} at {plan.engine.url}, model {plan.model}: up to "
        f"{plan.limits.max_concurrency} requests at once for up to {plan.limits.seconds:g} s. Prompts are "
        "random, so that no prompt cache helps. Whoever uses the engine meanwhile waits longer, and its "
        "tokens and energy are in the accounts like any others.",
        file=sys.stderr,
    )
    if plan.requests_running:
        print(f"{plan.requests_running} requests of others run: the result will be low.", file=sys.stderr)
    if is_told:
        return
    if not sys.stdin.isatty():
        print("evenwatt: nobody is there to confirm it; add --yes", file=sys.stderr)
        raise typer.Exit(1)
    typer.confirm("Begin?", abort=True, err=True)
