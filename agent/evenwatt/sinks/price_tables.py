"""What `evenwatt prices` prints: its documents as tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from evenwatt.sinks.tables import plain_console, print_table
from evenwatt.sinks.words import UNKNOWN, clean

__all__ = [
    "print_accepted",
    "print_comparison",
    "print_found",
    "print_prices",
    "print_refreshed",
]

_LIST_COLUMNS = ("USD per Mtok", "input", "cached", "output", "write", "batch in", "batch out")
_LIST_WIDTHS = (14, 9, 9, 9, 9, 10, 10)
_LIST_LEGEND = (
    "always: for all time before, too. write: of input that is written to the API's cache. >: for requests "
    "with more input tokens. -: it has no such price; cached input and writes are then billed as input."
)
_ACCEPTED_BY = {
    "configuration": "as written",
    "catalogue": "automatically",
    "person": "by a person",
}
_COMPARE_LEGEND = (
    "no cache: the API's cache hits nothing. with hits: it hits what the mix says is cached, where it does. "
    "*: no price of its own for cached input: billed as input."
)
_FOUND_COLUMNS = ("id", "input", "cached", "output", "more")
_USD = "_usd_per_mtok"
_NO_HISTORY = (
    "There is no history yet, and nothing is accepted: these are the prices of the catalogue and of the "
    "configuration."
)


def print_prices(document: Mapping[str, Any]) -> None:
    """Print every reference with its dated prices, and what waits."""
    console = plain_console()
    for line in _head(document):
        console.print(clean(line), soft_wrap=True)  # a path is not to be broken
    console.print()
    console.print(_aligned(_LIST_COLUMNS), style="bold")
    for reference in document["references"]:
        console.print(clean(reference["reference"]))
        for row in reference["prices"]:
            if row["holds"]:
                _print_price(console, row)
        if reference["offer"] is not None:
            console.print(clean(f"  {_offer_line(reference)}"))
            console.print(
                clean(f"  until then it counts nothing: evenwatt prices accept {reference['reference']}"),
                style="dim",
            )
    console.print()
    _print_faults(console, document["faults"])
    console.print(_LIST_LEGEND, style="dim")


def print_comparison(document: Mapping[str, Any]) -> None:
    """Print each reference's price at a mix, the cheapest first."""
    console = plain_console()
    for line in _head(document):
        console.print(clean(line), soft_wrap=True)  # a path is not to be broken
    mix = document["mix"]
    cached = "" if mix["cached_share"] is None else f", {mix['cached_share']:.1%} cached input"
    console.print(
        clean(
            f"mix {mix['name']}: {mix['input_share']:.1%} computed input{cached}, "
            f"{mix['output_share']:.1%} output"
        )
    )
    if document["cache_write_surcharge"]:
        console.print("with cache hits, computed input is billed at the price of writing it to the cache")
    columns = (f"{document['currency']} per Mtok", "no cache", "with hits", "batch", "batch, hits")
    is_one_bound = mix["cached_share"] is None
    kept = (0, 1, 3) if is_one_bound else (0, 1, 2, 3, 4)
    rows = (_compared_row(row) for row in document["references"])
    print_table(console, tuple(columns[n] for n in kept), (tuple(row[n] for n in kept) for row in rows))
    _print_faults(console, document["faults"])
    console.print(_COMPARE_LEGEND, style="dim")


def print_refreshed(document: Mapping[str, Any]) -> None:
    """Print what a refresh found to be different."""
    console = plain_console()
    console.print(
        clean(f"fetched {document['models']:,} models from {document['url']}, kept in {document['kept']}")
    )
    if document["compared_with"] == "bundled":
        console.print("There is no history yet; compared with the catalogue that came with evenwatt.")
    if not document["offers"]:
        console.print("no price of your references is different")
    for change in document["offers"]:
        console.print(clean(_change_line(change)))
    _print_faults(console, document["faults"])


def print_accepted(changes: Iterable[Mapping[str, Any]]) -> None:
    """Print what was accepted."""
    console = plain_console()
    is_any = False
    for change in changes:
        is_any = True
        console.print(clean(f"accepted: {_change_line(change)}"))
    if not is_any:
        console.print("nothing waits to be accepted")


def print_found(document: Mapping[str, Any]) -> None:
    """Print models that were looked for."""
    console = plain_console()
    if not document["models"]:
        console.print("no model of the catalogue is like that; try a part of its name")
        return
    if document["is_near"]:
        console.print("no model has that in its id or name; the nearest ids are:")
    print_table(console, _FOUND_COLUMNS, map(_found_row, document["models"]), text_columns={"more"})
    left = document["found"] - len(document["models"])
    if left > 0:
        console.print(f"and {left:,} more; another word narrows it down")


def _head(document: Mapping[str, Any]) -> Iterable[str]:
    yield _NO_HISTORY if document["history"] is None else f"accepted in {document['history']}"
    rate = document["usd_rate"]
    if rate is not None and document["currency"] != "USD":
        yield f"1 USD = {rate['rate']:g} {document['currency']}, the rate of {rate['date']} (usd_rate)"


def _print_price(console: Any, row: Mapping[str, Any]) -> None:
    batch = (_rate(row["batch_input_usd_per_mtok"]), _rate(row["batch_output_usd_per_mtok"]))
    console.print(_aligned((f"  {_since(row)}", *_rates(row), *batch)))
    for tier in row["tiers"]:
        console.print(_aligned((f"    > {tier['above_input_tokens']:,}", *_rates(tier))))
    accepted = "not accepted"
    if row["accepted"] is not None:
        accepted = f"accepted {_day(row['accepted'])} {_ACCEPTED_BY[row['accepted_by']]}"
    console.print(clean(f"    {row['source']}, {accepted}"), style="dim")


def _aligned(cells: Iterable[str]) -> str:
    first, *numbers = cells
    widths = _LIST_WIDTHS[1 : len(numbers) + 1]
    rest = (f"{cell:>{width}}" for cell, width in zip(numbers, widths, strict=True))
    return f"{first:<{_LIST_WIDTHS[0]}}{''.join(rest)}"


def _rates(row: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = ("input", "cached_input", "output", "cache_write")
    return tuple(_rate(row[f"{kind}_usd_per_mtok"]) for kind in kinds)


def _compared_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    batch = row["batch"]
    mark = "" if row["has_cached_price"] else " *"
    return (
        f"{row['reference']}{mark}",
        _money(row["no_cache"]),
        _money(row["observed_cache"]),
        "no batch price" if batch is None else _money(batch["no_cache"]),
        "" if batch is None else _money(batch["observed_cache"]),
    )


def _found_row(model: Mapping[str, Any]) -> tuple[str, ...]:
    more = [
        word
        for word, is_so in (
            ("batch", model["has_batch_price"]),
            ("long-context tiers", model["has_tiers"]),
            ("bills input only", model["bills_input_only"]),
        )
        if is_so
    ]
    kinds = ("input", "cached_input", "output")
    return (
        model["reference"],
        *(_rate(model[f"{kind}_usd_per_mtok"]) for kind in kinds),
        ", ".join(more),
    )


def _offer_line(reference: Mapping[str, Any]) -> str:
    offer = reference["offer"]
    change = {
        "reference": reference["reference"],
        "valid_from": offer["valid_from"],
        "before": reference["in_force"],
        "after": offer,
    }
    return f"offered {_day(offer['offered'])}: {_change_line(change)}"


def _change_line(change: Mapping[str, Any]) -> str:
    """Return a change in words: each rate that is another one, old and new."""
    before, after = change["before"], change["after"]
    since = (
        "from when it is accepted" if change["valid_from"] is None else f"from {_day(change['valid_from'])}"
    )
    if before is None:
        return f"{change['reference']}: new, {' / '.join(_rates(after)[:3])} ({after['source']})"
    parts = [
        f"{_kind(name)} {_rate(before[name])} -> {_rate(after[name])}"
        for name in after
        if name.endswith(_USD) and before[name] != after[name]
    ]
    if before["tiers"] != after["tiers"]:
        parts.append("long-context tiers")
    return f"{change['reference']}: {', '.join(parts)} USD per Mtok, {since} ({after['source']})"


def _kind(name: str) -> str:
    return name.removesuffix(_USD).replace("_", " ")


def _print_faults(console: Any, faults: Iterable[str]) -> None:
    for fault in faults:
        console.print(f"not known: {clean(fault)}")


def _since(row: Mapping[str, Any]) -> str:
    return "always" if row["valid_from"] is None else _day(row["valid_from"])


def _day(text: str) -> str:
    return text.partition("T")[0]


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.10g}"


def _money(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.4f}"
