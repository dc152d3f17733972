"""`evenwatt meter`: what tells the power of the machine, and how the GPU sensors compare with it."""

from typing import Annotated

import typer

from evenwatt.cli.app import ConfigOption, app

__all__ = ["meter_calibrate", "meter_read"]

meter_app = typer.Typer(
    help="Show what tells the machine's power, and compare GPU sensors with it.", no_args_is_help=True
)
app.add_typer(meter_app, name="meter")


@meter_app.command("read")
def meter_read(config: ConfigOption = None) -> None:
    """Show once what each possible source of host power says, and why others do not work."""
    from evenwatt.config import load
    from evenwatt.service.host.meters import read_meters

    settings = load(config)
    works = False
    for line in read_meters(settings):
        works = works or line.fault is None
        says = "does not move" if line.watts is None else f"{line.watts:,.1f} W"
        print(f"{line.source:<11} {line.covers:<6} {line.meter}")
        print(f"            {says if line.fault is None else line.fault}")
    print(f"host_power.source is {settings.host_power.source}")
    if not works:
        print(
            "None works: energy is that of the GPUs alone. A smart plug, or a figure of your own, is written"
        )
        print("under host_power: docs/how-to.md, docs/configuration-keys.md")


@meter_app.command("calibrate")
def meter_calibrate(
    config: ConfigOption = None,
    last_hours: Annotated[
        float,
        typer.Option(
            "--last-hours", metavar="HOURS", min=0.2, max=720, help="How much of the history to compare."
        ),
    ] = 24.0,
) -> None:
    """Compare the GPU sensors with a wall meter over the agent's last hours, and keep the factor.

    The agent has to run with the meter (host_power), the GPUs idle for some minutes and at work for others.
    """
    from evenwatt.config import load
    from evenwatt.service.host.meters import calibrate_gpu_sensors
    from evenwatt.units import SECONDS_PER_HOUR

    settings = load(config)
    found = calibrate_gpu_sensors(settings, last_seconds=last_hours * SECONDS_PER_HOUR)
    fit = found.fit
    print(f"{found.source} meter, {fit.points} whole minutes, GPU power over {fit.spread_watts:,.0f} W:")
    quality = f"±{fit.standard_error:.3f}, r² {fit.r_squared:.3f}"
    print(f"  wall = {fit.base_watts:,.1f} W + {fit.factor:.3f} x GPU   ({quality})")
    print("Kept in the history. While the meter stays it needs no factor: the GPUs are in what it says.")
    print("To count on without it:")
    print(f"  host_power: {{source: fixed, watts: {max(fit.base_watts, 0.0):.0f}, apply_calibration: true}}")
