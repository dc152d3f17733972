"""The agent learns capacities from its history: each minute once, also across restarts."""

import json
from contextlib import closing

import pytest

from config_fixtures import settings_of
from evenwatt.economics.capacity import Capacity, CapacitySource
from evenwatt.service.capacity import CapacityKeeper
from evenwatt.service.report.capacities import report_capacities
from evenwatt.sinks.history import CalibrationRow, History, history_beside
from ledger_values import Books, at, counters, engine
from sink_fixtures import CAPACITY, HOUR, MINUTE, served, tick

KINDS = {"chat": "vllm"}
SMALL = {"chat": ("small",)}


@pytest.fixture
def history(tmp_path):
    """A new history."""
    with closing(History(tmp_path / "history.db", currency="EUR")) as opened:
        yield opened


def serve(history, minutes, *, rate=100, model="small", waiting=60.0, begin=HOUR):
    """Write minutes in which an engine served so many tokens a second."""
    for number in range(minutes):
        rows = {(begin + number * MINUTE, "chat", model): served(read=60 * rate, wrote=0, cached=None)}
        history.write(tick(rows, waiting_seconds=waiting))


def followed(keeper, history, minute, *, kinds=KINDS):
    """Let a keeper look at a minute after the hour, and return it as a new agent would make it."""
    keeper.follow(history, now_utc_seconds=HOUR + minute * MINUTE + 5.0, kinds=kinds)
    return keeper


def known(keeper, *, told=None, models=SMALL):
    """Return what is known of the engine."""
    return keeper.capacities(told or {}, models, now_utc_seconds=HOUR + 3_600.0).get("chat")


def calibration(**result):
    """Return a load run's row."""
    found = {
        "model": "small",
        "tokens_per_second": 900.0,
        "prefill_tokens_per_second": 2_000.0,
        "decode_tokens_per_second": 300.0,
        "still_growing": [],
        "mixed_load_by_phases": 1.05,
    }
    return CalibrationRow(
        utc_seconds=HOUR + 1.0,
        kind="capacity",
        subject="chat",
        result={**found, **result},
        settings={},
    )


def test_nothing_is_known_at_first(history):
    """An engine that was never seen serving has no capacity."""
    assert known(followed(CapacityKeeper({}), history, 10)) is None


def test_the_peak_is_known_before_it_is_saturated(history):
    """One minute with nobody waiting is a lower bound, marked as such."""
    serve(history, 1, rate=70, waiting=0.0)
    capacity = known(followed(CapacityKeeper({}), history, 10))

    assert (capacity.tokens_per_second, capacity.source) == (70.0, CapacitySource.PEAK_SEEN)
    assert capacity.is_lower_bound


def test_it_is_learned_from_saturated_minutes(history):
    """Twenty minutes of waiting requests make it known."""
    serve(history, 20)
    capacity = known(followed(CapacityKeeper({}), history, 22))

    assert (capacity.tokens_per_second, capacity.source) == (100.0, CapacitySource.LEARNED)
    assert not capacity.is_lower_bound


def test_minutes_are_taken_in_once_and_survive_a_restart(history):
    """Fourteen minutes before a restart of the agent and one after it are fifteen, not more."""
    serve(history, 14)
    first = followed(CapacityKeeper({}), history, 15)
    stored = json.loads(json.dumps(first.changed()[CapacityKeeper.CURSOR]))
    second = followed(CapacityKeeper(stored), history, 15)

    assert known(second).source is CapacitySource.PEAK_SEEN
    assert second.changed() == {}

    serve(history, 1, begin=HOUR + 14 * MINUTE)

    assert known(followed(second, history, 17)).source is CapacitySource.LEARNED


def test_a_minute_is_taken_in_when_it_is_settled(history):
    """A reading that comes late still counts: the last minute but one is the newest that is taken in."""
    serve(history, 2, rate=50, waiting=0.0)
    serve(history, 1, rate=80, waiting=0.0, begin=HOUR + 2 * MINUTE)
    keeper = followed(CapacityKeeper({}), history, 3)

    assert known(keeper).tokens_per_second == 50.0
    assert known(followed(keeper, history, 4)).tokens_per_second == 80.0


def test_what_was_learned_outlives_the_minutes(history):
    """Retention deletes minutes; what they taught stays with the cursors."""
    serve(history, 20)
    keeper = followed(CapacityKeeper({}), history, 22)
    history._connection.execute("DELETE FROM minute_usage")

    assert known(followed(keeper, history, 30)).tokens_per_second == 100.0


def test_what_is_said_goes_before_what_is_learned(history):
    """Configured, else calibrated, else learned."""
    serve(history, 20)
    learned = followed(CapacityKeeper({}), history, 22)
    history.add_calibration(calibration())
    calibrated = followed(learned, history, 23)

    assert known(calibrated) == Capacity(
        tokens_per_second=900.0,
        prefill_tokens_per_second=2_000.0,
        decode_tokens_per_second=300.0,
        source=CapacitySource.CALIBRATED,
        at_utc_seconds=HOUR + 1.0,
    )
    assert known(calibrated, told={"chat": CAPACITY}) == CAPACITY


def test_a_calibration_of_another_model_is_not_taken(history):
    """Serving another model, an engine is another engine; when nobody knows what it serves, it stands."""
    history.add_calibration(calibration(model="large"))
    keeper = followed(CapacityKeeper({}), history, 10)

    assert known(keeper) is None
    assert known(keeper, models={"chat": ()}).source is CapacitySource.CALIBRATED


def test_phases_that_do_not_add_up_are_not_taken(history):
    """Prefill and decode side by side are more than the two in turn: the capacity is that of the mix."""
    history.add_calibration(calibration(mixed_load_by_phases=1.6))
    capacity = known(followed(CapacityKeeper({}), history, 10))

    assert capacity.tokens_per_second == 900.0
    assert (capacity.prefill_tokens_per_second, capacity.decode_tokens_per_second) == (None, None)


def test_a_calibration_that_was_cut_short_is_a_lower_bound(history):
    """Throughput that still grew at the limit of the run says what the engine can do at least."""
    history.add_calibration(calibration(still_growing=["decode"]))

    assert known(followed(CapacityKeeper({}), history, 10)).is_lower_bound


def test_another_model_is_learned_anew(history):
    """What an engine did with one model says nothing of what it does with the next."""
    serve(history, 20)
    keeper = followed(CapacityKeeper({}), history, 22)

    assert known(keeper, models={"chat": ("large",)}) is None
    assert known(keeper, models={"chat": ()}).tokens_per_second == 100.0


def test_an_engine_of_several_models_is_learned_as_one(history):
    """Minutes of one, of the other and of both all show what the engine can do."""
    serve(history, 7, model="small")
    serve(history, 7, model="large", begin=HOUR + 7 * MINUTE)
    serve(history, 1, model="large", begin=HOUR + 14 * MINUTE)
    serve(history, 1, model="small", begin=HOUR + 14 * MINUTE)
    keeper = followed(CapacityKeeper({}), history, 16)

    assert known(keeper, models={"chat": ("large", "small")}).source is CapacitySource.LEARNED
    assert known(keeper).source is CapacitySource.PEAK_SEEN


def test_commands_know_what_the_agent_knows(history):
    """From its cursors alone: what is learned, what each engine serves, and what is configured."""
    serve(history, 20)
    keeper = followed(CapacityKeeper({}), history, 22)
    books = Books()
    books.fold(at(0))
    books.fold(at(10), engine(at(10), counters("small", read=1)))
    history.write(tick({}, cursors={**books.posted.cursors, **keeper.changed()}))
    bare, served = settings_of(""), [("chat", "small")]
    told = settings_of('engines: [{name: chat, url: "http://a", capacity_tokens_per_second: 7}]')

    with history_beside(history.path) as beside:
        learned = report_capacities(bare, beside, beside.cursors(), served, now_utc_seconds=HOUR + 3_600.0)
        configured = report_capacities(told, beside, beside.cursors(), served, now_utc_seconds=HOUR + 3_600.0)

    assert learned["chat"].source is CapacitySource.LEARNED
    assert configured["chat"].tokens_per_second == 7.0


def test_a_report_beside_a_demo_knows_what_is_simulated(history):
    """What a simulated engine says of itself is kept, and stays marked; what is configured is not."""
    keeper = CapacityKeeper({})
    simulated = Capacity(
        tokens_per_second=670.0, decode_tokens_per_second=90.0, source=CapacitySource.SIMULATED
    )
    keeper.remember_simulated({"chat": simulated, "code": CAPACITY})
    history.write(tick({}, cursors=keeper.changed()))

    with history_beside(history.path) as beside:
        known_beside = report_capacities(
            settings_of(""),
            beside,
            beside.cursors(),
            [("chat", "small"), ("code", "coder")],
            now_utc_seconds=HOUR + 60.0,
        )

    assert known_beside == {"chat": simulated}
    assert keeper.changed() == {}


def test_a_long_history_is_taken_in_day_by_day(history):
    """No tick waits for two weeks of minutes; days without any are passed over."""
    for days, rate in ((3, 50), (1, 80)):
        serve(history, 1, rate=rate, begin=HOUR - days * 86_400, waiting=0.0)
    keeper = followed(CapacityKeeper({}), history, 10)

    assert known(keeper).tokens_per_second == 50.0
    assert known(followed(keeper, history, 10)).tokens_per_second == 80.0


def test_output_that_is_counted_late_is_no_peak(history):
    """llama.cpp counts an answer when it ends: one minute may show what five made."""
    serve(history, 1, rate=500, waiting=0.0)
    keeper = followed(CapacityKeeper({}), history, 10, kinds={"chat": "llamacpp"})

    assert known(keeper).tokens_per_second == 100.0
