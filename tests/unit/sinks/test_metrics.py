"""The metrics page: public names and labels, what is not known is absent, and no name breaks a line."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from evenwatt.economics.capacity import Capacity, CapacitySource
from evenwatt.economics.cost import Costs
from evenwatt.ledger import SourceTotals
from evenwatt.readings.exposition import bounded_text
from evenwatt.sinks.metrics import METRICS, render_metrics
from evenwatt.snapshot import ALL, ElectricityView, HistoryHealth, PendingPrice, ReferenceView, Sums
from evenwatt.snapshot.alerts.values import AlertState, AlertView, NotifierHealth, Severity
from sink_fixtures import HOUR, MINUTE, engine_view, gpu, idle, served, snapshot


def samples(shown, name=None):
    """Return the samples of a page as a reader of Prometheus understands them: by name and labels."""
    families = text_string_to_metric_families(render_metrics(shown).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("evenwatt_") and name in (None, sample.name.removeprefix("evenwatt_"))
    }


def value(shown, name, **labels):
    """Return one sample; None where it is absent."""
    return samples(shown).get((f"evenwatt_{name}", tuple(sorted(labels.items()))))


def test_every_metric_is_shown_with_its_labels():
    """A machine of which everything is known shows each public name, with its documented labels."""
    rows = {
        (HOUR, "chat", "small"): served(requests_completed=3),
        (HOUR + MINUTE, "chat", "small"): idle(),
    }
    labels = {}
    pending = PendingPrice(reference="flat", accepted="", offered="", source="", offered_utc_seconds=0.0)
    lost = alert_view("EvenwattGpuLost", AlertState.FIRING, uuid="GPU-a")
    phone = NotifierHealth(notifier="phone", kind="apprise", up=True)
    shown = snapshot(
        rows, pending_prices=(pending,), alerts=(lost,), notifiers=(phone,), event_totals={"gap": 1}
    )
    for name, pairs in samples(shown):
        labels.setdefault(name, set()).add(tuple(sorted(label for label, _ in pairs)))

    assert labels == {spec.name: {tuple(sorted(spec.labels))} for spec in METRICS.values()}


@given(st.text(), st.text())
@settings(max_examples=50, deadline=None)
def test_the_page_is_written_as_prometheus_client_writes_it(engine, model):
    """Whatever names are, the library reads the page and writes the same one, byte by byte."""
    names = bounded_text(engine), bounded_text(model)
    page = render_metrics(snapshot({(HOUR, *names): served(requests_completed=3), (HOUR, "a", "b"): idle()}))
    families = list(text_string_to_metric_families(page.decode()))

    assert generate_latest(SimpleNamespace(collect=lambda: families)) == page


def test_numbers_arrive():
    """Tokens, energy, money and prices are what the snapshot says."""
    shown = snapshot()
    chat = {"engine": "chat", "model": "small"}

    assert value(shown, "tokens_total", type="cached_input", **chat) == 500_000
    assert value(shown, "energy_joules_total", state="active", **chat) == 6_000.0
    assert value(shown, "cost_total", component="hardware", **chat) == pytest.approx(0.06)
    assert value(shown, "api_cost_total", reference="flat", cache="none", **chat) == pytest.approx(2.0)
    assert value(shown, "api_cost_total", reference="flat", cache="observed", **chat) == pytest.approx(1.55)
    assert value(shown, "gpu_energy_joules_total", gpu="0", uuid="GPU-a") == 6_000.0
    assert value(shown, "cost_per_mtok", window="1h", basis="full", tokens="total", **chat) == pytest.approx(
        0.0606 / 1.6
    )
    assert (
        value(shown, "capacity_tokens_per_second", engine="chat", model=ALL, source="configured") == 50_000.0
    )
    assert value(shown, "money_info", currency="EUR") == 1.0
    assert value(shown, "simulated") == 0.0


def test_what_is_not_known_is_absent():
    """No series stands for a value that nobody told: no 0, no NaN."""
    unknown = gpu(
        fault="lost",
        power_watts=None,
        power_limit_watts=None,
        utilization_ratio=None,
        memory_used_bytes=None,
        memory_bytes=None,
        temperature_celsius=None,
    )
    shown = snapshot(
        {(HOUR, "chat", "small"): idle(idle_loaded_joules=None)},
        gpus=(unknown,),
        counter_power_ratios={},
        engines=(engine_view(up=False, requests_running=None, requests_waiting=None, step_tokens=None),),
        sources=(),
        electricity_price_per_kwh=None,
        cost_per_hour=Costs(hardware=3.6),
    )
    names = {name.removeprefix("evenwatt_") for name, _ in samples(shown)}

    assert value(shown, "gpu_up", gpu="0", uuid="GPU-a") == 0.0
    assert value(shown, "cost_per_hour", component="hardware") == 3.6
    assert value(shown, "cost_per_hour", component="energy") is None
    assert not names & {
        "tokens_total",
        "requests_total",
        "energy_joules_total",
        "cost_per_mtok",
        "break_even_ratio",
        "break_even_load_ratio",
        "gpu_power_watts",
        "gpu_temperature_celsius",
        "gpu_energy_counter_power_ratio",
        "engine_requests_running",
        "capacity_tokens_per_second",
        "electricity_price_per_kwh",
        "source_last_success_timestamp_seconds",
    }
    assert b"NaN" not in render_metrics(shown).replace(b"# ", b"")


def test_never_is_infinite():
    """A break-even that no load reaches is +Inf."""
    window = snapshot().windows[0]
    never = ReferenceView(
        reference="flat",
        price_per_mtok=1.0,
        price_per_mtok_no_cache=1.0,
        ratio=0.1,
        break_even_load_ratio=math.inf,
    )
    shown = snapshot(windows=(replace(window, rows=(replace(window.rows[0], references=(never,)),)),))

    assert (
        value(shown, "break_even_load_ratio", engine="chat", model="small", reference="flat", window="1h")
        == math.inf
    )


def test_flaws_that_never_happened_are_zero():
    """A counter that began at its first increase would hide it: restarts and gaps begin at 0."""
    shown = snapshot(source_totals={"agent": SourceTotals(gap_seconds=5.0)})

    assert value(shown, "engine_restarts_total", engine="chat") == 0.0
    assert value(shown, "gap_seconds_total", source="chat") == 0.0
    assert value(shown, "gap_seconds_total", source="agent") == 5.0


def test_events_are_counted_by_kind():
    """A dashboard marks them; what each was about is in the history."""
    assert value(snapshot(event_totals={"gap": 2, "engine_found": 1}), "events_total", kind="gap") == 2.0


def test_a_gpu_that_is_not_read_keeps_its_series():
    """The energy so far stays under the same labels while the GPU says nothing."""
    shown = snapshot(gpus=())

    assert value(shown, "gpu_energy_joules_total", gpu="0", uuid="GPU-a") == 6_000.0
    assert value(shown, "gpu_power_watts", gpu="0", uuid="GPU-a") is None
    assert (
        value(snapshot(gpus=(), gpu_indexes={}), "gpu_energy_joules_total", gpu="", uuid="GPU-a") == 6_000.0
    )


def test_a_new_history_has_no_sums():
    """Without a tick there are no counters, and the page is still a page."""
    shown = snapshot(
        {},
        totals=Sums(),
        source_totals={},
        windows=(),
        engines=(),
        gpus=(),
        sources=(),
        counter_power_ratios={},
    )
    names = {name for name, _ in samples(shown)}

    assert not any(name.endswith("_total") for name in names)
    assert "evenwatt_build_info" in names


def test_a_history_that_is_down_shows():
    """Ticks that wait to be written are counted."""
    health = HistoryHealth(path="/h", up=False, pending_ticks=3, error="disk full")
    shown = snapshot(history=health, config_reload_ok=False, simulated=True)

    assert value(shown, "history_up") == 0.0
    assert value(shown, "history_pending_ticks") == 3.0
    assert value(shown, "config_last_reload_successful") == 0.0
    assert value(shown, "simulated") == 1.0


@settings(deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_model_name_comes_through(name):
    """Whatever an engine calls its model is one label of one line, and read back as it was."""
    bounded = bounded_text(name)
    shown = snapshot({(HOUR, "chat", bounded): served()}, windows=())
    labels = {dict(pairs)["model"] for metric, pairs in samples(shown, "tokens_total") if metric}

    assert labels == {bounded}


@pytest.mark.parametrize(
    "name",
    ['"} 1\nevenwatt_cost_total{engine="x"', "a\\", 'a\\"b', "a\nb", "a\\nb", "", "\u2028", "\x00", "#"],
)
def test_hostile_model_names_come_through(name):
    """Quotes, backslashes and line ends in a name neither end its label nor begin another series."""
    found = samples(snapshot({(HOUR, "chat", name): served()}), "tokens_total")

    assert {dict(pairs)["model"] for _, pairs in found} == {name}
    assert len(found) == 3


@pytest.mark.parametrize(("is_stale", "expected"), [(True, 1.0), (False, 0.0), (None, None)])
def test_a_stale_electricity_price_is_a_metric_where_there_is_a_feed(is_stale, expected):
    """1 and 0 with a feed; without one there is nothing to be stale."""
    shown = snapshot(electricity=ElectricityView(is_stale=is_stale))

    assert value(shown, "electricity_price_stale") == expected


def test_the_curve_of_cost_against_load_goes_through_what_was_observed():
    """At the observed load the two metrics of the curve give the observed cost."""
    rows = {
        (HOUR, "chat", "small"): served(),
        **{(HOUR + number * MINUTE, "chat", "small"): idle() for number in range(1, 10)},
    }
    shown = snapshot(rows)
    chat = {"engine": "chat", "model": ALL, "window": "1h"}
    load = value(shown, "load_ratio", **chat)
    full_load = value(shown, "full_load_cost_per_mtok", **chat)
    marginal = value(shown, "marginal_cost_per_mtok", **chat)

    assert 0 < load < 1
    assert 0 < marginal < full_load
    assert marginal + (full_load - marginal) / load == pytest.approx(
        value(shown, "cost_per_mtok", basis="full", tokens="total", **chat)
    )


def test_a_capacity_carries_its_source():
    """What was only seen has a label of its own; an engine of unknown capacity has no series."""
    seen = Capacity(tokens_per_second=70.0, source=CapacitySource.PEAK_SEEN, is_lower_bound=True)
    shown = snapshot(engines=(engine_view(capacity=seen),))
    unknown = snapshot(engines=(engine_view(),))

    assert value(shown, "capacity_tokens_per_second", engine="chat", model=ALL, source="peak_seen") == 70.0
    assert samples(unknown, "capacity_tokens_per_second") == {}


def alert_view(alert, state, **labels):
    """Return an alert as the snapshot has it."""
    return AlertView(alert=alert, severity=Severity.CRITICAL, labels=labels, state=state)


def test_an_alert_is_zero_while_it_is_silent_and_absent_while_it_cannot_be_judged():
    """What fires has its labels; of an alert that fires the silent series is gone."""
    shown = snapshot(
        alerts=(
            alert_view("EvenwattGpuLost", AlertState.FIRING, uuid="GPU-a"),
            alert_view("EvenwattGpuLost", AlertState.PENDING, uuid="GPU-b"),
            alert_view("EvenwattSourceStale", AlertState.OK),
            alert_view("EvenwattIdleBurn", AlertState.PENDING, engine="chat"),
            alert_view("EvenwattBudgetPace", AlertState.UNJUDGED),
        )
    )
    found = {
        (dict(labels)["alert"], dict(labels)["subject"]): value
        for (name, labels), value in samples(shown).items()
        if name == "evenwatt_alert_active"
    }

    assert found == {
        ("EvenwattGpuLost", "GPU-a"): 1,
        ("EvenwattSourceStale", ""): 0,
        ("EvenwattIdleBurn", ""): 0,
    }
