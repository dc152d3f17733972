"""Cursors come back from JSON as they were."""

import json

from evenwatt.ledger.cursors import (
    CounterState,
    CrossCheck,
    EngineCursor,
    GpuCursor,
    MachineCursor,
    stored_engine,
    stored_gpu,
    stored_machine,
)
from evenwatt.model import PowerSample
from ledger_values import at


def through_json(value):
    """Return what a database gives back."""
    return json.loads(json.dumps(value.stored()))


def test_a_machine_comes_back():
    """How far time is accounted for, and for which GPUs."""
    cursor = MachineCursor(first=at(0.1), last=at(1 / 3), gpu_uuids=("GPU-a", "GPU-b"))

    assert stored_machine(through_json(cursor)) == cursor


def test_an_engine_comes_back():
    """Counters of all models, known and unknown values, labels and identity."""
    cursor = EngineCursor(
        engine="chat: ünïcode",
        moment=at(1 / 3),
        signals={"start_time": "1", "boot": "b"},
        models={
            "": CounterState(),
            "full": CounterState(
                input_tokens=2**60,
                output_tokens=2,
                cached_input_tokens=3,
                requests={"completed": 4},
                input_excess_tokens=5,
            ),
        },
        labels=frozenset({"", "full", "gone"}),
        was_running=True,
    )

    assert stored_engine(through_json(cursor)) == cursor


def test_a_gpu_comes_back():
    """Counter, last power, owners, fault, and the comparison under way."""
    cursor = GpuCursor(
        uuid="GPU-a",
        index=3,
        name="Card",
        moment=at(1 / 3),
        energy_joules=0.1,
        last_power=PowerSample(boot_seconds=1 / 3, power_watts=1 / 7),
        last_power_boot_id="boot-1",
        owners=("chat", "embed"),
        fault="lost",
        cross_check=CrossCheck(counter_joules=0.1, power_joules=0.2, seconds=3.0, ratio=1.1, is_parted=True),
    )

    assert stored_gpu(through_json(cursor)) == cursor


def test_a_gpu_that_gave_nothing_comes_back():
    """Absent values stay absent."""
    cursor = GpuCursor(uuid="GPU-a", index=0, name="Card")

    assert stored_gpu(through_json(cursor)) == cursor
