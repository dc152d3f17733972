"""What the agent takes for granted because the configuration does not say it."""

from collections.abc import Iterable, Iterator

from evenwatt.config.costs import HardwarePart
from evenwatt.config.schema import Settings
from evenwatt.model import Assumption

__all__ = ["assumptions"]


def assumptions(settings: Settings) -> tuple[Assumption, ...]:
    """Return what the settings take for granted, in the order of the file."""
    return (*_electricity(settings), *_hardware(settings), *_references(settings))


def _electricity(settings: Settings) -> Iterator[Assumption]:
    if settings.electricity.is_assumed:
        price = settings.electricity.price_per_kwh
        yield Assumption(
            setting="electricity.price_per_kwh",
            text=f"Electricity is assumed to cost {price:.2f} {settings.currency} per kWh.",
            line_to_write=_line(settings, "electricity", f"price_per_kwh: {price:.2f}"),
        )


def _hardware(settings: Settings) -> Iterator[Assumption]:
    hardware = settings.hardware
    lifetime = f"lifetime_years: {hardware.lifetime_years:g}"
    if hardware.mode != "owned":
        return
    if hardware.parts:
        yield from _parts(hardware.parts)
        return
    if hardware.purchase_price is None:
        yield Assumption(
            setting="hardware",
            text="The price of the hardware is assumed from the names of its GPUs.",
            line_to_write=_line(settings, "hardware", "purchase_price: PRICE", lifetime),
        )
    elif "lifetime_years" not in hardware.written:
        yield Assumption(
            setting="hardware.lifetime_years",
            text=f"The hardware is assumed to last {hardware.lifetime_years:g} years.",
            line_to_write=_line(settings, "hardware", lifetime),
        )


def _parts(parts: Iterable[HardwarePart]) -> Iterator[Assumption]:
    assumed = [part for part in parts if "lifetime_years" not in part.written]
    if assumed:
        names = ", ".join(part.name for part in assumed)
        years = f"{assumed[0].lifetime_years:g}"
        yield Assumption(
            setting="hardware.parts.lifetime_years",
            text=f"These parts of the hardware are assumed to last {years} years: {names}.",
            line_to_write=f"      lifetime_years: {years}  # in each entry of hardware.parts",
        )


def _references(settings: Settings) -> Iterator[Assumption]:
    if "references" not in settings.written:
        names = ", ".join(reference.name for reference in settings.references)
        yield Assumption(
            setting="references",
            text=f"The API models to compare with are assumed: {names}.",
            line_to_write=f"references: [{names}]",
        )


def _line(settings: Settings, section: str, *keys: str) -> str:
    """Return the line for keys of a section, or for the first below a section that the file has already."""
    if section in settings.written:
        return f"  {keys[0]}  # below {section}:"
    return f"{section}: {{{', '.join(keys)}}}"
