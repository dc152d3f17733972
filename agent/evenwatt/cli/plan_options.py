"""What the options of `evenwatt plan` say, as keys of the configuration; its faults, by option or file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evenwatt import clock
from evenwatt.config import Override, Settings, find_config, load
from evenwatt.config.electricity import Electricity
from evenwatt.config.section import keys_of
from evenwatt.errors import ConfigError, SourceContractError
from evenwatt.readings.api_prices import cached_rates
from evenwatt.readings.hardware_presets import machine_preset

__all__ = ["settings_of_options", "told_by_option"]

_NUMBER = r"([0-9]*\.?[0-9]+)"
_MIX = re.compile(rf"{_NUMBER}[:/]{_NUMBER}")

_KEYS: Mapping[str, tuple[str, ...]] = {
    "--preset": ("plan", "preset"),
    "--capacity": ("plan", "capacity_tokens_per_second"),
    "--purchase-price": ("hardware", "purchase_price"),
    "--residual-value": ("hardware", "residual_value"),
    "--lifetime-years": ("hardware", "lifetime_years"),
    "--maintenance-per-year": ("hardware", "maintenance_per_year"),
    "--rent-per-hour": ("hardware", "rent_per_hour"),
    "--fte": ("labour", "fte"),
    "--salary-per-year": ("labour", "salary_per_year"),
    "--price-per-kwh": ("electricity", "price_per_kwh"),
    "--pue": ("electricity", "pue"),
    "--idle-watts": ("plan", "idle_watts"),
    "--full-watts": ("plan", "full_watts"),
    "--tokens-per-day": ("plan", "tokens_per_day"),
    "--tasks-per-day": ("plan", "tasks_per_day"),
    "--input-per-task": ("plan", "tokens_per_task", "input"),
    "--cached-per-task": ("plan", "tokens_per_task", "cached"),
    "--output-per-task": ("plan", "tokens_per_task", "output"),
    "--input-share": ("plan", "input_share"),
    "--cached-share": ("plan", "cached_share"),
    "--month-hours": ("plan", "month_hours"),
}
"""The key that each option writes as it is."""

_LABOUR_HOURS = (("labour", "hours_per_month"), ("labour", "rate_per_hour"))
_SHARES = (("plan", "input_share"), ("plan", "cached_share"))
_TASK = (("plan", "tokens_per_task"),)

_INSTEAD_OF: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "--preset": (
        ("hardware",),
        ("plan", "capacity_tokens_per_second"),
        ("plan", "idle_watts"),
        ("plan", "full_watts"),
    ),
    "--purchase-price": (
        ("hardware", "mode"),
        ("hardware", "parts"),
        ("hardware", "rent_per_hour"),
        ("hardware", "rent_per_month"),
    ),
    "--rent-per-hour": (("hardware",),),
    "--fte": _LABOUR_HOURS,
    "--salary-per-year": _LABOUR_HOURS,
    "--price-per-kwh": tuple(("electricity", key) for key in keys_of(Electricity) if key != "pue"),
    "--tokens-per-day": (("plan", "tasks_per_day"),),
    "--tasks-per-day": (("plan", "tokens_per_day"),),
    "--input-per-task": _SHARES,
    "--cached-per-task": _SHARES,
    "--output-per-task": _SHARES,
    "--mix": _TASK,
    "--input-share": _TASK,
    "--cached-share": _TASK,
}
"""What of the file an option takes the place of."""

_EXCLUSIVE = (
    ("--rent-per-hour", "--purchase-price"),
    ("--tasks-per-day", "--tokens-per-day"),
    ("--mix", "--input-share"),
)
"""Options that say the same in two ways; where both are given, the first is told and left out."""

_OPTION_OF_KEY = {"plan.preset": "--preset", "references": "--reference"}


def settings_of_options(
    config: Path | None, options: Mapping[str, str], references: Sequence[str]
) -> Settings:
    """Return the settings of the file with those of the options in their place.

    Args:
        config: The file; None: the usual places.
        options: As typed, by option.
        references: What `--reference` said, each time.

    Raises:
        ConfigError: Something in the file or the options is wrong; all of it is told.
    """
    faults: list[str] = []
    overrides = [
        Override(option=option, path=path) for option in options for path in _INSTEAD_OF.get(option, ())
    ]
    overrides += _overrides(options, faults)
    if references:
        values = [_reference(text) for text in references]
        overrides.append(Override(option="--reference", path=("references",), value=values))
    try:
        settings = load(config, overrides)
    except ConfigError as error:
        raise ConfigError((*faults, *error.faults, *_unknown_names(options, references))) from None
    if faults:
        raise ConfigError(tuple(faults))
    return settings


def told_by_option(
    error: ConfigError, config: Path | None, options: Mapping[str, str], references: Sequence[str]
) -> ConfigError:
    """Return faults that begin with their key, with the option in its place that said it, or the file."""
    given = {"plan.preset": "--preset" in options, "references": bool(references)}
    file = config or find_config()

    def told(fault: str) -> str:
        key, _, text = fault.partition(": ")
        if given.get(key):
            return f"{_OPTION_OF_KEY[key]}: {text}"
        return fault if file is None else f"{file}: {fault}"

    return ConfigError(tuple(told(fault) for fault in error.faults))


def _overrides(options: Mapping[str, str], faults: list[str]) -> Iterator[Override]:
    twice = {one: other for one, other in _EXCLUSIVE if one in options and other in options}
    faults.extend(f"{one}: given together with {other}; keep one of them" for one, other in twice.items())
    options = {option: value for option, value in options.items() if option not in twice}
    for option, value in options.items():
        if option in _KEYS:
            yield Override(option=option, path=_KEYS[option], value=value)
    if "--rent-per-hour" in options:
        yield Override(option="--rent-per-hour", path=("hardware", "mode"), value="rented_always_on")
    if "--other-per-month" in options:
        cost = {"name": "other", "per_month": options["--other-per-month"]}
        yield Override(option="--other-per-month", path=("other",), value=[cost])
    if "--loads" in options:
        loads = [load.strip() for load in options["--loads"].split(",")]
        yield Override(option="--loads", path=("plan", "loads"), value=loads)
    if "--mix" in options:
        share = _input_share(options["--mix"])
        if share is None:
            faults.append(f"--mix: got {options['--mix']}, expected INPUT:OUTPUT, such as 3:1 or 30/70")
        else:
            yield Override(option="--mix", path=("plan", "input_share"), value=share)


def _unknown_names(options: Mapping[str, str], references: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with names that nobody looks up where something else is wrong too."""
    if "--preset" in options:
        try:
            machine_preset(options["--preset"])
        except SourceContractError as fault:
            yield f"--preset: {fault}"
    named = [name for name in references if ":" in name and "=" not in name]
    at = datetime.fromtimestamp(clock.utc_seconds(), tz=UTC)
    for unknown in cached_rates(named, at=at).faults:
        yield f"--reference: {unknown}"


def _input_share(mix: str) -> str | None:
    parts = _MIX.fullmatch(mix.strip())
    if parts is None or not float(parts[1]) + float(parts[2]):
        return None
    return repr(float(parts[1]) / (float(parts[1]) + float(parts[2])))


def _reference(text: str) -> str | dict[str, str]:
    """Return a reference as the file would hold it; what is neither form is for the file's own words."""
    name, is_priced, prices = text.partition("=")
    if not is_priced:
        return text
    parts = prices.split("/")
    keys = ("input", "output", "cached_input")
    values = parts * 2 if len(parts) == 1 else parts
    return {"name": name, **dict(zip(keys, values, strict=False))}
