"""Where the source of host power was last read: what its next increase is counted from, and what is owed.

Stored with the rows in one transaction, like all cursors (see `cursors`).
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field, to_builtins

from evenwatt.model import Coverage, Moment, PowerSample, State

__all__ = ["HOST_KEY", "HostCursor", "MeterCheck", "Owner", "SteadyPower", "stored_host"]

HOST_KEY = "host_power"

Owner = tuple[str, str, State]
"""(engine, model, state)"""


class MeterCheck(Struct, frozen=True, kw_only=True):
    """How a meter that contains the GPUs compares with what they draw by their own counters.

    Attributes:
        is_parted: It said less than the GPUs, over the last whole comparison.
    """

    meter_joules: float = 0.0
    gpu_joules: float = 0.0
    seconds: float = 0.0
    is_parted: bool = False


class SteadyPower(Struct, frozen=True, kw_only=True):
    """For how long a meter without a counter has said the same, to the last digit, and what GPUs did then."""

    power_watts: float
    seconds: float = 0.0
    lowest_gpu_watts: float | None = None
    highest_gpu_watts: float | None = None


class HostCursor(Struct, frozen=True, kw_only=True):
    """Up to where host energy is accounted for, and what was measured since.

    Attributes:
        source: As in `HostReading`, like `meter` and `covers`: together its identity.
        since: When it was taken on; what GPUs drew before that is not in it.
        accounted: Up to when its energy is booked.
        moved: When its counters last moved.
        seen: When it was last read.
        signals: Of the epoch that counts.
        counters: Values at `moved`.
        has_moved: Whether the counters have moved since the baseline; the first step of one that moves in
            steps began before it.
        last_power: From which the trapezoid goes on, where there is no counter.
        meter_joules: Measured since `accounted`, over `measured_seconds`.
        gpu_joules: What the GPUs drew since `accounted`, as far as it is known.
        debt_joules: What was booked too much, as GPU and meter are not read at one instant; never above 0.
        owners: GPU energy and time since `accounted` by whom they were booked to.
        waiting_since: Since when the energy of a GPU is missing.
        has_unknown_gpus: It was missing for too long to wait for it any more.
        has_caught_up: A GPU told of more time than a tick since `accounted`; a part of it may be of before.
        is_estimated: Nobody looked in a part of the time since `accounted`.
        is_doubted: The last value did not fit and is not in here; the next one decides.
        is_frozen: It stands still though the machine does not.
        mean_watts: Of the last part that was booked.
    """

    source: str
    meter: str
    covers: Coverage
    since: Moment
    accounted: Moment
    moved: Moment
    seen: Moment
    signals: Mapping[str, str] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    has_moved: bool = False
    last_power: PowerSample | None = None
    meter_joules: float = 0.0
    measured_seconds: float = 0.0
    gpu_joules: float = 0.0
    debt_joules: float = 0.0
    owners: Mapping[Owner, tuple[float, float]] = field(default_factory=dict)
    waiting_since: Moment | None = None
    has_unknown_gpus: bool = False
    has_caught_up: bool = False
    is_estimated: bool = False
    is_doubted: bool = False
    is_frozen: bool = False
    check: MeterCheck = MeterCheck()
    steady: SteadyPower | None = None
    mean_watts: float | None = None

    def stored(self) -> dict[str, object]:
        """Return the JSON-ready form."""
        plain = {name: getattr(self, name) for name in self.__struct_fields__}
        for name in ("since", "accounted", "moved", "seen", "waiting_since", "last_power", "check", "steady"):
            plain[name] = None if plain[name] is None else to_builtins(plain[name])
        plain["owners"] = [[*owner, *parts] for owner, parts in self.owners.items()]
        return plain


def stored_host(value: Mapping[str, Any]) -> HostCursor:
    """Return the cursor of host power from its stored form."""

    def some(name: str, kind: Any) -> Any:
        return None if value[name] is None else kind(**value[name])

    return HostCursor(
        **{
            **value,
            "covers": Coverage(value["covers"]),
            "since": some("since", Moment),
            "accounted": some("accounted", Moment),
            "moved": some("moved", Moment),
            "seen": some("seen", Moment),
            "waiting_since": some("waiting_since", Moment),
            "last_power": some("last_power", PowerSample),
            "check": some("check", MeterCheck),
            "steady": some("steady", SteadyPower),
            "owners": {
                (engine, model, State(state)): (joules, seconds)
                for engine, model, state, joules, seconds in value["owners"]
            },
        }
    )
