"""`evenwatt prices`: API prices as accepted, compared, refreshed; nothing counts before it is accepted."""

import json
import sys
from typing import Annotated, Any

import typer

from evenwatt.cli.app import ConfigOption, app

__all__ = ["prices", "prices_accept", "prices_compare", "prices_list", "prices_refresh", "prices_search"]

JsonOption = Annotated[bool, typer.Option("--json", help="The whole document, for programs.")]

prices_app = typer.Typer(help="Show, compare and refresh the prices of API models.", rich_markup_mode=None)
app.add_typer(prices_app, name="prices")


@prices_app.callback(invoke_without_command=True)
def prices(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show, compare and refresh the prices of API models; alone: list them."""
    if context.invoked_subcommand is None:
        prices_list(config=config, as_json=as_json)
    elif config is not None or as_json:
        word = context.invoked_subcommand
        raise typer.BadParameter(f"write options after the command: evenwatt prices {word} ...")


@prices_app.command("list")
def prices_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show each reference with its dated prices, who accepted them, and what waits to be accepted."""
    from evenwatt.config import load
    from evenwatt.service.api_prices.commands import known_prices, price_list
    from evenwatt.sinks.price_tables import print_prices

    settings = load(config)
    document = price_list(settings, known_prices(settings))
    _print_json(document) if as_json else print_prices(document)


@prices_app.command("compare")
def prices_compare(
    config: ConfigOption = None,
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="MIX",
            help="3:1, 1:1, 30/70, or parts as input:output or input,cached,output. Left out: as measured "
            "in the last 7 days, else 3:1.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what a million tokens cost at each reference: without a cache, with its hits, in batch."""
    from evenwatt.config import load
    from evenwatt.service.api_prices.commands import known_prices, mix_of, price_comparison
    from evenwatt.sinks.price_tables import print_comparison

    settings = load(config)
    try:
        if mix is not None:
            mix_of(mix)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--mix") from error
    document = price_comparison(settings, known_prices(settings), mix)
    _print_json(document) if as_json else print_comparison(document)


@prices_app.command("search")
def prices_search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORD", help="Parts of the id or the name: haiku, qwen3 32b.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the id of a model in the catalogue, as `references` takes it."""
    from evenwatt.config import load
    from evenwatt.service.api_prices.actions import found_models
    from evenwatt.sinks.price_tables import print_found

    document = found_models(load(config), words)
    _print_json(document) if as_json else print_found(document)


@prices_app.command("refresh")
def prices_refresh(
    config: ConfigOption = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Left out: where the makers of genai-prices publish it.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept what is different without asking.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch the catalogue over the network and show what is different; it counts once it is accepted."""
    from evenwatt.config import load
    from evenwatt.readings.api_refresh import default_url
    from evenwatt.service.api_prices.actions import accept_offers, refresh
    from evenwatt.sinks.price_tables import print_accepted, print_refreshed

    settings = load(config)
    document = refresh(settings, default_url() if url is None else url)
    changed = [change["reference"] for change in document["offers"]]
    can_accept = bool(changed) and document["compared_with"] == "history"
    if not as_json:
        print_refreshed(document)
        if can_accept and not accept and sys.stdin.isatty():
            accept = typer.confirm("Accept?")
    accepted = accept_offers(settings, changed) if can_accept and accept else []
    if as_json:
        _print_json({**document, "accepted": accepted})
    elif accepted:
        print_accepted(accepted)
    elif can_accept:
        print("They count once they are accepted: evenwatt prices accept")


@prices_app.command("accept")
def prices_accept(
    references: Annotated[
        list[str] | None, typer.Argument(metavar="REFERENCE", help="Left out: all that waits.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let offered prices count; a running agent takes them with its next tick."""
    from evenwatt.config import load
    from evenwatt.service.api_prices.actions import accept_offers
    from evenwatt.sinks.price_tables import print_accepted

    changes = accept_offers(load(config), references or [])
    _print_json({"accepted": changes}) if as_json else print_accepted(changes)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2))
