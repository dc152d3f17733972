"""`evenwatt check-config`: what is wrong with the configuration, and what it leaves open."""

from typing import TYPE_CHECKING

from evenwatt.cli.app import ConfigOption, app
from evenwatt.errors import ConfigError, SourceContractError, SourceError

if TYPE_CHECKING:
    from evenwatt.config import Settings

__all__ = ["check_config"]


@app.command("check-config")
def check_config(config: ConfigOption = None) -> None:
    """Check the configuration: every fault with its line; exit code 2 where there is one."""
    from evenwatt.config import assumptions, find_config, load

    settings = load(config)
    path = config or find_config()
    faults = [*_unknown_holidays(settings), *_unknown_references(settings)]
    if faults:
        raise ConfigError(tuple(f"{path}: {fault}" for fault in faults))
    print("no configuration file; all defaults" if path is None else f"{path}: right")
    for assumption in assumptions(settings):
        print(f"not written: {assumption.text}\n  to write, with your value: {assumption.line_to_write}")


def _unknown_references(settings: "Settings") -> tuple[str, ...]:
    from evenwatt.service.api_prices.quotes import unknown_references

    try:
        return tuple(f"references: {fault}" for fault in unknown_references(settings))
    except SourceError as error:
        print(f"not checked: references against the price catalogue: {error}")
        return ()


def _unknown_holidays(settings: "Settings") -> tuple[str, ...]:
    from evenwatt.service.electricity.tariffs import site_holidays

    try:
        site_holidays(settings)
    except SourceContractError as error:
        return (str(error),)
    except SourceError as error:
        print(f"not checked: {error}")
    return ()
