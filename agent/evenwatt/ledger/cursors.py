"""Where each counter was last read: what the next increase is counted from.

Cursors are stored with the rows in one transaction and come back after a restart; here they are turned to and
from plain JSON values.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field, to_builtins

from evenwatt.model import OTHER_MODEL, Moment, PowerSample

__all__ = [
    "MACHINE_KEY",
    "CounterState",
    "CrossCheck",
    "EarlierProcess",
    "EngineCursor",
    "GpuCursor",
    "MachineCursor",
    "client_key",
    "engine_key",
    "gpu_key",
    "is_part_key",
    "part_key",
    "stored_engine",
    "stored_gpu",
    "stored_machine",
]

MACHINE_KEY = "machine"
_PART_PREFIX = "part:"


def engine_key(engine: str) -> str:
    """Return the key under which an engine's cursor is stored."""
    return f"engine:{engine}"


def client_key(engine: str) -> str:
    """Return the key under which the cursor of an engine's clients is stored."""
    return f"clients:{engine}"


def part_key(engine: str, part: str) -> str:
    """Return the key under which the cursor of one of an engine's processes is stored."""
    return f"{_PART_PREFIX}{engine}:{part}"


def is_part_key(key: str) -> bool:
    """Return whether a key is one of `part_key`."""
    return key.startswith(_PART_PREFIX)


def gpu_key(uuid: str) -> str:
    """Return the key under which a GPU's cursor is stored."""
    return f"gpu:{uuid}"


class MachineCursor(Struct, frozen=True, kw_only=True):
    """How far the machine's time is accounted for.

    Attributes:
        first: The first moment of the history: what began to count after it is ours to count from zero.
        gpu_uuids: The GPUs of the machine when they were last listed; they share its time.
    """

    first: Moment
    last: Moment
    gpu_uuids: tuple[str, ...] = ()

    def stored(self) -> dict[str, object]:
        """Return the JSON-ready form."""
        return {
            "first": _stored_moment(self.first),
            "last": _stored_moment(self.last),
            "gpu_uuids": list(self.gpu_uuids),
        }


class CounterState(Struct, frozen=True, kw_only=True):
    """One model's counters at the last good page, and how far input was counted beyond it.

    Attributes:
        input_excess_tokens: What was counted of `input_tokens` before it dipped (an engine that gives it as
            a difference of two counters not read at one instant); to be made up for before more counts.
        prefill_seconds: None where the engine did not tell, or where nobody asked yet.
        decode_seconds: Likewise.
        step_tokens: In steps of how many tokens that page told them.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int | None = None
    requests: Mapping[str, int] = field(default_factory=dict)
    input_excess_tokens: int = 0
    prefill_seconds: float | None = None
    decode_seconds: float | None = None
    step_tokens: int = 1

    @property
    def logical_input_tokens(self) -> int:
        """Prompt tokens, cached or not."""
        return self.input_tokens + (self.cached_input_tokens or 0)


class EarlierProcess(Struct, frozen=True, kw_only=True):
    """Where the counters of a process stood that answered under an engine's name before."""

    signals: Mapping[str, str]
    models: Mapping[str, CounterState]


class EngineCursor(Struct, frozen=True, kw_only=True):
    """An engine's last good reading.

    Attributes:
        signals: The identity of the process that counted (see `Epoch.signals`).
        models: Counters by the name that the engine uses, so that one which leaves the page is told from
            one that fell, also where several share a label.
        labels: Names that are labels of their own; once given, for ever.
        is_doubted: Counters fell on the last page though nothing else speaks of a restart; that page is not
            in this cursor, and is believed if the next one says the same.
        earlier: Other processes that answered under this name before, newest first: where one comes back (two
            replicas behind one address, a switch back), it is counted on from where it stood.
        requests_running: The gauge then; None where not told.
        requests_waiting: Likewise.
        parts: The names of the processes that counted on their own then; None where there are none by nature.
        listener_pid: By which processes on a GPU were known for its own; holds for the boot of `moment`.
        body: Likewise its container or unit.
    """

    engine: str
    moment: Moment
    signals: Mapping[str, str]
    models: Mapping[str, CounterState]
    labels: frozenset[str]
    was_running: bool = False
    is_doubted: bool = False
    earlier: tuple["EarlierProcess", ...] = ()
    requests_running: int | None = None
    requests_waiting: int | None = None
    parts: frozenset[str] | None = None
    listener_pid: int | None = None
    body: str | None = None

    def label(self, model: str) -> str:
        """Return the label under which a model is booked."""
        return model if model in self.labels else OTHER_MODEL

    def stored(self) -> dict[str, object]:
        """Return the JSON-ready form."""
        return {
            "engine": self.engine,
            "moment": _stored_moment(self.moment),
            "signals": dict(self.signals),
            "labels": sorted(self.labels),
            "was_running": self.was_running,
            "is_doubted": self.is_doubted,
            "requests_running": self.requests_running,
            "requests_waiting": self.requests_waiting,
            "parts": None if self.parts is None else sorted(self.parts),
            "listener_pid": self.listener_pid,
            "body": self.body,
            "models": _stored_models(self.models),
            "earlier": [
                {"signals": dict(process.signals), "models": _stored_models(process.models)}
                for process in self.earlier
            ],
        }


class CrossCheck(Struct, frozen=True, kw_only=True):
    """How a GPU's energy counter compares with its integrated power while it is busy.

    Attributes:
        counter_joules: Of the comparison under way.
        power_joules: Over the same time.
        seconds: How long that is.
        ratio: Counter over power, as last compared.
        is_parted: Whether that was out of bounds.
    """

    counter_joules: float = 0.0
    power_joules: float = 0.0
    seconds: float = 0.0
    ratio: float | None = None
    is_parted: bool = False


class GpuCursor(Struct, frozen=True, kw_only=True):
    """Up to where a GPU's energy is accounted for, and what else was last known of it.

    Attributes:
        moment: Up to when its energy is accounted for; None before the first value.
        energy_joules: The energy counter's value then; None where power was integrated up to there.
        last_power: The newest power sample, from which the trapezoid goes on within one boot.
        owners: Engines that used it when last known; kept while they are down.
        instance_owners: The same by MIG instance; empty without MIG.
        fault: Why it gave nothing at its last reading.
        is_doubted: The last value of its energy counter did not fit and is not in here; the next one decides.
    """

    uuid: str
    index: int
    name: str
    moment: Moment | None = None
    energy_joules: float | None = None
    last_power: PowerSample | None = None
    last_power_boot_id: str = ""
    owners: tuple[str, ...] = ()
    instance_owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: str | None = None
    is_doubted: bool = False
    cross_check: CrossCheck = CrossCheck()

    def stored(self) -> dict[str, object]:
        """Return the JSON-ready form."""
        return {
            "uuid": self.uuid,
            "index": self.index,
            "name": self.name,
            "moment": None if self.moment is None else _stored_moment(self.moment),
            "energy_joules": self.energy_joules,
            "last_power": (
                None
                if self.last_power is None
                else [self.last_power.boot_seconds, self.last_power.power_watts]
            ),
            "last_power_boot_id": self.last_power_boot_id,
            "owners": list(self.owners),
            "instance_owners": {uuid: list(owners) for uuid, owners in self.instance_owners.items()},
            "fault": self.fault,
            "is_doubted": self.is_doubted,
            "cross_check": to_builtins(self.cross_check),
        }


def stored_machine(value: Mapping[str, Any]) -> MachineCursor:
    """Return the machine's cursor from its stored form."""
    return MachineCursor(
        first=_moment(value["first"]), last=_moment(value["last"]), gpu_uuids=tuple(value["gpu_uuids"])
    )


def stored_engine(value: Mapping[str, Any]) -> EngineCursor:
    """Return an engine's cursor from its stored form; what the first release did not store is not known."""
    parts = value.get("parts")
    return EngineCursor(
        engine=value["engine"],
        moment=_moment(value["moment"]),
        signals=value["signals"],
        labels=frozenset(value["labels"]),
        was_running=value["was_running"],
        is_doubted=value["is_doubted"],
        requests_running=value.get("requests_running"),
        requests_waiting=value.get("requests_waiting"),
        parts=None if parts is None else frozenset(parts),
        listener_pid=value.get("listener_pid"),
        body=value.get("body"),
        models=_models(value["models"]),
        earlier=tuple(
            EarlierProcess(signals=process["signals"], models=_models(process["models"]))
            for process in value["earlier"]
        ),
    )


def stored_gpu(value: Mapping[str, Any]) -> GpuCursor:
    """Return a GPU's cursor from its stored form."""
    power = value["last_power"]
    return GpuCursor(
        uuid=value["uuid"],
        index=value["index"],
        name=value["name"],
        moment=None if value["moment"] is None else _moment(value["moment"]),
        energy_joules=value["energy_joules"],
        last_power=None if power is None else PowerSample(boot_seconds=power[0], power_watts=power[1]),
        last_power_boot_id=value["last_power_boot_id"],
        owners=tuple(value["owners"]),
        instance_owners={uuid: tuple(owners) for uuid, owners in value.get("instance_owners", {}).items()},
        fault=value["fault"],
        is_doubted=value["is_doubted"],
        cross_check=CrossCheck(**value["cross_check"]),
    )


def _stored_models(models: Mapping[str, CounterState]) -> dict[str, object]:
    return {
        name: {
            "input": state.input_tokens,
            "output": state.output_tokens,
            "cached": state.cached_input_tokens,
            "requests": dict(state.requests),
            "excess": state.input_excess_tokens,
            "prefill_seconds": state.prefill_seconds,
            "decode_seconds": state.decode_seconds,
            "step_tokens": state.step_tokens,
        }
        for name, state in models.items()
    }


def _models(value: Mapping[str, Any]) -> dict[str, CounterState]:
    return {
        name: CounterState(
            input_tokens=state["input"],
            output_tokens=state["output"],
            cached_input_tokens=state["cached"],
            requests=state["requests"],
            input_excess_tokens=state["excess"],
            prefill_seconds=state.get("prefill_seconds"),
            decode_seconds=state.get("decode_seconds"),
            step_tokens=state.get("step_tokens", 1),
        )
        for name, state in value.items()
    }


def _stored_moment(moment: Moment) -> list[object]:
    return [moment.utc_seconds, moment.boot_seconds, moment.boot_id]


def _moment(value: list[Any]) -> Moment:
    utc_seconds, boot_seconds, boot_id = value
    return Moment(utc_seconds=utc_seconds, boot_seconds=boot_seconds, boot_id=boot_id)
