"""When tokens came: by local day, by hour of the week, and the shape that this gives traffic.

Values only; `service.report` works them out from the history. All calendar is the site's local time.
"""

from datetime import date
from enum import StrEnum

from msgspec import Struct

from evenwatt.economics.cost import Costs
from evenwatt.economics.tokens import Tokens

__all__ = [
    "HourOfDay",
    "HourOfWeek",
    "ModelShape",
    "PeakToTrough",
    "ReportDay",
    "Shape",
    "TrafficShape",
    "WeekMap",
]


class ReportDay(Struct, frozen=True, kw_only=True):
    """A local day, or the part of it that lies in the window.

    Attributes:
        date: In the site's time zone.
        start_utc_seconds: Where it, or its part in the window, begins.
        seconds: How long it is: 23 or 25 h where the clocks are changed.
        accounted_seconds: The part that the history holds; the rest was before it began.
        estimated_seconds: Of these, the part in which the agent was not looking.
        kwh: That the machine drew; None: not measured.
        idle_cost: The part of the costs in which no request ran; None where not known.
        cost_per_mtok: Full cost over all tokens; None without tokens or where a cost is not known.
    """

    date: date
    start_utc_seconds: float
    seconds: float
    accounted_seconds: float
    estimated_seconds: float
    tokens: Tokens
    kwh: float | None
    costs: Costs
    idle_cost: float | None
    cost_per_mtok: float | None


class HourOfWeek(Struct, frozen=True, kw_only=True):
    """One of the 168 hours of the local week, over all weeks of the window.

    Attributes:
        weekday: 0 is Monday.
        hour: 0 to 23, local.
        hours: How many of it the history holds; 0: none, and everything else is None.
        tokens_per_hour: Mean, of all kinds.
        load_ratio: Mean token load of the machine; None where no capacity is known.
        cost_per_mtok: Full cost over all tokens that fell in it; None without tokens.
        watts: Mean power of the machine.
    """

    weekday: int
    hour: int
    hours: float
    tokens_per_hour: float | None = None
    load_ratio: float | None = None
    cost_per_mtok: float | None = None
    watts: float | None = None


class HourOfDay(Struct, frozen=True, kw_only=True):
    """One of the 24 local hours, over all days of the window; as `HourOfWeek`."""

    hour: int
    hours: float
    tokens_per_hour: float | None = None


class PeakToTrough(Struct, frozen=True, kw_only=True):
    """How far the busiest and the quietest hour of the day are apart, by their means.

    Attributes:
        ratio: Peak over trough; `math.inf` where the trough is empty.
        busiest_utc_seconds: When the busiest single hour of the window began, of those that the history holds
            as a whole; None: it holds none.
        busiest_tokens: In that hour.
        busiest_over_mean: Its tokens over the mean of all hours.
    """

    peak_hour: int
    peak_tokens_per_hour: float
    trough_hour: int
    trough_tokens_per_hour: float
    ratio: float
    busiest_utc_seconds: float | None = None
    busiest_tokens: float | None = None
    busiest_over_mean: float | None = None


class WeekMap(Struct, frozen=True, kw_only=True):
    """The week of the site.

    Attributes:
        cells: All 168, Monday 0 h first.
        hours_of_day: All 24.
        peak: None without tokens, and where not each hour of the day was seen.
        is_approximate: The site's hours do not begin with hours of UTC, and the minutes of the window are not
            kept any more: hours were taken for the local hour in which most of each lies.
    """

    cells: tuple[HourOfWeek, ...]
    hours_of_day: tuple[HourOfDay, ...]
    peak: PeakToTrough | None
    is_approximate: bool = False

    @property
    def has_tokens(self) -> bool:
        """Whether any hour of it ever saw a token."""
        return any(cell.tokens_per_hour for cell in self.cells)

    def cell(self, weekday: int, hour: int) -> HourOfWeek:
        """Return the cell of a weekday (0 is Monday) and local hour."""
        return self.cells[weekday * 24 + hour]


class Shape(StrEnum):
    """What traffic looks like, by stated measures."""

    STEADY = "steady"
    """Hours differ little: a coefficient of variation of at most 0.5."""
    DAY_NIGHT = "day_night"
    """The hour of the day explains at least half of the variance between hours."""
    BURSTY = "bursty"
    """Hours differ much, and the hour of the day does not tell when."""


class TrafficShape(Struct, frozen=True, kw_only=True):
    """The shape of tokens over the hours of a window, and the measures that it was judged by.

    Attributes:
        shape: None where there are less than two days of hours, or no tokens.
        hours: That were looked at.
        variation_ratio: Coefficient of variation: standard deviation of an hour's tokens over their mean.
        explained_by_hour_ratio: The share of the variance between hours that the hour of the day explains.
        idle_hours_ratio: Share of the hours without a token.
        night_ratio: Share of the tokens between 22 and 6 h local time; a third of the day.
        weekend_ratio: Share of the tokens on Saturday and Sunday; two sevenths of the week.
    """

    shape: Shape | None
    hours: int
    variation_ratio: float | None = None
    explained_by_hour_ratio: float | None = None
    idle_hours_ratio: float | None = None
    night_ratio: float | None = None
    weekend_ratio: float | None = None


class ModelShape(Struct, frozen=True, kw_only=True):
    """Whether a model carries load that could wait, and so go to an API's batch price.

    Attributes:
        token_share: Of all tokens of the window.
        is_batch_like: Steady round the clock: tokens in nearly all hours, and little variation between them.
            Only a person knows whether the answers could wait.
    """

    engine: str
    model: str
    traffic: TrafficShape
    token_share: float
    is_batch_like: bool
