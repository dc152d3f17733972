"""The agent in a terminal: the tables of `evenwatt status`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from evenwatt.economics.capacity import CapacitySource
from evenwatt.economics.effective import Basis, TokenBase
from evenwatt.economics.sums import known_sum
from evenwatt.sinks.tables import plain_console, print_table
from evenwatt.sinks.words import UNKNOWN, WHOLE_RATIO, clean, duration, number, percent
from evenwatt.snapshot import ALL
from evenwatt.units import JOULES_PER_KWH

__all__ = ["print_status"]

_NEVER = "never"
_LEGEND = (
    "per Mtok: own full cost and, indented, the API's price at the same mix. energy: its part in that. "
    "API/own: the API's bill over own cost; below 1 the API was cheaper. even at: the load from which "
    "own tokens are cheaper; needs a capacity. ≤: at most that, as the engine may do more than was seen. "
    "input, output: the full cost shared by the time of requests in prefill and decode, an allocation. "
    "-: not known"
)
_ENGINE_COLUMNS = ("engine", "running", "waiting", "tokens/s", "prefill/s", "decode/s", "capacity from")
_GPU_COLUMNS = ("gpu", "power", "util", "GiB", "°C", "kWh", "by", "costs go to")
_HOST_COLUMNS = ("beside the GPUs", "power", "kWh", "covers", "meter and why")
_TOTAL_COLUMNS = ("since the beginning", "input", "cached", "output", "kWh", "cost", "idle")
_WINDOW_COLUMNS = ("engine and model", "per Mtok", "energy", "input", "output", "load", "API/own", "even at")
_OUTLOOK_LEGEND = (
    "Mtok/month: the break-even load as a volume. payback: until the API bills avoided, at the pace of the "
    "window, have paid for the machine. if paid for: the break-even load without the hardware, keep or switch"
)
_OUTLOOK_COLUMNS = ("own is cheaper than", "Mtok/month", "payback", "if paid for")
_SPARE_COLUMNS = frozenset({"input", "output", "prefill/s", "decode/s", "by"})
"""What a narrow terminal goes without: `--json` has all of it."""
_TEXT_COLUMNS = frozenset(
    {"kind", "state", "address or fault", "by", "costs go to", "covers", "meter and why", "capacity from"}
)
_SOURCES = {
    CapacitySource.CONFIGURED: "the configuration",
    CapacitySource.CALIBRATED: "evenwatt calibrate",
    CapacitySource.LEARNED: "minutes with requests waiting",
    CapacitySource.PEAK_SEEN: "the busiest minute; it may do more",
    CapacitySource.SIMULATED: "simulated",
}
_GIB = 2**30
_MIB = 2**20


def print_status(document: Mapping[str, Any]) -> None:
    """Print the status document of a running agent as tables.

    Every string in it may come from an engine: nothing in it is taken for markup or for control characters.
    """
    console = plain_console()
    if document["simulated"]:
        console.print("SIMULATED: nothing below was measured.", style="bold reverse")
    for line in _head(document):
        console.print(clean(line))
    console.print()
    _print_table(console, ("source", "kind", "state", "read", "address or fault"), _source_rows(document))
    _print_table(console, _GPU_COLUMNS, _gpu_rows(document), spare_columns=_SPARE_COLUMNS)
    _print_table(console, _HOST_COLUMNS, _host_rows(document))
    _print_table(console, _ENGINE_COLUMNS, _engine_rows(document), spare_columns=_SPARE_COLUMNS)
    for words in _step_words(document):
        console.print(clean(words))
    _print_table(console, _TOTAL_COLUMNS, _total_rows(document))
    has_outlook = False
    for title, window in _different_windows(document["windows"]):
        console.print(title)
        _print_table(console, _WINDOW_COLUMNS, _window_rows(window), spare_columns=_SPARE_COLUMNS)
        outlook = list(_outlook_rows(window))
        has_outlook = has_outlook or bool(outlook)
        _print_table(console, _OUTLOOK_COLUMNS, outlook)
    if document["windows"]:
        console.print(_LEGEND, style="dim")
    if has_outlook:
        console.print(_OUTLOOK_LEGEND, style="dim")
    for note in document["notes"]:
        console.print(f"note: {clean(note['text'])}")
    for pending in document.get("pending_prices", ()):
        console.print(clean(_pending_words(pending)))
    for assumption in document["assumptions"]:
        console.print(f"not written: {clean(assumption['text'])}")
        console.print(f"    to write, with your value: {clean(assumption['line_to_write'])}", style="dim")


def _different_windows(windows: list[dict[str, Any]]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield windows that have rows with their titles; those that say the same, of a young history, as one."""
    groups: list[list[dict[str, Any]]] = []
    for window in (window for window in windows if window["rows"]):
        if groups and groups[-1][0]["rows"] == window["rows"]:
            groups[-1].append(window)
        else:
            groups.append([window])
    for group in groups:
        names = ", ".join(window["window"] for window in group)
        watched = group[0]["coverage_ratio"]
        if watched >= WHOLE_RATIO:
            yield f"last {names}", group[0]
        else:
            yield f"last {names}: {duration(watched * group[0]['seconds'])} of it watched", group[0]


def _print_table(
    console: Any, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], **more: Any
) -> None:
    print_table(console, columns, rows, text_columns=_TEXT_COLUMNS, **more)


def _pending_words(pending: Mapping[str, Any]) -> str:
    return (
        f"price offered, not accepted: {pending['reference']}: {pending['offered']} ({pending['source']}); "
        f"{pending['accepted']} counts until: evenwatt prices accept {pending['reference']}"
    )


def _head(document: Mapping[str, Any]) -> Iterable[str]:
    currency = document["currency"]
    at = datetime.fromtimestamp(document["utc_seconds"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"evenwatt {document['version']}, as of {at}; money in {currency}"
    hour = document["cost_per_hour"]
    parts = [f"{name} {number(hour[name], 4)}" for name in ("hardware", "energy")]
    parts += [f"{name} {number(hour[name], 4) if hour[name] else 'none'}" for name in ("labour", "other")]
    yield f"accruing an hour: {number(hour['full'], 4)} ({', '.join(parts)})"
    yield _electricity_words(document)
    history = document["history"]
    kept = f"NOT written ({history['pending_ticks']} ticks kept): {history['error']}"
    state = "written" if history["up"] else kept
    yield f"history: {history['path']}, {state}{_size_words(history)}"
    if not document["gpus"] and not document["gpus_released"]:
        is_known = document["host"]["source"] is not None
        lacking = "" if is_known else ": without their energy there is no full cost"
        yield f"no GPU is metered{lacking}; the log says why"
    if document["gpus_released"]:
        yield "the GPUs are released; take them up again with: evenwatt gpu resume"
    if not document["config_reload_ok"]:
        yield "the configuration on disk is wrong, the one before is in force: see evenwatt check-config"


def _size_words(history: Mapping[str, Any]) -> str:
    now, year = history.get("file_bytes"), history.get("year_bytes")
    if now is None:
        return ""
    in_a_year = "" if year is None else f", about {year / _MIB:.0f} MiB in a year at the pace of the last day"
    return f"; {now / _MIB:.1f} MiB{in_a_year}"


def _electricity_words(document: Mapping[str, Any]) -> str:
    electricity = document["electricity"]
    parts = [f"electricity: {number(document['electricity_price_per_kwh'], 4)} {document['currency']}/kWh"]
    if electricity["band"] is not None:
        parts.append(f"band {electricity['band']}")
    if electricity["fees_per_kwh"]:
        parts.append(f"of it {number(electricity['fees_per_kwh'], 4)} fees")
    if electricity["is_stale"]:
        parts.append("STALE: the feed's last known price")
    return ", ".join(parts)


def _source_rows(document: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for source in document["sources"]:
        last = source["last_success_utc_seconds"]
        age = UNKNOWN if last is None else f"{max(document['utc_seconds'] - last, 0):.0f} s ago"
        state = "up" if source["up"] else "DOWN"
        yield source["source"], source["kind"], state, age, source["error"] or source["address"]


def _gpu_rows(document: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for gpu in document["gpus"]:
        if gpu["fault"] is not None:
            yield f"{gpu['index']}  {gpu['fault']}", *(UNKNOWN,) * (len(_GPU_COLUMNS) - 1)
            continue
        energy = gpu["energy_joules"]
        yield (
            f"{gpu['index']}  {gpu['name']}",
            number(gpu["power_watts"], 0, " W"),
            percent(gpu["utilization_ratio"]),
            f"{_gibibytes(gpu['memory_used_bytes'])}/{_gibibytes(gpu['memory_bytes'])}",
            number(gpu["temperature_celsius"], 0),
            number(None if energy is None else energy / JOULES_PER_KWH, 3),
            gpu["energy_source"],
            ", ".join(gpu["engines"]),
        )


def _host_rows(document: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    host, energy = document["host"], document["host"]["energy_joules"]
    if host["source"] is None:
        yield "none", UNKNOWN, UNKNOWN, "", host["reason"]
    for source in dict.fromkeys([*([host["source"]] if host["source"] else []), *energy]):
        is_read = source == host["source"]
        joules = energy.get(source)
        why = f": {host['reason']}" if host["reason"] else ""
        yield (
            source,
            number(host["host_watts"] if is_read else None, 0, " W"),
            number(None if joules is None else joules / JOULES_PER_KWH, 3),
            host["covers"] or "" if is_read else "",
            f"{host['meter']}{why}" if is_read else "earlier",
        )
    calibration = host["calibration"]
    if calibration is not None:
        day = datetime.fromtimestamp(calibration["utc_seconds"], UTC).strftime("%Y-%m-%d")
        applied = "counted" if calibration["is_applied"] else "not counted"
        text = f"of {day}, ±{calibration['standard_error']:.3f}, r² {calibration['r_squared']:.3f}; {applied}"
        yield f"GPU sensors x {calibration['factor']:.3f}", "", "", "", text


def _step_words(document: Mapping[str, Any]) -> Iterable[str]:
    for engine in document["engines"]:
        step_tokens = engine["step_tokens"]
        if step_tokens is not None and step_tokens > 1:
            yield (
                f"{engine['engine']} tells its tokens in steps of {step_tokens:,}: "
                "what lies between two steps comes with a later reading"
            )


def _engine_rows(document: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for engine in document["engines"]:
        capacity = engine["capacity"] or {}
        yield (
            engine["engine"],
            number(engine["requests_running"], 0),
            number(engine["requests_waiting"], 0),
            _bound(capacity, "≥", number(capacity.get("tokens_per_second"), 0)),
            _bound(capacity, "≥", number(capacity.get("prefill_tokens_per_second"), 0)),
            _bound(capacity, "≥", number(capacity.get("decode_tokens_per_second"), 0)),
            _SOURCES.get(capacity.get("source", ""), "not known: never busy yet"),
        )


def _bound(capacity: Mapping[str, Any] | None, sign: str, shown: str) -> str:
    return f"{sign}{shown}" if capacity and capacity["is_lower_bound"] and shown != UNKNOWN else shown


def _total_rows(document: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for row in document["totals"]:
        joules = known_sum(row[f"{state}_joules"] for state in ("active", "idle_loaded", "idle_empty"))
        costs = [row.get(f"{name}_cost") for name in ("hardware", "energy", "labour", "other")]
        idle = known_sum(row.get(f"{name}_cost") for name in ("idle_loaded", "idle_empty"))
        yield (
            _owner(row),
            number(row["input_tokens"], 0),
            number(row["cached_input_tokens"], 0),
            number(row["output_tokens"], 0),
            number(None if joules is None else joules / JOULES_PER_KWH, 3),
            number(None if None in costs else sum(costs), 4),
            number(None if None in costs else idle or 0.0, 4),
        )


def _window_rows(window: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for row in _telling_rows(window["rows"]):
        cost = row["cost_per_mtok"]
        yield (
            _owner(row),
            number(cost.get(f"{Basis.FULL}_{TokenBase.TOTAL}"), 4),
            number(cost.get(f"{Basis.ENERGY}_{TokenBase.TOTAL}"), 4),
            number(row["phase_cost_per_mtok"]["input"], 4),
            number(row["phase_cost_per_mtok"]["output"], 4),
            _bound(row["capacity"], "≤", percent(row["load_ratio"])),
            "",
            "",
        )
        for reference in row["references"]:
            load = reference["break_even_load_ratio"]
            yield (
                f"  {reference['reference']}",
                number(reference["price_per_mtok"], 4),
                *("",) * 4,
                number(reference["ratio"], 2),
                load if load == "never" else _bound(row["capacity"], "≤", percent(load)),
            )


def _outlook_rows(window: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """Yield from which volume, after which time, and once paid for from which load own tokens are cheaper."""
    for row in _telling_rows(window["rows"]):
        for reference in row["references"]:
            volume = reference["break_even_mtok_per_month"]
            payback = reference["payback_months"]
            load = reference["keep_or_switch_load_ratio"]
            if (volume, payback, load) != (None, None, None):
                yield (
                    f"{_owner(row)}: {reference['reference']}",
                    volume if volume == _NEVER else number(volume, 1),
                    payback if payback == _NEVER else number(payback, 1, " months"),
                    load if load == _NEVER else percent(load),
                )


def _telling_rows(rows: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Leave out sums that only repeat the one row that they sum up."""
    for row in rows:
        repeated = any(
            part["model"] != ALL and (part["tokens"], part["cost"]) == (row["tokens"], row["cost"])
            for part in rows
        )
        if row["model"] != ALL or not repeated:
            yield row


def _owner(row: Mapping[str, Any]) -> str:
    if row["engine"] == ALL:
        return "whole machine"
    model = f" / {row['model']}" if row["model"] not in {"", ALL} else ""
    return f"{row['engine']}{model}"


def _gibibytes(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value / _GIB:.1f}"
