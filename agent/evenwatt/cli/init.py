"""`evenwatt init`: a first configuration."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from evenwatt.cli.app import app
from evenwatt.errors import EvenwattError, OptionError

__all__ = ["init"]

_CODE = re.compile("[A-Z]{3}")


@app.command()
def init(
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write it. Left out: where the agent looks for it."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing; what is not given is left to be assumed.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a file that is there; it is kept as FILE.before."),
    ] = False,
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="ISO 4217 code of all money, such as EUR.")
    ] = None,
    usd_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="What one USD is worth in it.")
    ] = None,
    price_per_kwh: Annotated[
        float | None, typer.Option(metavar="PRICE", help="Electricity, taxes and fees included.")
    ] = None,
    purchase_price: Annotated[
        float | None, typer.Option(metavar="PRICE", help="Of the whole machine, where bought.")
    ] = None,
    rent_per_hour: Annotated[
        float | None, typer.Option(metavar="PRICE", help="Of the whole machine, where rented.")
    ] = None,
) -> None:
    """Look around, ask only for what cannot be known here (prices), and write a commented configuration."""
    from evenwatt.config import parse_settings
    from evenwatt.service.initial import Answers, configuration_text, look_around

    if purchase_price is not None and rent_per_hour is not None:
        raise OptionError("--purchase-price: given together with --rent-per-hour; keep one of them")
    asks = not yes and sys.stdin.isatty()
    if usd_rate is None and not asks and currency not in {None, "USD"} and _CODE.fullmatch(currency or ""):
        raise OptionError(f"--usd-rate: missing; with --currency {currency}, say what one USD is worth in it")
    path = output or _usual_path()
    if path.exists() and not force:
        raise EvenwattError(f"{path} is there already; change it by hand, or replace it with --force")
    there = look_around()
    print(f"GPUs: {', '.join(there.gpus) or there.without_gpus}")
    engines = (
        f"{engine.name} ({engine.body or 'in another network'})"
        if engine.is_elsewhere
        else f"{engine.kind} at {engine.url}"
        for engine in there.engines
    )
    print(f"engines: {', '.join(engines) or 'none answers now'}")
    for hint in there.hints:
        print(f"note: {hint}")
    if asks:
        currency = currency or _currency()
        if usd_rate is None and currency != "USD":
            usd_rate = _number(f"What one USD is worth in {currency}", may_be_empty=False)
        if price_per_kwh is None:
            price_per_kwh = _number(f"Electricity, {currency} per kWh, taxes and fees included")
        if purchase_price is None and rent_per_hour is None:
            purchase_price = _number(f"Price of the whole machine if you bought it, {currency}")
        if purchase_price is None and rent_per_hour is None:
            rent_per_hour = _number(f"Its rent per hour if you rent it, {currency}")
    answers = Answers(
        currency=currency or "USD",
        usd_rate=usd_rate,
        price_per_kwh=price_per_kwh,
        purchase_price=purchase_price,
        rent_per_hour=rent_per_hour,
    )
    text = configuration_text(there, answers)
    parse_settings(text.encode(), "the new configuration")
    _write(path, text)
    named = "" if path == _usual_path() else f" --config {path}"
    print(f"written: {path}\nnext: evenwatt check-config{named}, then evenwatt run{named}")


def _currency() -> str:
    """Ask for a currency until the answer is the code of one."""
    while True:
        answer = str(typer.prompt("Currency of all money (ISO 4217 code)", default="USD")).strip().upper()
        if _CODE.fullmatch(answer):
            return answer
        print(f"got {answer!r}, expected three letters such as EUR")


def _number(question: str, *, may_be_empty: bool = True) -> float | None:
    """Ask for a number; an empty answer leaves it open where it may."""
    empty = " (empty: not known)" if may_be_empty else ""
    while True:
        answer = str(typer.prompt(f"{question}{empty}", default="", show_default=False)).strip()
        if not answer and may_be_empty:
            return None
        try:
            return float(answer)
        except ValueError:
            print(f"got {answer!r}, expected a number such as 0.31{', or nothing' if may_be_empty else ''}")


def _usual_path() -> Path:
    import platformdirs

    from evenwatt.config.places import SYSTEM_CONFIG

    return SYSTEM_CONFIG if os.geteuid() == 0 else platformdirs.user_config_path("evenwatt") / "config.yaml"


def _write(path: Path, text: str) -> None:
    """Write the whole file or none of it, readable by its owner alone: secrets may come to stand in it."""
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.before"))
        new.replace(path)
    except OSError as error:
        raise EvenwattError(f"{path} cannot be written ({error.strerror}); name another --output") from error
