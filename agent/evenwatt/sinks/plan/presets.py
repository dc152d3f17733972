"""The table of `evenwatt plan --list-presets`."""

from collections.abc import Iterable

from evenwatt.readings.hardware_presets import MachinePreset

__all__ = ["print_presets"]

_COLUMNS = ("preset", "what it is", "USD", "idle W", "full W", "tok/s", "dated", "by")
_TEXT_COLUMNS = frozenset({"preset", "what it is"})
_WIDE = 110
"""From here on there is room for what each preset is; the names say most of it."""


def print_presets(presets: Iterable[MachinePreset]) -> None:
    """Print all presets; a cell that is not known is a dash."""
    # Imported here because other outputs do without.
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    columns = [column for column in _COLUMNS if column != "what it is" or console.width >= _WIDE]
    for column in columns:
        table.add_column(column, justify="left" if column in _TEXT_COLUMNS else "right", no_wrap=True)
    sources: dict[str, int] = {}
    for preset in presets:
        cells = _cells(preset, sources.setdefault(preset.source, len(sources) + 1))
        table.add_row(*(cell for column, cell in zip(_COLUMNS, cells, strict=True) if column in columns))
    console.print(table)
    console.print(
        "\nUSD: to buy, or an hour (/h). A dash is not known. Values are for planning, not offers. By:"
    )
    for source, number in sources.items():
        console.print(f"{number:>3} {source}", style="dim")


def _cells(preset: MachinePreset, source: int) -> Iterable[str]:
    yield preset.name
    yield preset.about
    rent, price = preset.rent_usd_per_hour, preset.purchase_price_usd
    yield f"{price:,.0f}" if rent is None and price is not None else f"{rent or 0.0:.2f}/h"
    for value in (preset.idle_watts, preset.full_watts, preset.capacity_tokens_per_second):
        yield "-" if value is None else f"{value:,.0f}"
    yield preset.dated
    yield str(source)
