"""Host energy against a made-up machine that knows what it truly drew, and where."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenwatt.ledger import HostRules, LedgerRules
from evenwatt.model import Epoch
from ledger_values import Books, at, counters, engine, gpu, gpus, host

TICKS = st.lists(
    st.fixed_dictionaries(
        {
            "seconds": st.sampled_from([1.0, 10.0, 10.0, 10.0, 59.5, 300.0, 7_200.0]),
            "host_watts": st.floats(20, 900),
            "gpu_watts": st.tuples(st.floats(0, 400), st.floats(0, 400)),
            "tokens": st.integers(0, 5),
            "hears": st.sets(st.sampled_from(["host", "gpus", "chat", "code"])),
            "restarts": st.booleans(),
        }
    ),
    min_size=3,
    max_size=40,
)


def run(ticks, *, covers="wall", rules=None, hears_all=False, range_joules=None):
    """Run a machine of two GPUs and two engines through ticks; return its books, and what it truly drew.

    The first tick and the last hear every source, so that all that can be known is known.
    """
    books = Books(rules, engines=["chat", "code"])
    now, meter, drawn, wrote = 0.0, 0.0, [0.0, 0.0], 0
    for number, tick in enumerate(ticks):
        if number:
            now += tick["seconds"]
            used = [tick["seconds"] * watts for watts in tick["gpu_watts"]]
            drawn = [before + more for before, more in zip(drawn, used, strict=True)]
            meter += tick["seconds"] * tick["host_watts"] + (sum(used) if covers != "cpu" else 0.0)
            wrote += tick["tokens"]
        everything = hears_all or number in (0, len(ticks) - 1)
        hears = {"host", "gpus", "chat", "code"} if everything else tick["hears"]
        if tick["restarts"] and number:
            books = books.reopened()
        moment = at(now)
        readings = []
        if "host" in hears:
            shown = meter if range_joules is None else meter % range_joules
            limits = {"range_joules": range_joules, "most_watts": 2_000.0}
            epoch = Epoch(signals={"boot": "boot-1"}) if covers == "cpu" else Epoch()
            readings.append(host(moment, shown, covers=covers, counter=limits, epoch=epoch))
        if "gpus" in hears:
            cards = (gpu(moment, drawn[0]), gpu(moment, drawn[1], uuid="GPU-b", index=1))
            readings.append(gpus(*cards))
        readings += [engine(moment, counters(wrote=wrote), name=n) for n in ("chat", "code") if n in hears]
        books.fold(moment, *readings)
    return books, meter, sum(drawn)


@settings(deadline=None)
@given(TICKS, st.sampled_from(["wall", "board", "cpu"]), st.floats(0.7, 1.0))
def test_all_that_is_booked_is_gpu_and_host(ticks, covers, efficiency):
    """Over all engines, models and unallocated, joules add up to those of the GPUs and of the host."""
    rules = LedgerRules(host=HostRules(supply_efficiency=efficiency, rest_watts=15.0))
    books, _, _ = run(ticks, covers=covers, rules=rules)

    booked = books.joules() or 0.0
    assert booked == pytest.approx(books.gpu_joules + books.meter_joules, rel=1e-9)
    assert all(row.energy_joules >= 0 for row in books.posted.meters.values())


@settings(deadline=None)
@given(TICKS)
def test_a_wall_meter_is_booked_whole(ticks):
    """However sources fall silent and the agent restarts: GPUs and host are what the plug counted, once."""
    books, meter, drawn = run(ticks)

    assert books.gpu_joules == pytest.approx(drawn)
    owed = 0.0 if books.ledger.host is None else -books.ledger.host.debt_joules
    pending = books.ledger.host.meter_joules - books.ledger.host.gpu_joules
    booked = books.gpu_joules + books.meter_joules + pending - owed
    assert booked == pytest.approx(meter)


@settings(deadline=None)
@given(TICKS)
def test_processors_are_booked_whole_however_their_counter_goes_round(ticks):
    """A counter that goes round within 500 s loses nothing as long as somebody looks that often."""
    ticks = [tick for tick in ticks if tick["seconds"] < 300]
    if len(ticks) < 3:
        return
    books, meter, _ = run(ticks, covers="cpu", hears_all=True, range_joules=1e6)

    assert books.meter_joules == pytest.approx(meter, abs=1e-3)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(20, 600), st.floats(0, 400), st.floats(0, 4), st.floats(0, 4)),
        min_size=3,
        max_size=60,
    )
)
def test_moments_that_do_not_fall_together_cost_no_energy(ticks):
    """Meter and GPU are read up to four seconds apart: what was booked too much is owed, to the joule."""
    books = Books(engines=["chat"])
    joules, drawn, read = 0.0, 0.0, []
    for number, (host_watts, gpu_watts, meter_late, gpu_late) in enumerate(ticks):
        # Power changes at whole ticks; each source is read a little later, at its power of then.
        meter_at, gpu_at = 10 * number + meter_late, 10 * number + gpu_late
        counted = joules + meter_late * (host_watts + gpu_watts), drawn + gpu_late * gpu_watts
        posting = books.fold(
            at(10 * number + 5), host(at(meter_at), counted[0]), gpus(gpu(at(gpu_at), counted[1]))
        )
        assert all(row.energy_joules >= 0 for row in posting.meters.values())
        read.append((meter_at, gpu_at, *counted))
        joules += 10 * (host_watts + gpu_watts)
        drawn += 10 * gpu_watts

    (meter_from, gpu_from, meter_first, gpu_first), (_, gpu_next, _, gpu_second), *_ = read
    # What the GPU drew before the meter was first read is no part of what the meter counts.
    ahead = max(meter_from - gpu_from, 0.0) / (gpu_next - gpu_from) * (gpu_second - gpu_first)
    of_host = [
        (meter_joules - meter_first) - (gpu_joules - gpu_first - ahead)
        for _, _, meter_joules, gpu_joules in read[1:]
    ]
    most = max(0.0, *of_host)
    assert books.gpu_joules == pytest.approx(read[-1][3] - gpu_first)
    assert books.meter_joules == pytest.approx(most, abs=1e-3)
    assert books.ledger.host.debt_joules == pytest.approx(of_host[-1] - most, abs=1e-3)
