"""`evenwatt gpu`: let the running agent let go of the GPUs."""

import typer

from evenwatt.cli.app import ConfigOption, app

__all__ = ["gpu_release", "gpu_resume"]

gpu_app = typer.Typer(
    help="Let the running agent let go of the GPUs, and take them up again.", no_args_is_help=True
)
app.add_typer(gpu_app, name="gpu")


@gpu_app.command("release")
def gpu_release(config: ConfigOption = None) -> None:
    """Let go of the GPUs, so that a reset, a driver reload or a MIG change can go on; nothing is lost."""
    from evenwatt.config import load
    from evenwatt.service.client import ask_for_gpus

    pid = ask_for_gpus(load(config), released=True)
    print(f"The agent (PID {pid}) has let go of the GPUs. Take them up again with: evenwatt gpu resume")


@gpu_app.command("resume")
def gpu_resume(config: ConfigOption = None) -> None:
    """Take the GPUs up again after a release."""
    from evenwatt.config import load
    from evenwatt.service.client import ask_for_gpus

    pid = ask_for_gpus(load(config), released=False)
    print(f"The agent (PID {pid}) meters the GPUs again.")
