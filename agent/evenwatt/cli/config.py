"""`evenwatt check-config`: what is wrong with the configuration, and what it leaves open."""

from evenwatt.cli.app import ConfigOption, app
from evenwatt.errors import ConfigError, SourceError

__all__ = ["check_config"]


@app.command("check-config")
def check_config(config: ConfigOption = None) -> None:
    """Check the configuration: every fault with its line; exit code 2 where there is one."""
    from evenwatt.config import assumptions, find_config, load
    from evenwatt.service.quotes import unknown_references

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
