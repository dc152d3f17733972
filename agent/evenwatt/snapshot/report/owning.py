"""How a machine is had and supplied: what of its price book a report needs beside the metered money."""

from msgspec import Struct

__all__ = ["GpuParts", "Owning"]


class GpuParts(Struct, frozen=True, kw_only=True):
    """The parts of a machine that its owner calls GPUs.

    Attributes:
        names: As the owner wrote them.
        cost_share: Of the hardware cost of the window; 0 where they are written off.
        cost_when_new: What they would have cost over the window within their lives.
    """

    names: tuple[str, ...]
    cost_share: float
    cost_when_new: float


class Owning(Struct, frozen=True, kw_only=True):
    """How the machine is had and supplied, as far as a comparison needs it.

    Attributes:
        purchase_price: Of all parts that were bought by the end of the window; None where none was.
        maintenance_cost: Over the window; the part of the hardware cost that ends with the use.
        month_hours: Hours of a month.
        gpu_parts: None where the GPUs are not told apart from the rest.
        even_price_per_kwh: What power that is drawn evenly paid on average, overheads included; None where
            the tariff has no price for all of the window.
    """

    purchase_price: float | None = None
    maintenance_cost: float = 0.0
    month_hours: float = 730.0
    gpu_parts: GpuParts | None = None
    even_price_per_kwh: float | None = None
