"""What a million tokens would cost here at another load, electricity price or hardware price.

With h, l, o the hourly cost of hardware, labour and all other, i the electricity of an hour at no load, V
what full load draws on top and T the million tokens of an hour at full load; and x, y the factors by which
hardware and electricity become dearer:

    F = x h + l + o + y i        cost per Mtok at load L = (F + y V L) / (T L)

The page has the same formulas in its script; a test holds both against shared vectors.
"""

from msgspec import Struct

from evenwatt.economics.breakeven import CostLine, break_even_load, cost_per_mtok_at_load
from evenwatt.economics.running import MONTH_HOURS

__all__ = ["Change", "CostParts", "WhatIf", "changed_line", "what_if"]


class CostParts(Struct, frozen=True, kw_only=True):
    """What an hour of the machine is made of: the parts of its cost line.

    Attributes:
        idle_energy_cost_per_hour: Electricity at no load.
        load_energy_cost_per_hour: The electricity that full load draws on top.
        mtok_per_hour: At full load and the observed mix, all kinds of tokens.
        price_per_kwh: Paid on average for what the machine drew; None where it drew nothing that is known.
        purchase_price: Of all parts that were bought; None where none was.
    """

    hardware_cost_per_hour: float
    labour_cost_per_hour: float
    other_cost_per_hour: float
    idle_energy_cost_per_hour: float
    load_energy_cost_per_hour: float
    mtok_per_hour: float
    price_per_kwh: float | None = None
    purchase_price: float | None = None


class Change(Struct, frozen=True, kw_only=True):
    """What is taken to be different; factors of 1 leave a price as it is."""

    load_ratio: float
    electricity_factor: float = 1.0
    hardware_factor: float = 1.0


class WhatIf(Struct, frozen=True, kw_only=True):
    """What a change comes to, for a month of it.

    Attributes:
        cost_per_mtok: Our own; None at no load.
        break_even_load_ratio: From which on own tokens are cheaper; `math.inf` means never.
        saved_per_month: The API's bill less our own cost: negative is lost by serving here.
    """

    cost_per_mtok: float | None
    break_even_load_ratio: float
    mtok_per_month: float
    own_cost_per_month: float
    api_cost_per_month: float
    saved_per_month: float


def changed_line(parts: CostParts, change: Change) -> CostLine:
    """Return the cost line of a machine whose prices are different."""
    return CostLine(
        fixed_cost_per_hour=change.hardware_factor * parts.hardware_cost_per_hour
        + parts.labour_cost_per_hour
        + parts.other_cost_per_hour
        + change.electricity_factor * parts.idle_energy_cost_per_hour,
        load_cost_per_hour=change.electricity_factor * parts.load_energy_cost_per_hour,
        mtok_per_hour=parts.mtok_per_hour,
    )


def what_if(
    parts: CostParts, change: Change, *, price_per_mtok: float, month_hours: float = MONTH_HOURS
) -> WhatIf:
    """Return what a change comes to against an API.

    Args:
        parts: Of the machine as it was observed.
        change: What is different.
        price_per_mtok: The API's, at the observed mix.
        month_hours: Hours of a month.
    """
    line = changed_line(parts, change)
    load = change.load_ratio
    mtok = line.mtok_per_hour * load * month_hours
    own = (line.fixed_cost_per_hour + line.load_cost_per_hour * load) * month_hours
    bill = mtok * price_per_mtok
    return WhatIf(
        cost_per_mtok=cost_per_mtok_at_load(line, load),
        break_even_load_ratio=break_even_load(line, price_per_mtok),
        mtok_per_month=mtok,
        own_cost_per_month=own,
        api_cost_per_month=bill,
        saved_per_month=bill - own,
    )
