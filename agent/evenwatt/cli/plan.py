"""`evenwatt plan`: the calculator, for a machine that is not there yet; needs no agent."""

from typing import Annotated, Any

import typer

from evenwatt.cli.app import ConfigOption, app
from evenwatt.errors import ConfigError

__all__ = ["plan"]


def _text(option: str, metavar: str, text: str) -> Any:
    """Return an option whose value is read by the configuration, which tells all faults at once."""
    return typer.Option(option, metavar=metavar, help=text, show_default=False)


@app.command()
def plan(
    config: ConfigOption = None,
    *,
    preset: Annotated[str | None, _text("--preset", "NAME", "A machine from --list-presets.")] = None,
    list_presets: Annotated[bool, typer.Option("--list-presets", help="Show the machines known.")] = False,
    capacity: Annotated[
        str | None,
        _text(
            "--capacity",
            "TOK/S",
            "Computed input and output that it sustains at the mix; default: of the preset, else 1000.",
        ),
    ] = None,
    purchase_price: Annotated[
        str | None,
        _text(
            "--purchase-price",
            "PRICE",
            "Of the whole machine; all money is in the currency of the file, default USD.",
        ),
    ] = None,
    residual_value: Annotated[
        str | None, _text("--residual-value", "PRICE", "At the end of its life; default 0.")
    ] = None,
    lifetime_years: Annotated[
        str | None, _text("--lifetime-years", "YEARS", "Over which the price is spread; default 3.")
    ] = None,
    maintenance_per_year: Annotated[
        str | None,
        _text("--maintenance-per-year", "SHARE", "Of the price, each year, such as 0.03; default 0."),
    ] = None,
    rent_per_hour: Annotated[
        str | None, _text("--rent-per-hour", "PRICE", "Instead of a price: for every hour, used or not.")
    ] = None,
    fte: Annotated[
        str | None, _text("--fte", "SHARE", "Of a full-time position; with --salary-per-year.")
    ] = None,
    salary_per_year: Annotated[
        str | None, _text("--salary-per-year", "MONEY", "Of one full-time position.")
    ] = None,
    other_per_month: Annotated[
        str | None, _text("--other-per-month", "MONEY", "Colocation and other fixed costs; default 0.")
    ] = None,
    price_per_kwh: Annotated[
        str | None, _text("--price-per-kwh", "PRICE", "Taxes and fees included; default 0.30.")
    ] = None,
    pue: Annotated[
        str | None, _text("--pue", "RATIO", "Watts of the building for each of the machine; default 1.0.")
    ] = None,
    idle_watts: Annotated[
        str | None, _text("--idle-watts", "WATTS", "Drawn with no request running; default: of the preset.")
    ] = None,
    full_watts: Annotated[
        str | None, _text("--full-watts", "WATTS", "Drawn at full load; default: of the preset.")
    ] = None,
    tokens_per_day: Annotated[
        str | None, _text("--tokens-per-day", "TOKENS", "All of them, cached ones too; default: no volume.")
    ] = None,
    tasks_per_day: Annotated[
        str | None, _text("--tasks-per-day", "TASKS", "Instead of tokens: with those of a task.")
    ] = None,
    input_per_task: Annotated[str | None, _text("--input-per-task", "TOKENS", "All input of a task.")] = None,
    cached_per_task: Annotated[
        str | None, _text("--cached-per-task", "TOKENS", "The part of it from the cache.")
    ] = None,
    output_per_task: Annotated[
        str | None, _text("--output-per-task", "TOKENS", "All output of a task.")
    ] = None,
    mix: Annotated[
        str | None, _text("--mix", "IN:OUT", "Input to output, such as 30/70; default 3:1.")
    ] = None,
    input_share: Annotated[
        str | None, _text("--input-share", "SHARE", "Instead of --mix: input of all tokens, 0 to 1.")
    ] = None,
    cached_share: Annotated[
        str | None, _text("--cached-share", "SHARE", "Of the input, what the cache serves; default 0.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        _text(
            "--reference", "API", "provider:model, or NAME=INPUT/OUTPUT[/CACHED] in USD per Mtok; repeatable."
        ),
    ] = None,
    month_hours: Annotated[
        str | None, _text("--month-hours", "730|720", "Hours in a month; default 730.")
    ] = None,
    loads: Annotated[
        str | None, _text("--loads", "L,L,...", "Rows of the table, above 0 and at most 1; default: eleven.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole plan, for programs.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The curve, for a spreadsheet.")] = False,
) -> None:
    """Work out what a machine would cost by its load, and from where on an API is dearer; needs no agent."""
    if list_presets:
        from evenwatt.readings.hardware_presets import machine_presets
        from evenwatt.sinks.plan.presets import print_presets

        print_presets(machine_presets())
        return
    from evenwatt.cli.plan_options import settings_of_options, told_by_option
    from evenwatt.clock import utc_seconds
    from evenwatt.service.plan.planning import plan_view
    from evenwatt.sinks.plan import print_plan, render_csv, render_json

    options = {
        "--preset": preset,
        "--capacity": capacity,
        "--purchase-price": purchase_price,
        "--residual-value": residual_value,
        "--lifetime-years": lifetime_years,
        "--maintenance-per-year": maintenance_per_year,
        "--rent-per-hour": rent_per_hour,
        "--fte": fte,
        "--salary-per-year": salary_per_year,
        "--other-per-month": other_per_month,
        "--price-per-kwh": price_per_kwh,
        "--pue": pue,
        "--idle-watts": idle_watts,
        "--full-watts": full_watts,
        "--tokens-per-day": tokens_per_day,
        "--tasks-per-day": tasks_per_day,
        "--input-per-task": input_per_task,
        "--cached-per-task": cached_per_task,
        "--output-per-task": output_per_task,
        "--mix": mix,
        "--input-share": input_share,
        "--cached-share": cached_share,
        "--month-hours": month_hours,
        "--loads": loads,
    }
    written = {option: value for option, value in options.items() if value is not None}
    if as_json and as_csv:
        raise ConfigError(("--csv: given together with --json; keep one of them",))
    settings = settings_of_options(config, written, reference or ())
    try:
        view = plan_view(settings, at_utc_seconds=utc_seconds())
    except ConfigError as error:
        raise told_by_option(error, config, written, reference or ()) from None
    if as_json:
        print(render_json(view))
    elif as_csv:
        print(render_csv(view), end="")
    else:
        print_plan(view)
