"""The table of `evenwatt plan --list-presets`."""

from collections.abc import Iterable

from evenwatt.readings.hardware_presets import MachinePreset

__all__ = ["print_presets"]

_COLUMNS = ("preset", "what it is", "USD", "idle W", "full W", "tok/s", "dated", "source")
_NUMBERS = frozenset({"USD", "idle W", "full W", "tok/s"})


def print_presets(presets: Iterable[MachinePreset]) -> None:
    """Print all presets; a cell that is not known is a dash."""
    # Imported here because other outputs do without.
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for column in _COLUMNS:
        is_number = column in _NUMBERS
        table.add_column(
            column, justify="right" if is_number else "left", no_wrap=column != "source", overflow="fold"
        )
    for preset in presets:
        table.add_row(*_cells(preset))
    console.print(table)
    console.print("USD: to buy, or an hour (/h). A dash is not known. Values are for planning, not offers.")


def _cells(preset: MachinePreset) -> Iterable[str]:
    yield preset.name
    yield preset.about
    rent, price = preset.rent_usd_per_hour, preset.purchase_price_usd
    yield f"{price:,.0f}" if rent is None and price is not None else f"{rent or 0.0:.2f}/h"
    for value in (preset.idle_watts, preset.full_watts, preset.capacity_tokens_per_second):
        yield "-" if value is None else f"{value:,.0f}"
    yield preset.dated
    yield preset.source
