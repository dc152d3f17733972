"""`evenwatt init`: a first configuration from what is there and what only its owner can know."""

from datetime import UTC, datetime

from msgspec import Struct

from evenwatt import clock
from evenwatt.config.places import system_timezone
from evenwatt.errors import SourceError
from evenwatt.readings.discovery import FoundEngine, find_engines
from evenwatt.readings.families import HOW_TO_METER_OLLAMA, has_open_pages
from evenwatt.readings.hardware_presets import preset_for
from evenwatt.readings.nvml import NvmlSource
from evenwatt.service.start import why_no_gpus

__all__ = ["Answers", "Surroundings", "configuration_text", "look_around"]


class Surroundings(Struct, frozen=True, kw_only=True):
    """What was found on this machine.

    Attributes:
        gpus: By name; empty where there are none.
        without_gpus: Why there are none.
        engines: That listen now.
        hints: What would have to be changed for one of them to be metered.
        timezone: IANA name; None where the system tells none.
    """

    gpus: tuple[str, ...]
    engines: tuple[FoundEngine, ...]
    without_gpus: str | None = None
    timezone: str | None = None
    hints: tuple[str, ...] = ()


class Answers(Struct, frozen=True, kw_only=True):
    """What only the owner knows; None: not said, and then it is left to be assumed.

    Attributes:
        usd_rate: What one USD is worth in the currency; needed unless that is USD.
        purchase_price: Of the whole machine, where it was bought.
        rent_per_hour: Where it is rented.
    """

    currency: str = "USD"
    usd_rate: float | None = None
    price_per_kwh: float | None = None
    purchase_price: float | None = None
    lifetime_years: float | None = None
    rent_per_hour: float | None = None


def look_around() -> Surroundings:
    """Return the GPUs and engines of this machine; each engine is asked for its page once."""
    reason = why_no_gpus(lambda: False)
    gpus: tuple[str, ...] = ()
    if reason is None:
        source = NvmlSource()
        try:
            gpus = tuple(gpu.name for gpu in source.read().gpus)
        except SourceError as error:
            reason = str(error)
        finally:
            source.close()
    zone = getattr(system_timezone(), "key", None)
    engines = find_engines()
    return Surroundings(
        gpus=gpus,
        engines=engines,
        without_gpus=reason,
        timezone=zone,
        hints=tuple(_hint(engine) for engine in engines if _is_unmetered(engine)),
    )


def _is_unmetered(engine: FoundEngine) -> bool:
    return engine.kind == "ollama" and engine.pid is not None and has_open_pages(engine.pid) is False


def _hint(engine: FoundEngine) -> str:
    return f"{engine.name} counts no tokens as it runs now; {HOW_TO_METER_OLLAMA}"


def configuration_text(there: Surroundings, answers: Answers) -> str:
    """Return the text of a configuration file; what was not said stands in it as a comment."""
    sections = (
        _head(there),
        _money(there, answers),
        _electricity(answers),
        _hardware(there, answers),
        _engines(there),
    )
    return "\n".join(line for section in sections for line in (*section, ""))


def _head(there: Surroundings) -> list[str]:
    gpus = ", ".join(there.gpus) or f"none ({there.without_gpus})"
    return [
        f"# Begun by `evenwatt init` on {_today()}. docs/configuration-keys.md lists every key.",
        "# After a change: evenwatt check-config, then `kill -HUP` the agent or restart its service.",
        f"# GPUs found: {_one_line(gpus)}",
    ]


def _money(there: Surroundings, answers: Answers) -> list[str]:
    lines = [f"currency: {answers.currency}"]
    if answers.usd_rate is not None and answers.currency != "USD":
        rate = f"usd_rate: {{rate: {answers.usd_rate:g}, date: {_today()}}}"
        lines.append(f"{rate}  # one USD in {answers.currency} on that day; API prices come in USD")
    if there.timezone is not None:
        lines.append(f"timezone: {there.timezone}")
    return lines


def _electricity(answers: Answers) -> list[str]:
    if answers.price_per_kwh is None:
        return [
            "# Assumed until it is written: 0.30 per kWh.",
            f"#electricity: {{price_per_kwh: 0.30}}  # {answers.currency} per kWh, taxes and fees included",
        ]
    price = f"electricity: {{price_per_kwh: {answers.price_per_kwh:g}}}"
    return [f"{price}  # {answers.currency} per kWh, taxes and fees included"]


def _hardware(there: Surroundings, answers: Answers) -> list[str]:
    if answers.rent_per_hour is not None:
        return [f"hardware: {{mode: rented_always_on, rent_per_hour: {answers.rent_per_hour:g}}}"]
    if answers.purchase_price is not None:
        years = 3 if answers.lifetime_years is None else answers.lifetime_years
        return [f"hardware: {{purchase_price: {answers.purchase_price:g}, lifetime_years: {years:g}}}"]
    known = all(preset_for(name) is not None for name in there.gpus) and there.gpus
    until = "assumed from the names of the GPUs" if known else "not known, and full cost is absent"
    return [
        f"# Until one of these is written the hardware cost is {until}.",
        "#hardware: {purchase_price: PRICE, lifetime_years: 3}  # bought",
        "#hardware: {mode: rented_always_on, rent_per_hour: PRICE}  # rented",
    ]


def _engines(there: Surroundings) -> list[str]:
    if not there.engines:
        return ["# No engine answered; one that is started later is found by itself."]
    return [
        "# Found now. They are read without being written here; write them to name them, to say which GPUs",
        "# are theirs or what they can sustain, and then no other one is looked for.",
        "#engines:",
        *(f"#  - {_engine(engine)}" for engine in there.engines),
        *(f"# {_one_line(hint)}" for hint in there.hints),
    ]


def _engine(engine: FoundEngine) -> str:
    if engine.is_elsewhere:
        # Its address here is that of a process, which ends with it.
        return (
            f"{{name: {engine.name}, kind: {engine.kind}, url: ...}}  # of another network: publish its port"
        )
    return f'{{name: {engine.name}, kind: {engine.kind}, url: "{engine.url}"}}{_where(engine)}'


def _where(engine: FoundEngine) -> str:
    return "" if engine.body is None else f"  # {_one_line(engine.body)}"


def _today() -> str:
    return datetime.fromtimestamp(clock.utc_seconds(), UTC).date().isoformat()


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
