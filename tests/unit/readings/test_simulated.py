"""The simulated server: the same for every caller, plausible, and never to be taken for a real one."""

from datetime import UTC, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenwatt.readings.simulated import Demand, simulated_server
from evenwatt.units import SECONDS_PER_DAY, SECONDS_PER_HOUR
from readings_fixtures import HandClock


def _server_at(hour: float, **options):
    """Return a server that started on a Monday at an hour UTC, and its clock."""
    clock = HandClock()
    clock.advance(hour * SECONDS_PER_HOUR)
    *sources, _plug = simulated_server(clock, **options)
    return *sources, clock


def _demand(**options) -> Demand:
    """Return a demand that starts on a Monday at midnight UTC."""
    defaults = {"zone": UTC, "peak": 0.85, "weekend_ratio": 0.5, "seed": "any"}
    return Demand(start=HandClock()(), **defaults | options)


def _mean_load(demand: Demand, *, day: int = 0, hour: float) -> float:
    """Return the mean load over the hour around an hour of a day, looked at every five seconds."""
    middle = day * SECONDS_PER_DAY + hour * SECONDS_PER_HOUR
    seconds = range(int(middle) - 1_800, int(middle) + 1_800, 5)
    return sum(map(demand.load, seconds)) / len(seconds)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0.0, max_value=300.0), max_size=8))
def test_totals_do_not_depend_on_how_often_they_are_read(steps):
    """Any pattern of calls arrives at the same counters, to the last bit."""
    *often, clock = _server_at(10)
    *once, other_clock = _server_at(10)
    for step in steps:
        clock.advance(step)
        for source in often:
            source.sample()
            source.read()
    other_clock.utc_seconds, other_clock.boot_seconds = clock.utc_seconds, clock.boot_seconds

    gpus, chat, code = (source.read() for source in often)
    other_gpus, *other_engines = (source.read() for source in once)

    assert [chat, code] == other_engines
    assert [gpu.energy_joules for gpu in gpus.gpus] == [gpu.energy_joules for gpu in other_gpus.gpus]


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0.0, max_value=90.0), max_size=20))
def test_counters_never_fall(steps):
    """Tokens, requests and energy only grow, however finely they are looked at."""
    gpus, chat, _, clock = _server_at(10)
    seen = []
    for step in steps:
        clock.advance(step)
        (model,) = chat.read().models
        counters = (model.input_tokens, model.cached_input_tokens, model.output_tokens)
        seen.append((*counters, *model.requests.values(), gpus.read().gpus[0].energy_joules))

    for before, after in pairwise(seen):
        assert all(x <= y for x, y in zip(before, after, strict=True))


def test_counting_begins_at_zero():
    """A server that has just started has done nothing, and says since when it counts."""
    gpus, chat, code, clock = _server_at(10)

    for engine in (chat.read(), code.read()):
        (model,) = engine.models
        assert (model.input_tokens, model.output_tokens) == (0, 0)
        assert engine.epoch.started_boot_seconds == clock.boot_seconds
    assert gpus.read().gpus[0].energy_joules == 0.0


def test_seed_decides_the_noise():
    """Equal seeds give equal readings, and another seed others."""

    def an_hour_later(seed):
        _, chat, _, clock = _server_at(10, seed=seed)
        clock.advance(SECONDS_PER_HOUR)
        return chat.read()

    assert an_hour_later(1) == an_hour_later(1)
    assert an_hour_later(1).models != an_hour_later(2).models


def test_days_have_a_night_and_a_lunch():
    """A weekday is busy in the morning and the afternoon, less at lunch and hardly at night."""
    demand = _demand()
    night, morning, lunch, afternoon = (_mean_load(demand, hour=hour) for hour in (3, 10, 12.75, 15.5))

    assert night < 0.1
    assert lunch > 0.5
    assert lunch < 0.9 * min(morning, afternoon)


def test_weekends_are_quieter():
    """Saturday and Sunday mornings bring less than the Friday's, which is like the Monday's."""
    monday, friday, saturday, sunday = (_mean_load(_demand(), day=day, hour=10) for day in (0, 4, 5, 6))

    assert monday == pytest.approx(friday, abs=0.1)
    assert max(saturday, sunday) < 0.6 * min(monday, friday)


def test_people_live_in_their_time_zone():
    """Ten in the morning is ten in the morning of the zone."""
    new_zealand = timezone(timedelta(hours=12))

    assert _mean_load(_demand(zone=new_zealand), hour=22) > 0.5 > _mean_load(_demand(), hour=22)


def test_load_is_smooth():
    """Demand never jumps from one second to the next, not even when a weekend begins at midnight."""
    demand = _demand()
    saturday = 5 * SECONDS_PER_DAY
    seconds = [*range(0, SECONDS_PER_DAY, 7), *range(saturday - 600, saturday + 600)]

    assert max(abs(demand.at(second + 1) - demand.at(second)) for second in seconds) < 0.05


def test_tokens_are_made_only_while_requests_run():
    """A morning goes from idle over every slot taken to a queue, and no token is made while nothing runs."""
    _, chat, _, clock = _server_at(6)
    seconds = []
    for _ in range(1_000):
        before = chat.read()
        clock.advance(0.5)
        after = chat.read()
        grown = after.models[0].input_tokens - before.models[0].input_tokens
        seconds.append((after.requests_running, after.requests_waiting, grown))
        clock.advance(19.5)

    assert all(grown == 0 for running, _, grown in seconds if running == 0)
    assert all(running == 24 for running, waiting, _ in seconds if waiting)
    assert min(running for running, _, _ in seconds) == 0
    assert max(waiting for _, waiting, _ in seconds) > 0


def test_second_engine_does_not_tell_cache_hits_or_requests():
    """What an engine does not tell is absent, not zero."""
    _, chat, code, clock = _server_at(10)
    clock.advance(SECONDS_PER_HOUR)
    (told,), (untold,) = chat.read().models, code.read().models

    assert told.cached_input_tokens > told.input_tokens > told.output_tokens > 0
    assert told.requests["completed"] > told.requests["aborted"] > 0
    assert untold.output_tokens > 0
    assert untold.cached_input_tokens is None
    assert untold.requests == {}


def test_power_stays_between_idle_and_full():
    """A day's power reaches its idle value, comes near the limit and crosses neither."""
    gpus, _, _, clock = _server_at(0)
    watts = []
    for _ in range(SECONDS_PER_DAY // 60):
        watts.append([gpu.power_watts for gpu in gpus.read().gpus])
        clock.advance(60)

    for gpu_watts, gpu, idle_watts in zip(zip(*watts, strict=True), gpus.read().gpus, (32, 24), strict=True):
        assert min(gpu_watts) == idle_watts
        assert 0.8 * gpu.power_limit_watts < max(gpu_watts) <= gpu.power_limit_watts


def test_sampled_power_agrees_with_the_energy_counter():
    """The trapezoids under an hour's samples are the counter's increase to one in a hundred."""
    gpus, _, _, clock = _server_at(9)
    first = gpus.read()
    readings = []
    for second in range(1, SECONDS_PER_HOUR + 1):
        clock.advance(1.0)
        if second % 10:
            gpus.sample()
        else:
            readings.append(gpus.read())
    samples = [sample for reading in (first, *readings) for sample in reading.gpus[0].power_samples]
    integral = sum(
        (after.boot_seconds - before.boot_seconds) * (before.power_watts + after.power_watts) / 2
        for before, after in pairwise(samples)
    )

    assert len(samples) == SECONDS_PER_HOUR + 1
    assert integral == pytest.approx(readings[-1].gpus[0].energy_joules, rel=0.01)


def test_second_gpu_has_no_energy_counter():
    """Both ways to energy are there: one GPU counts it, of the other only power is known."""
    gpus, _, _, clock = _server_at(10)
    clock.advance(60)
    counted, sampled = gpus.read().gpus

    assert counted.has_energy_counter
    assert counted.energy_joules >= 60 * 32
    assert not sampled.has_energy_counter
    assert sampled.energy_joules is None
    assert sampled.power_samples


def test_samples_that_nobody_reads_do_not_pile_up():
    """Of two hours without a reading the last one's samples are kept."""
    gpus, _, _, clock = _server_at(10)
    for _ in range(2 * SECONDS_PER_HOUR):
        clock.advance(1.0)
        gpus.sample()

    samples = gpus.read().gpus[1].power_samples

    assert len(samples) == SECONDS_PER_HOUR
    assert samples[-1].boot_seconds == clock.boot_seconds


def test_samples_are_handed_out_once():
    """A reading brings the samples since the one before it and none twice."""
    gpus, _, _, clock = _server_at(10)
    gpus.read()
    clock.advance(1.0)

    assert [clock.boot_seconds] == [s.boot_seconds for s in gpus.read().gpus[0].power_samples]


def test_utilization_is_the_share_of_busy_samples():
    """Utilisation is 1 wherever anything runs, and so is no measure of load."""
    gpus, chat, _, _ = _server_at(10)

    assert chat.read().requests_running > 0
    assert gpus.read().gpus[0].utilization_ratio == 1.0
    assert gpus.read().gpus[0].temperature_celsius < 72.0


def test_processes_lead_from_gpus_to_engines():
    """Each GPU is held by the process of one engine, or a child of it, as on a real server."""
    gpus, chat, code, _ = _server_at(10)
    holders = [
        {pid for process in gpu.processes for pid in (process.pid, *process.ancestors)}
        for gpu in gpus.read().gpus
    ]

    assert chat.read().listener_pid in holders[0]
    assert code.read().listener_pid in holders[1]
    assert holders[0].isdisjoint(holders[1])


def test_nothing_can_be_taken_for_real():
    """Kind and names say what they are, and no process of Linux can have the PIDs."""
    *sources, _ = _server_at(10)
    gpus, *engines = (source.read() for source in sources)

    assert {"simulated"} == {source.kind for source in sources} | {engine.kind for engine in engines}
    assert all("Simulated" in gpu.name for gpu in gpus.gpus)
    assert all("simulated" in engine.models[0].model for engine in engines)
    assert min(engine.listener_pid for engine in engines) > 2**22


def test_names_match_the_readings():
    """A source's name is that of its readings: the identity in the history."""
    gpus, chat, code, _ = _server_at(10)

    assert (gpus.name, chat.name, code.name) == ("nvml", "sim-chat", "sim-code")
    assert [chat.name, code.name] == [chat.read().engine, code.read().engine]


def test_real_clock_is_the_default():
    """Without a clock of its own the server runs on the present time."""
    gpus, chat, _, _ = simulated_server()
    first, second = gpus.read(), chat.read()
    gpus.close()
    chat.close()

    assert first.moment.boot_id == second.moment.boot_id
    assert first.moment.boot_seconds < second.moment.boot_seconds


def test_the_plug_counts_the_gpus_and_the_machine():
    """What the plug counts over ten minutes is what both GPUs drew, and 58 to 145 W of the rest."""
    clock = HandClock()
    gpus, _, _, plug = simulated_server(clock)
    plug.sample()
    before = plug.read().counters[0].energy_joules
    gpus.read()
    drawn = 0.0
    for _ in range(600):
        clock.advance(1)
        drawn += sum(gpu.power_watts for gpu in gpus.read().gpus)
    after = plug.read()
    plug.close()

    assert (plug.name, plug.kind, after.source) == ("host_power", "simulated", "simulated")
    assert 600 * 58 <= after.counters[0].energy_joules - before - drawn <= 600 * 145
