"""The status document: plain JSON, null for what is not known, the word never for what is never reached."""

import json
import math

import pytest
from msgspec.structs import replace

from evenwatt.model import SourceHealth
from evenwatt.sinks.status import render_status
from evenwatt.snapshot import ReferenceView
from sink_fixtures import HOUR, gpu, idle, served, snapshot


def document(shown):
    """Return the status document as any reader of strict JSON understands it."""

    def refuse(constant):
        pytest.fail(f"{constant} is not JSON")

    return json.loads(render_status(shown), parse_constant=refuse)


def test_what_is_known_is_there():
    """Sources, GPUs, totals and windows carry their numbers."""
    status = document(snapshot())

    assert status["currency"] == "EUR"
    assert status["cost_per_hour"]["full"] == pytest.approx(3.636)
    assert status["sources"][0]["source"] == "chat"
    assert status["gpus"][0]["engines"] == ["chat"]
    assert status["gpus"][0]["energy_joules"] == 6_000.0
    (total,) = status["totals"]
    assert (total["engine"], total["model"], total["output_tokens"]) == ("chat", "small", 100_000)
    assert total["hardware_cost"] == pytest.approx(0.06)
    row = status["windows"][0]["rows"][0]
    assert row["cost_per_mtok"]["full_total"] == pytest.approx(0.0606 / 1.6)
    assert status["events"][0]["text"] == "A gap."


def test_what_is_not_known_is_null():
    """No number stands for what nobody told."""
    lost = gpu(fault="lost", energy_joules=None, power_watts=None)
    down = SourceHealth(source="chat", kind="vllm", address="a", up=False, error="closed")
    rows = {(HOUR, "chat", "small"): idle(idle_loaded_joules=None)}
    status = document(snapshot(rows, gpus=(lost,), gpu_owners={}, counter_power_ratios={}, sources=(down,)))

    assert status["gpus"][0]["power_watts"] is None
    assert status["gpus"][0]["counter_power_ratio"] is None
    assert status["gpus"][0]["engines"] == ["unallocated"]
    assert status["sources"][0]["last_success_utc_seconds"] is None
    assert status["totals"][0]["input_tokens"] is None
    assert status["totals"][0]["energy_cost"] is None
    assert status["windows"][0]["rows"][0]["cost"]["full"] is None
    assert status["windows"][0]["rows"][0]["cost_per_mtok"] == {}


@pytest.mark.parametrize(("load", "shown"), [(math.inf, "never"), (None, None), (0.25, 0.25)])
def test_never_is_a_word(load, shown):
    """A break-even load that is never reached is no number, and one that is not known is null."""
    window = snapshot().windows[0]
    view = ReferenceView(
        reference="flat",
        price_per_mtok=1.0,
        price_per_mtok_no_cache=1.0,
        ratio=None,
        break_even_load_ratio=load,
    )
    window = replace(window, rows=(replace(window.rows[0], references=(view,)),))
    status = document(snapshot(windows=(window,)))

    assert status["windows"][0]["rows"][0]["references"][0]["break_even_load_ratio"] == shown


@pytest.mark.parametrize("name", ['"}', "\n", "\x00", "\u2028", "\\", "[red]"])
def test_hostile_names_come_through(name):
    """Whatever an engine calls its model is a string of the document, as it was."""
    assert document(snapshot({(HOUR, "chat", name): served()}))["totals"][0]["model"] == name


def test_phases_and_capacity_are_there_with_how_they_are_known():
    """The split of a cost is called an allocation, and a capacity has its source."""
    rows = {(HOUR, "chat", "small"): served(prefill_seconds=10.0, decode_seconds=30.0)}
    shown = document(snapshot(rows))
    row, engine = shown["windows"][0]["rows"][0], shown["engines"][0]

    assert row["phase_cost_per_mtok"]["input"] == pytest.approx(0.0606 * 0.25)
    assert row["phase_cost_per_mtok"]["output"] == pytest.approx(0.0606 * 0.75 * 10)
    assert row["phase_cost_per_mtok"]["method"].startswith("allocation")
    assert row["capacity"] == engine["capacity"]
    assert (engine["capacity"]["tokens_per_second"], engine["capacity"]["source"]) == (50_000.0, "configured")
    assert row["load_is_upper_bound"] is False
