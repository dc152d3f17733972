"""What a window would have cost otherwise: asleep in quiet hours, without idle models, with other GPUs.

Each answer says what it assumes, or why it cannot be known; none is a forecast. All is worked out from what
was measured in the window.
"""

from enum import StrEnum

from msgspec import Struct

from evenwatt.economics.cost import Costs
from evenwatt.units import JOULES_PER_KWH, TOKENS_PER_MTOK

__all__ = [
    "FleetUse",
    "GpuHardware",
    "QuietHours",
    "Scenario",
    "ScenarioName",
    "StatePower",
    "gpus_changed",
    "sleeping",
    "unloading",
]

LEAST_STATE_SECONDS = 600.0
"""A state that was seen for less does not tell its power: loading and unloading weigh too much in it."""


class ScenarioName(StrEnum):
    """What is changed."""

    SLEEP = "sleep_in_quiet_hours"
    UNLOAD = "unload_idle_models"
    ONE_GPU_MORE = "one_gpu_more"
    ONE_GPU_LESS = "one_gpu_less"


class Scenario(Struct, frozen=True, kw_only=True):
    """What a change would have done to the window.

    Attributes:
        name: What is changed.
        assumes: Sentences; what has to hold for the answer to be right.
        unknown_because: Why it cannot be told; then there are no numbers.
        saved_kwh: Over the window; negative: it costs more.
        saved_cost: Likewise, in money.
        saved_cost_per_month: The same for a month like the window.
        cost_per_mtok: What a million tokens would have cost; None without tokens.
        load_ratio: What the load would have been, where a capacity is known.
    """

    name: ScenarioName
    assumes: tuple[str, ...] = ()
    unknown_because: str | None = None
    saved_kwh: float | None = None
    saved_cost: float | None = None
    saved_cost_per_month: float | None = None
    cost_per_mtok: float | None = None
    load_ratio: float | None = None


class GpuHardware(Struct, frozen=True, kw_only=True):
    """What the GPUs alone cost as hardware, where their owner tells them apart.

    Attributes:
        names: What the owner calls these parts.
        cost: Over the window, as it was metered; 0 once they are written off.
        cost_when_new: Over a window within their lives: what as many new ones would cost.
    """

    names: tuple[str, ...]
    cost: float
    cost_when_new: float


class FleetUse(Struct, frozen=True, kw_only=True):
    """What the machine did in the window.

    Attributes:
        costs: By component, of all of it.
        tokens: All kinds.
        month_share: The window's length in months.
        gpus: How many there are; None: not known.
        gpu_idle_watts: What all GPUs together draw without load; None: not known.
        up_seconds: For how long it was on.
        price_per_kwh: That was paid on average, overheads included.
        even_price_per_kwh: The same for power that is drawn evenly all the time; None: not known.
        load_ratio: None where no capacity is known.
        gpu_hardware: None where the GPUs are not told apart: then all hardware counts as theirs.
    """

    costs: Costs
    tokens: float
    month_share: float
    gpus: int | None = None
    gpu_idle_watts: float | None = None
    up_seconds: float = 0.0
    price_per_kwh: float | None = None
    even_price_per_kwh: float | None = None
    load_ratio: float | None = None
    gpu_hardware: GpuHardware | None = None


class QuietHours(Struct, frozen=True, kw_only=True):
    """The hours of the week (or day) in which no token was ever served in the window.

    Attributes:
        hours: Of the window that lay in them.
        kwh: Drawn in them; None: not measured.
        cost: What being off would have saved of their cost: electricity, and a rent that ends with the use.
        looked_at: In words, what was compared: "hours of the week over 4 weeks".
    """

    hours: float
    kwh: float | None
    cost: float | None
    looked_at: str


class StatePower(Struct, frozen=True, kw_only=True):
    """What one idle state drew.

    Attributes:
        seconds: That the machine was on in it.
        joules: None: not measured.
    """

    seconds: float
    joules: float | None

    @property
    def watts(self) -> float | None:
        """Its mean power; None where it was not seen for long enough."""
        if self.joules is None or self.seconds < LEAST_STATE_SECONDS:
            return None
        return self.joules / self.seconds


def sleeping(fleet: FleetUse, quiet: QuietHours | None) -> Scenario:
    """Return what being off in the quiet hours would have saved: all that they drew.

    Args:
        fleet: What the machine did.
        quiet: None where the window is too short to know any.
    """
    name = ScenarioName.SLEEP
    if quiet is None:
        return _unknown(name, "two days of history at least are needed to know quiet hours")
    if not quiet.hours:
        return _unknown(name, f"tokens were served in all {quiet.looked_at}")
    if quiet.kwh is None or quiet.cost is None:
        return _unknown(name, "the energy of the quiet hours was not measured or not priced")
    return _saving(
        name,
        fleet,
        saved_kwh=quiet.kwh,
        saved_cost=quiet.cost,
        assumes=(
            f"No token is served in {quiet.hours:.0f} quiet hours of the window ({quiet.looked_at}).",
            "The machine draws nothing while it sleeps, and nobody waits for it to wake.",
        ),
    )


def unloading(fleet: FleetUse, loaded: StatePower, empty: StatePower) -> Scenario:
    """Return what unloading models while idle would have saved: (loaded W - empty W) x loaded idle time.

    Args:
        fleet: What the machine did.
        loaded: Idle with a model in memory.
        empty: Idle with none, and on.
    """
    name = ScenarioName.UNLOAD
    if not loaded.seconds:
        return _unknown(name, "no model sat idle in memory")
    if loaded.watts is None or empty.watts is None:
        missing = "with a model in memory" if loaded.watts is None else "with nothing in memory"
        return _unknown(name, f"idle power {missing} was not observed for long enough")
    if fleet.price_per_kwh is None:
        return _unknown(name, "the price of electricity is not known")
    saved_kwh = (loaded.watts - empty.watts) * loaded.seconds / JOULES_PER_KWH
    return _saving(
        name,
        fleet,
        saved_kwh=saved_kwh,
        saved_cost=saved_kwh * fleet.price_per_kwh,
        assumes=(
            f"As observed: {loaded.watts:.0f} W idle with models in memory, {empty.watts:.0f} W without.",
            "Every idle minute is spent unloaded; loading again costs nothing and nobody waits for it.",
        ),
    )


def gpus_changed(fleet: FleetUse, *, added: int) -> Scenario:
    """Return what one GPU more (1) or less (-1) would have done at the same tokens.

    Each GPU carries an equal part of the GPUs' hardware cost and idle power, and of the capacity:
    cost = C + added / n x (hardware + idle electricity), load = L x n / (n + added). One more is new,
    whatever those that are there cost by now. Idle power is drawn evenly: its price is the mean of all hours.
    """
    name = ScenarioName.ONE_GPU_MORE if added > 0 else ScenarioName.ONE_GPU_LESS
    reason = _why_no_gpu_change(fleet, added)
    if reason is not None:
        return _unknown(name, reason)
    gpus = fleet.gpus or 1
    idle_watts = (fleet.gpu_idle_watts or 0.0) * added / gpus
    kwh = idle_watts * fleet.up_seconds / JOULES_PER_KWH
    price_per_kwh = fleet.price_per_kwh if fleet.even_price_per_kwh is None else fleet.even_price_per_kwh
    cost = _gpu_cost(fleet, added) * added / gpus + kwh * (price_per_kwh or 0.0)
    return _saving(
        name,
        fleet,
        saved_kwh=-kwh,
        saved_cost=-cost,
        load_ratio=None if fleet.load_ratio is None else fleet.load_ratio * gpus / (gpus + added),
        assumes=(
            _whose_hardware(fleet, gpus, added),
            "Tokens stay as they were, capacity goes with the number of GPUs, and the models still fit.",
        ),
    )


def _gpu_cost(fleet: FleetUse, added: int) -> float:
    told = fleet.gpu_hardware
    if told is None:
        return fleet.costs.hardware or 0.0
    return told.cost_when_new if added > 0 else told.cost


def _whose_hardware(fleet: FleetUse, gpus: int, added: int) -> str:
    told = fleet.gpu_hardware
    if told is None:
        return f"All of the hardware cost is the GPUs': 1/{gpus} of it each; a GPU alone may cost less."
    parts = " and ".join(told.names)
    if added > 0:
        return f"It costs 1/{gpus} of what {parts} did when new; the rest of the hardware stays as it is."
    return f"The GPUs are {parts}, and 1/{gpus} of their hardware cost each; the rest stays as it is."


def _why_no_gpu_change(fleet: FleetUse, added: int) -> str | None:
    if not fleet.gpus:
        return "the number of GPUs is not known"
    if fleet.gpus + added < 1:
        return "there is only one GPU"
    if fleet.costs.hardware is None:
        return "the hardware cost is not known"
    if fleet.gpu_idle_watts is None or fleet.price_per_kwh is None:
        return "the idle power of the GPUs or its price is not known"
    if added < 0 and fleet.load_ratio is None:
        return "the load is not known, so that nobody can say whether the rest would be enough"
    if added < 0 and fleet.load_ratio is not None and fleet.load_ratio * fleet.gpus > fleet.gpus + added:
        return "the other GPUs could not serve the load"
    return None


def _saving(
    name: ScenarioName,
    fleet: FleetUse,
    *,
    saved_kwh: float,
    saved_cost: float,
    assumes: tuple[str, ...],
    load_ratio: float | None = None,
) -> Scenario:
    full = fleet.costs.full
    return Scenario(
        name=name,
        assumes=assumes,
        saved_kwh=saved_kwh,
        saved_cost=saved_cost,
        saved_cost_per_month=saved_cost / fleet.month_share if fleet.month_share else None,
        cost_per_mtok=(
            None if full is None or not fleet.tokens else (full - saved_cost) / fleet.tokens * TOKENS_PER_MTOK
        ),
        load_ratio=fleet.load_ratio if load_ratio is None else load_ratio,
    )


def _unknown(name: ScenarioName, reason: str) -> Scenario:
    return Scenario(name=name, unknown_because=reason)
