"""What single hours of a history add up to, as the report reads them: thousands, so each is a bare tuple."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

__all__ = ["CellTokens", "HourRow", "ModelHours"]


class HourRow(NamedTuple):
    """One hour of the machine, all engines and what no engine used; None where not known.

    Attributes:
        utc_seconds: Where the hour, or the part of it in the window, begins; local hours where those do not
            begin with hours of UTC.
        seconds: Accounted for.
        joules: Drawn, in all states.
        unpriced_seconds: Time without a known hardware price.
        unpriced_joules: Energy without a known electricity price.
    """

    utc_seconds: int
    seconds: float | None
    down_seconds: float | None
    estimated_seconds: float | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    joules: float | None
    hardware_cost: float | None
    energy_cost: float | None
    labour_cost: float | None
    other_cost: float | None
    idle_cost: float | None
    unpriced_seconds: float | None
    unpriced_joules: float | None = None

    @property
    def total_tokens(self) -> int:
        """All kinds."""
        return (self.input_tokens or 0) + (self.cached_input_tokens or 0) + (self.output_tokens or 0)

    @property
    def computed_tokens(self) -> int:
        """All but cached input."""
        return (self.input_tokens or 0) + (self.output_tokens or 0)


class CellTokens(Struct, frozen=True, kw_only=True):
    """What a model served in one hour of the week, over all weeks.

    Attributes:
        hours: In which it served anything.
        tokens: The sum over them.
        squares: The sum of the squares of each hour's tokens.
    """

    hours: int
    tokens: float
    squares: float


ModelHours = Mapping[tuple[str, str], Mapping[int, CellTokens]]
"""By (engine, model), what it served by local hour of the week (0 to 167)."""
