"""The table of `evenwatt plan --list-presets`."""

from collections.abc import Iterable

from evenwatt.readings.hardware_presets import MachinePreset
from evenwatt.sinks.tables import plain_console, print_table
from evenwatt.sinks.words import UNKNOWN

__all__ = ["print_presets"]

_ABOUT = "what it is"
_COLUMNS = ("preset", _ABOUT, "USD", "idle W", "full W", "tok/s", "dated", "by")
_WIDE = 110
"""From here on there is room for what each preset is; the names say most of it."""


def print_presets(presets: Iterable[MachinePreset]) -> None:
    """Print all presets; a cell that is not known is a dash."""
    console = plain_console()
    columns = tuple(column for column in _COLUMNS if column != _ABOUT or console.width >= _WIDE)
    sources: dict[str, int] = {}
    rows = []
    for preset in presets:
        cells = _cells(preset, sources.setdefault(preset.source, len(sources) + 1))
        rows.append(tuple(cell for column, cell in zip(_COLUMNS, cells, strict=True) if column in columns))
    print_table(console, columns, rows, text_columns={_ABOUT})
    console.print(
        "USD: to buy, or an hour (/h). A dash is not known. Values are for planning, not offers. By:"
    )
    for source, number in sources.items():
        console.print(f"{number:>3} {source}", style="dim")


def _cells(preset: MachinePreset, source: int) -> Iterable[str]:
    yield preset.name
    yield preset.about
    rent, price = preset.rent_usd_per_hour, preset.purchase_price_usd
    yield f"{price:,.0f}" if rent is None and price is not None else f"{rent or 0.0:.2f}/h"
    for value in (preset.idle_watts, preset.full_watts, preset.capacity_tokens_per_second):
        yield UNKNOWN if value is None else f"{value:,.0f}"
    yield preset.dated
    yield str(source)
