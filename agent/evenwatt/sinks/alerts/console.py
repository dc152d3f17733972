"""The alerts of a running agent in a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from evenwatt.sinks.alerts.words import WORDS, Said
from evenwatt.sinks.tables import plain_console, print_table
from evenwatt.sinks.words import clean, duration
from evenwatt.snapshot.alerts.values import AlertState

__all__ = ["print_alerts"]

_ORDER = tuple(AlertState)
_NOTIFIER_COLUMNS = ("told to", "by", "state", "waiting", "fault")
_STYLES = {AlertState.FIRING: "bold"}


def print_alerts(document: Mapping[str, Any], *, shows_all: bool) -> None:
    """Print how each alert stands, and whom they are told to.

    Args:
        document: Of the agent's status.
        shows_all: Whether also those that are well, or cannot be judged.
    """
    console = plain_console()
    if document["simulated"]:
        console.print("SIMULATED: nothing below was measured.", style="bold reverse")
    alerts = sorted(document["alerts"], key=lambda alert: _ORDER.index(AlertState(alert["state"])))
    active = [alert for alert in alerts if alert["state"] in {AlertState.FIRING, AlertState.PENDING}]
    others = [alert for alert in alerts if alert not in active]
    for alert in active:
        for number, line in enumerate(_lines(alert, document)):
            style = _STYLES.get(AlertState(alert["state"])) if not number else None
            console.print(clean(line), style=style, soft_wrap=True)
    if not active:
        console.print("No alert fires or is pending.")
    console.print()
    if shows_all:
        columns = ("alert", "severity", "state", "why it is not judged")
        rows = [(a["alert"], a["severity"], a["state"], clean(a["reason"] or "")) for a in others]
        print_table(console, columns, rows, text_columns=frozenset(columns))
    elif others:
        console.print(f"{_counted(others)}; --all lists them.")
    notifiers = list(_notifier_rows(document))
    if notifiers:
        print_table(console, _NOTIFIER_COLUMNS, notifiers, text_columns=frozenset({"by", "state", "fault"}))
    else:
        console.print("Nobody is told: alerts.notify in the configuration says whom (docs/alerts.md).")


def _lines(alert: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    words = WORDS[alert["alert"]]
    said = Said(labels=alert["labels"], figures=alert["figures"], currency=document["currency"])
    yield f"{alert['state'].upper()} ({alert['severity']}): {words.headline(said)}"
    if words.numbers is not None:
        yield f"    {words.numbers(said)}"
    age = duration(document["utc_seconds"] - alert["since_utc_seconds"])
    yield f"    For {age}. {words.cost_sentence(alert['cost_per_day'], document['currency'])}"
    yield f"    To do: {words.to_do}"


def _counted(others: list[Any]) -> str:
    well = sum(alert["state"] == AlertState.OK for alert in others)
    parts = [f"{well} are well"] if well else []
    if len(others) > well:
        parts.append(f"{len(others) - well} cannot be judged yet")
    return "Of the other alerts " + ", ".join(parts)


def _notifier_rows(document: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    states = {None: "not tried yet", True: "well", False: "down"}
    for notifier in document["notifiers"]:
        yield (
            notifier["notifier"],
            notifier["kind"],
            states[notifier["up"]],
            str(notifier["waiting"]),
            clean(notifier["error"] or ""),
        )
