"""The snapshot itself: plain values, nothing to compute and nothing to wait for."""

from collections.abc import Mapping

from msgspec import Struct, field

from evenwatt.economics.capacity import Capacity
from evenwatt.economics.cost import Costs
from evenwatt.ledger import SourceTotals
from evenwatt.model import Assumption, Event, GpuReading, Moment, Note, SourceHealth
from evenwatt.snapshot.alerts.values import AlertView, NotifierHealth
from evenwatt.snapshot.host import HostView
from evenwatt.snapshot.sums import Sums
from evenwatt.snapshot.windows import WindowView

__all__ = ["ElectricityView", "EngineView", "HistoryHealth", "PendingPrice", "Scrape", "Snapshot"]


class EngineView(Struct, frozen=True, kw_only=True):
    """An engine as it was last read.

    Attributes:
        step_tokens: In steps of how many it tells its tokens: as uncertain is what it counted between
            two readings. 1: exactly; None: it was not read.
        capacity: What it can sustain, and who says so; None where that is unknown.
    """

    engine: str
    kind: str
    address: str
    up: bool
    models: tuple[str, ...]
    requests_running: int | None = None
    requests_waiting: int | None = None
    step_tokens: int | None = None
    capacity: Capacity | None = None


class ElectricityView(Struct, frozen=True, kw_only=True):
    """Where the electricity price of now comes from.

    Attributes:
        band: The time band in force; None outside of all, and where there are none.
        is_stale: Whether it is the feed's last known price, for another time; None: there is no feed.
        fees_per_kwh: The part of it that is paid for each kWh beside the tariff.
    """

    band: str | None = None
    is_stale: bool | None = None
    fees_per_kwh: float = 0.0


class HistoryHealth(Struct, frozen=True, kw_only=True):
    """Whether ticks reach the disk.

    Attributes:
        pending_ticks: Ticks kept in memory until the history can be written again.
        file_bytes: How large the file is; None where that is not known.
        year_bytes: About how large it will be in a year, if it goes on as in the last day; None in its first
            hour.
        set_aside: Where a corrupt one was moved to when this agent started.
    """

    path: str
    up: bool
    pending_ticks: int = 0
    error: str | None = None
    file_bytes: int | None = None
    year_bytes: float | None = None
    set_aside: str | None = None


class Scrape(Struct, frozen=True, kw_only=True):
    """When somebody last read /metrics, and what that program calls itself."""

    utc_seconds: float
    user_agent: str


class PendingPrice(Struct, frozen=True, kw_only=True):
    """An API price that the catalogue offers and nobody has accepted.

    Attributes:
        accepted: What counts, in words.
        offered: What would, in words.
    """

    reference: str
    accepted: str
    offered: str
    source: str
    offered_utc_seconds: float


class Snapshot(Struct, frozen=True, kw_only=True):
    """All that is known at one tick.

    Attributes:
        simulated: Readings are not of real hardware; every surface says so.
        gpus: Latest readings; a GPU that could not be read has its fault and no values.
        gpu_indexes: By UUID, the index of each GPU when it was last read, also of one that was not this time.
        gpu_owners: By UUID, the engines that its costs go to.
        counter_power_ratios: By UUID, energy counter over integrated power on a busy GPU.
        cost_per_hour: What accrues now; energy at the power of this moment.
        event_totals: By kind, how many events the history has.
        notes: What a reader of the costs has to know of them.
        host: Host power, as it was last read.
        alerts: Of every rule that is not switched off.
        notifiers: Whom alerts are told to.
    """

    moment: Moment
    started_utc_seconds: float
    version: str
    simulated: bool
    currency: str
    totals: Sums
    source_totals: Mapping[str, SourceTotals]
    gpus: tuple[GpuReading, ...]
    gpu_owners: Mapping[str, tuple[str, ...]]
    counter_power_ratios: Mapping[str, float]
    gpus_released: bool
    engines: tuple[EngineView, ...]
    sources: tuple[SourceHealth, ...]
    windows: tuple[WindowView, ...]
    electricity_price_per_kwh: float | None
    cost_per_hour: Costs
    assumptions: tuple[Assumption, ...]
    history: HistoryHealth
    config_reload_ok: bool
    events: tuple[Event, ...]
    event_totals: Mapping[str, int] = field(default_factory=dict)
    gpu_indexes: Mapping[str, int] = field(default_factory=dict)
    last_scrape: Scrape | None = None
    electricity: ElectricityView = field(default_factory=ElectricityView)
    notes: tuple[Note, ...] = ()
    host: HostView = field(default_factory=HostView)
    pending_prices: tuple[PendingPrice, ...] = ()
    alerts: tuple[AlertView, ...] = ()
    notifiers: tuple[NotifierHealth, ...] = ()
