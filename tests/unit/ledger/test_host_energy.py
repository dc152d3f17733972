"""Host energy: counted once, without the GPUs, never negative, and whose it is."""

import pytest

from evenwatt.ledger import HostRules, LedgerRules
from evenwatt.model import Coverage, Epoch
from ledger_values import Books, at, counters, engine, gpu, gpus, host

BOOT = Epoch(signals={"boot": "boot-1"}, started_boot_seconds=0.0)
NEXT_BOOT = Epoch(signals={"boot": "boot-2"}, started_boot_seconds=0.0)
PACKAGE = {"range_joules": 262_144.0, "most_watts": 500.0}


def rapl(moment, joules, *, epoch=BOOT, **values):
    """Return what processors say."""
    values = {"counter": PACKAGE, **values}
    return host(moment, joules, source="rapl", meter="/sys", covers="cpu", epoch=epoch, **values)


def wall_books(*, watts=300.0, gpu_watts=200.0, ticks=3, rules=None):
    """Return books of a machine at a wall meter, one GPU in it, ticks of ten seconds."""
    books = Books(rules, engines=["chat"])
    for tick in range(ticks):
        now = at(10 * tick)
        books.fold(now, host(now, 7e6 + 10 * tick * watts), gpus(gpu(now, 10 * tick * gpu_watts)))
    return books


def kinds(books):
    """Return the kinds of events about host power."""
    return [event.kind for event in books.posted.events if event.kind.startswith("host_")]


# --- never twice -------------------------------------------------------------------------------------------


def test_gpus_are_taken_out_of_a_wall_meter():
    """Of 300 W at the plug 200 W are the GPU's: 100 W are the host's."""
    books = wall_books(ticks=4)

    assert books.gpu_joules == pytest.approx(6_000)
    assert books.meter_joules == pytest.approx(3_000)
    assert books.metered_seconds == pytest.approx(30)
    assert books.joules() == pytest.approx(9_000)


def test_processors_are_no_gpus():
    """RAPL has no GPU in it: nothing is taken out."""
    books = Books(engines=["chat"])
    for tick in range(3):
        now = at(10 * tick)
        books.fold(now, rapl(now, 600.0 * tick), gpus(gpu(now, 2_000.0 * tick)))

    assert books.meter_joules == pytest.approx(1_200)
    assert books.joules() == pytest.approx(5_200)


def test_the_supply_wastes_part_of_all_that_is_behind_it():
    """At 80 %: 60 W of processors and 20 W of the rest are 100 W at the wall, and 200 W of GPU waste 50 W."""
    rules = LedgerRules(host=HostRules(supply_efficiency=0.8, rest_watts=20.0))
    books = Books(rules, engines=["chat"])
    for tick in range(3):
        now = at(10 * tick)
        books.fold(now, rapl(now, 600.0 * tick), gpus(gpu(now, 2_000.0 * tick)))

    assert books.gpu_joules == pytest.approx(4_000)
    assert books.meter_joules == pytest.approx(20 * (100 + 50))


def test_a_board_sensor_is_behind_the_supply():
    """A sensor of 240 W behind a supply of 80 % is 300 W at the wall, GPUs in it."""
    books = Books(LedgerRules(host=HostRules(supply_efficiency=0.8)), engines=["chat"])
    for tick in range(3):
        now = at(10 * tick)
        books.fold(now, host(now, 2_400.0 * tick, covers="board"), gpus(gpu(now, 2_000.0 * tick)))

    assert books.meter_joules == pytest.approx(20 * 100)


def test_a_calibrated_sensor_goes_before_the_efficiency():
    """A joule of the GPU's sensor that is 1.1 J at the wall adds a tenth to the host."""
    rules = LedgerRules(host=HostRules(gpu_factor=1.1))
    books = Books(rules, engines=["chat"])
    for tick in range(3):
        now = at(10 * tick)
        books.fold(now, rapl(now, 600.0 * tick), gpus(gpu(now, 2_000.0 * tick)))

    assert books.meter_joules == pytest.approx(1_200 + 400)


def test_what_was_booked_too_much_is_owed():
    """A GPU read a moment later than the meter makes no negative energy, and none is lost over time."""
    books = Books(engines=["chat"])
    wall, card = [0, 1_000, 2_000, 6_000, 10_000], [0, 500, 4_500, 5_000, 8_000]
    for tick, (meter, drawn) in enumerate(zip(wall, card, strict=True)):
        now = at(10 * tick)
        posting = books.fold(now, host(now, float(meter)), gpus(gpu(now, float(drawn))))
        assert all(row.energy_joules >= 0 for row in posting.meters.values())

    assert books.meter_joules == pytest.approx(10_000 - 8_000)


def test_host_energy_waits_for_a_gpu_that_is_not_read():
    """While the GPU's energy is not known nothing is booked; then it is taken out of the whole time."""
    books = wall_books(ticks=2)
    for tick in (2, 3):
        books.fold(at(10 * tick), host(at(10 * tick), 7e6 + 3_000.0 * tick))
    waiting = books.meter_joules
    books.fold(at(40), host(at(40), 7e6 + 12_000), gpus(gpu(at(40), 8_000.0)))

    assert waiting == pytest.approx(1_000)
    assert books.meter_joules == pytest.approx(4_000)


def test_a_gpu_that_stays_unknown_is_told():
    """After five minutes the whole meter is booked as host energy, and an event says that GPUs are in it."""
    books = wall_books(ticks=2)
    for tick in range(2, 34):
        books.fold(at(10 * tick), host(at(10 * tick), 7e6 + 3_000.0 * tick))

    assert kinds(books) == ["host_power_source", "host_energy_with_gpus"]
    assert books.meter_joules == pytest.approx(1_000 + 32 * 3_000)

    books.fold(at(340), host(at(340), 7e6 + 3_000.0 * 34), gpus(gpu(at(340), 2_000.0 * 34)))
    for tick in range(35, 100):
        now = at(10 * tick)
        books.fold(now, host(now, 7e6 + 3_000.0 * tick), gpus(gpu(now, 2_000.0 * tick)))

    assert books.meter_joules == pytest.approx(99 * 1_000)
    assert kinds(books)[2:] == ["host_energy_apart"]


def test_gpus_and_meter_that_were_silent_in_turn_are_no_fault_of_the_meter():
    """GPUs that catch up while the meter is silent: what they drew before it was booked is owed, no event."""
    books = Books(engines=["chat"])
    books.fold(at(0), host(at(0), 0.0), gpus(gpu(at(0), 0.0)))
    for now, joules in ((300, 12_300.0), (601, 18_320.0)):
        books.fold(at(now), host(at(now), joules))
    books.fold(at(901), gpus(gpu(at(901), 6_300.0)))
    books.fold(at(902), host(at(902), 24_340.0), gpus(gpu(at(902), 6_300.0)))

    assert books.meter_joules + books.ledger.host.debt_joules == pytest.approx(24_340 - 6_300)
    assert "host_meter_below_gpus" not in kinds(books)


# --- faults of meters --------------------------------------------------------------------------------------


def test_a_counter_goes_round():
    """A counter that ends at 262,144 J and begins at 0 again has not lost a joule."""
    books = Books(engines=["chat"])
    for tick, joules in enumerate((262_000.0, 262_100.0, 56.0)):
        books.fold(at(10 * tick), rapl(at(10 * tick), joules))

    assert books.meter_joules == pytest.approx(100 + 100)


def test_sockets_add_up():
    """Packages and their memory are counted each by itself: one goes round, the others do not."""
    books = Books(engines=["chat"])
    for tick, (first, second, dram) in enumerate([(262_000.0, 10.0, 5.0), (44.0, 110.0, 25.0)]):
        parts = {"package-0": first, "package-1": second, "dram": dram}
        books.fold(at(10 * tick), rapl(at(10 * tick), parts))

    assert books.meter_joules == pytest.approx(188 + 100 + 20)


def test_a_counter_that_may_have_gone_round_unseen_tells_nothing():
    """After an hour without a look a counter of minutes is a baseline again, and an event says so."""
    books = Books(engines=["chat"])
    for seconds, joules in ((0, 1_000.0), (10, 2_000.0), (3_610, 5_000.0), (3_620, 5_500.0)):
        books.fold(at(seconds), rapl(at(seconds), joules))

    assert books.meter_joules == pytest.approx(1_000 + 500)
    assert kinds(books) == ["host_power_source", "host_energy_unknown"]


def test_a_boot_begins_at_zero():
    """What RAPL counted since the machine came up again is booked."""
    books = Books(engines=["chat"])
    books.fold(at(0), rapl(at(0), 1_000.0))
    books.fold(at(10), rapl(at(10), 1_600.0))
    later = at(3_600, boot="boot-2", uptime=60.0)
    books.fold(later, rapl(later, 3_000.0, epoch=NEXT_BOOT))

    assert books.meter_joules == pytest.approx(600 + 3_000)
    assert kinds(books)[1:] == ["host_counter_reset"]


def test_a_wall_meter_counts_on_while_the_machine_is_off():
    """What a plug counted over a reboot is the machine's too."""
    books = Books(engines=["chat"])
    books.fold(at(0), host(at(0), 1_000.0))
    books.fold(at(10), host(at(10), 2_000.0))
    later = at(3_610, boot="boot-2", uptime=60.0)
    books.fold(later, host(later, 20_000.0))

    assert books.meter_joules == pytest.approx(19_000)
    assert books.metered_seconds == pytest.approx(3_610)


def test_one_lower_value_is_a_glitch():
    """A meter that answers 0 once has not begun anew."""
    books = Books(engines=["chat"])
    for tick, joules in enumerate((5_000.0, 6_000.0, 0.0, 8_000.0)):
        books.fold(at(10 * tick), host(at(10 * tick), joules))

    assert books.meter_joules == pytest.approx(3_000)
    assert kinds(books) == ["host_power_source"]


def test_a_meter_that_began_anew_counts_from_there():
    """Two lower values are a new beginning: the value is booked, and an event says what is not known."""
    books = Books(engines=["chat"])
    for tick, joules in enumerate((50_000.0, 51_000.0, 400.0, 1_400.0, 2_400.0)):
        books.fold(at(10 * tick), host(at(10 * tick), joules))

    assert books.meter_joules == pytest.approx(1_000 + 1_400 + 1_000)
    assert kinds(books) == ["host_power_source", "host_counter_reset"]


def test_a_jump_is_not_booked():
    """A million kWh in ten seconds is another unit or another meter."""
    books = Books(engines=["chat"])
    for tick, joules in enumerate((0.0, 1_000.0, 1e12, 1e12 + 1_000, 1e12 + 2_000)):
        books.fold(at(10 * tick), host(at(10 * tick), joules))

    assert books.meter_joules == pytest.approx(1_000 + 1_000)
    assert kinds(books) == ["host_power_source", "host_energy_refused"]


def test_kilowatts_read_as_watts_are_told():
    """A meter in kW read as W says less than its GPU draws: an event, and nothing is booked."""
    books = wall_books(watts=0.3, gpu_watts=200.0, ticks=60)

    assert books.meter_joules == 0
    assert kinds(books) == ["host_power_source", "host_meter_below_gpus"]
    assert "its unit (W or kW)" in books.events("host_meter_below_gpus")[0].text


def test_no_server_draws_less_than_a_watt():
    """The same without a GPU: 0.1 W for a machine is another unit."""
    books = Books(engines=["chat"])
    for tick in range(40):
        books.fold(at(10 * tick), host(at(10 * tick), 1.0 * tick))

    assert kinds(books) == ["host_power_source", "host_meter_below_gpus"]
    assert "less than any server draws" in books.events("host_meter_below_gpus")[0].text


def test_a_meter_that_was_mended_is_booked_again():
    """Once five minutes of it are above the GPUs, at 600 s, host energy goes on, and no debt is left."""
    books = wall_books(watts=100.0, gpu_watts=200.0, ticks=40)
    reached = 7e6 + 39 * 1_000
    for tick in range(40, 140):
        now = at(10 * tick)
        meter = reached + (tick - 39) * 3_000.0
        books.fold(now, host(now, meter), gpus(gpu(now, 2_000.0 * tick)))

    assert kinds(books)[1:] == ["host_meter_below_gpus", "host_meter_fits"]
    assert books.meter_joules == pytest.approx(80 * 1_000)


def test_a_counter_in_steps_is_spread_over_the_time_of_its_step():
    """A plug that counts in 3,600 J books nothing until it moves; its first step began before anyone saw."""
    books = Books(engines=["chat"])
    for tick in range(13):
        books.fold(at(10 * tick), host(at(10 * tick), 3_600.0 * ((10 * tick + 20) // 36)))

    # 100 W: steps at 16 s, 52 s, 88 s (and 124 s); seen at 20 s, 60 s and 90 s.
    assert books.meter_joules == pytest.approx(7_200)
    assert books.metered_seconds == pytest.approx(70)
    assert kinds(books) == ["host_power_source"]
    assert not books.events("gap")


def test_a_frozen_counter_is_told_and_its_catch_up_estimated():
    """A counter that stands still at 300 W is frozen; when it moves again, that time is marked estimated."""
    books = Books(engines=["chat"])
    books.fold(at(0), host(at(0), 0.0, power=300.0))
    books.fold(at(10), host(at(10), 3_000.0, power=300.0))
    for tick in range(2, 160):
        books.fold(at(10 * tick), host(at(10 * tick), 3_000.0, power=300.0))
    frozen = kinds(books)
    books.fold(at(1_600), host(at(1_600), 480_000.0, power=300.0))

    assert frozen == ["host_power_source", "host_meter_frozen"]
    assert kinds(books)[2:] == ["host_meter_moves"]
    assert books.meter_joules == pytest.approx(480_000)
    assert max(row.estimated for row in books.posted.meters.values()) == 1


def test_a_frozen_power_value_is_told():
    """The same watts for a quarter of an hour, while the GPU goes from 50 to 250 W, are no measurement."""
    books = Books(engines=["chat"])
    drawn = 0.0
    for tick in range(130):
        drawn += 10 * (50.0 if tick < 60 else 250.0)
        now = at(10 * tick)
        books.fold(now, host(now, watts=[(10 * tick, 400.0)]), gpus(gpu(now, drawn)))
    booked = books.meter_joules

    for tick in range(130, 140):
        drawn += 2_500.0
        now = at(10 * tick)
        books.fold(now, host(now, watts=[(10 * tick, 351.0 + tick % 2)]), gpus(gpu(now, drawn)))

    assert kinds(books) == ["host_power_source", "host_meter_frozen", "host_meter_moves"]
    assert booked == pytest.approx(600 * 350 + 300 * 150, rel=0.05)
    assert books.meter_joules - booked == pytest.approx(10 * 10 * 101.5, rel=0.15)


def test_a_meter_that_is_gone_comes_back():
    """A counter counted on while nobody could ask it: the time is a gap, spread and marked estimated."""
    books = wall_books(ticks=3)
    for tick in range(3, 30):
        books.fold(at(10 * tick), gpus(gpu(at(10 * tick), 2_000.0 * tick)))
    books.fold(at(300), host(at(300), 7e6 + 90_000), gpus(gpu(at(300), 60_000.0)))

    assert books.meter_joules == pytest.approx(30_000)
    assert [event.subject for event in books.events("gap")] == ["host_power"]
    assert max(row.estimated for row in books.posted.meters.values()) == 1


def test_power_alone_leaves_a_hole_where_it_is_gone():
    """Without a counter nothing is known of a hole, and what the GPU drew in it is not taken out later."""
    books = Books(engines=["chat"])
    for tick in (*range(3), *range(30, 33)):
        now = at(10 * tick)
        books.fold(now, host(now, watts=[(10 * tick, 300.0)]), gpus(gpu(now, 2_000.0 * tick)))

    assert books.metered_seconds == pytest.approx(40)
    assert books.meter_joules == pytest.approx(40 * 100)


def test_another_meter_begins_with_a_baseline():
    """A source that takes the place of another counts nothing of what it counted before."""
    books = Books(engines=["chat"])
    for tick in range(3):
        books.fold(at(10 * tick), rapl(at(10 * tick), 1_000.0 * tick))
    for tick in range(3, 6):
        books.fold(at(10 * tick), host(at(10 * tick), 7e6 + 1_000.0 * tick))

    assert {source for _, source in books.posted.meters} == {"rapl", "http"}
    assert books.meter_joules == pytest.approx(2_000 + 2_000)
    assert kinds(books) == ["host_power_source", "host_power_source"]


# --- whose it is -------------------------------------------------------------------------------------------


def test_host_energy_follows_gpu_energy():
    """Of two engines, the one whose GPU drew three times as much gets three quarters of the host energy."""
    rules = LedgerRules(configured_gpus={"chat": (0,), "code": (1,)})
    books = Books(rules, engines=["chat", "code"])
    for tick in range(3):
        now = at(10 * tick)
        cards = (gpu(now, 300.0 * tick), gpu(now, 100.0 * tick, uuid="GPU-b", index=1))
        books.fold(now, host(now, 1_200.0 * tick), gpus(*cards))

    assert books.meter_joules == pytest.approx(1_600)
    assert books.joules("chat") == pytest.approx(600 + 1_200)
    assert books.joules("code") == pytest.approx(200 + 400)


def test_a_server_without_a_gpu_gives_all_to_its_engines():
    """CPU only: host energy goes where the time goes, active while tokens flow, idle while none do."""
    books = Books()
    for tick, wrote in enumerate((0, 0, 50, 50)):
        now = at(10 * tick)
        reading = engine(now, counters(wrote=wrote), running=int(tick == 2))
        books.fold(now, rapl(now, 1_000.0 * tick), reading)

    assert books.joules("chat") == pytest.approx(3_000)
    assert books.joules() == pytest.approx(3_000)
    assert books.total("active_joules") == pytest.approx(2_000)
    assert books.total("idle_loaded_joules") == pytest.approx(1_000)


def test_nobody_there_is_unallocated():
    """Host energy of a machine without GPU and engine is nobody's."""
    books = Books()
    for tick in range(3):
        books.fold(at(10 * tick), rapl(at(10 * tick), 1_000.0 * tick))

    assert books.joules("unallocated") == pytest.approx(2_000)


def test_it_goes_on_where_the_last_process_stood():
    """A restarted agent counts host energy on from the cursor, once."""
    books = wall_books(ticks=3).reopened()
    for tick in range(3, 6):
        now = at(10 * tick)
        books.fold(now, host(now, 7e6 + 3_000.0 * tick), gpus(gpu(now, 2_000.0 * tick)))

    assert books.meter_joules == pytest.approx(5_000)
    assert books.ledger.host.covers is Coverage.WALL
    assert books.ledger.host.mean_watts == pytest.approx(100)
