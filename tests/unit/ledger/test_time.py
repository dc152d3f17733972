"""Where the machine's time goes: gaps, clocks that are set, reboots, and who holds it."""

import pytest

from evenwatt.ledger import HostUse, SourceTotals, Usage
from evenwatt.model import GpusReading
from ledger_values import START, Books, at, counters, engine, gpu, gpus, process

DAY = 86_400


def hosts(books):
    """Return the machine's rows by seconds after the start."""
    return {minute - START: row for minute, row in sorted(books.posted.hosts.items())}


def test_the_first_tick_accounts_for_no_time():
    """The history begins with its first moment."""
    books = Books()
    books.fold(at(0))

    assert books.posted.hosts == {}
    assert books.posted.usage == {}


def test_time_passes_also_when_nothing_is_read():
    """Without an engine and a GPU, time is nobody's."""
    books = Books()
    books.fold(at(0))
    books.fold(at(10))

    assert hosts(books) == {0: HostUse(seconds=10.0, down_seconds=0.0, estimated_seconds=0.0)}
    assert books.posted.usage == {
        (START, "unallocated", ""): Usage(idle_empty_seconds=10.0, down_seconds=0.0)
    }


def test_time_is_cut_at_minutes():
    """A tick over a boundary belongs to both minutes."""
    books = Books()
    books.fold(at(55))
    books.fold(at(65))

    assert {minute: row.seconds for minute, row in hosts(books).items()} == {0: 5, 60: 5}


def test_time_goes_on_over_a_restart_of_the_agent():
    """A new process of the agent goes on from the last recorded moment."""
    books = Books()
    books.fold(at(0))
    books = books.reopened()
    books.fold(at(10))

    assert books.host_seconds == 10


# --- gaps --------------------------------------------------------------------------------------------------


@pytest.fixture
def chat():
    """Return books with an engine that was read at 0."""
    books = Books()
    books.fold(at(0), engine(at(0), counters(wrote=0)))
    return books


def test_an_interval_up_to_the_bound_is_no_gap(chat):
    """A tick that came late by little is an ordinary one."""
    chat.fold(at(30), engine(at(30), counters(wrote=3)))

    assert not chat.events("gap")
    assert {row.estimated for row in chat.rows()} == {0}


def test_a_gap_is_spread_evenly_and_flagged(chat):
    """What was counted while nobody looked is spread over that time, whole tokens, every minute flagged."""
    chat.fold(at(240), engine(at(240), counters(wrote=10)))

    rows = [row for _, row in sorted(chat.posted.usage.items())]
    assert [row.output_tokens for row in rows] == [2, 3, 3, 2]
    assert {row.estimated for row in rows} == {1}
    assert hosts(chat)[60] == HostUse(seconds=60.0, down_seconds=0.0, estimated_seconds=60.0)


def test_a_gap_is_told_for_the_agent_and_for_each_source(chat):
    """Who was not watched and for how long is counted, and told in words."""
    chat.fold(at(240), engine(at(240), counters(wrote=10)))

    assert chat.posted.sources == {
        "agent": SourceTotals(gap_seconds=240),
        "chat": SourceTotals(gap_seconds=240),
    }
    assert {event.subject for event in chat.events("gap")} == {"agent", "chat"}
    assert "240 s" in chat.events("gap")[0].text


def test_a_source_that_was_down_alone_is_a_gap_of_its_own(chat):
    """While the agent looked on, only what the source counted is estimated, not the time."""
    for second in range(20, 100, 20):
        chat.fold(at(second))
    chat.fold(at(100), engine(at(100), counters(wrote=10)))

    assert chat.posted.sources == {"chat": SourceTotals(gap_seconds=100)}
    assert chat.tokens() == (0, 10)
    assert {row.estimated_seconds for row in hosts(chat).values()} == {0}


def test_more_than_a_day_away_is_booked_by_quarter_hours(chat):
    """After a long absence every quarter hour is there, and every token and second."""
    chat.fold(at(2 * DAY), engine(at(2 * DAY), counters(wrote=19_201)))

    assert list(hosts(chat)) == [900 * quarter for quarter in range(192)]
    assert [row.seconds for row in hosts(chat).values()] == pytest.approx([900] * 192)
    assert chat.tokens() == (0, 19_201)
    assert max(row.output_tokens for row in chat.rows()) == 101


# --- clocks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stepped", "way"), [(3_600.0, "forward"), (-3_600.0, "back")])
def test_a_wall_clock_that_is_set_changes_no_total(chat, stepped, way):
    """Lengths do not follow it; minutes from here on have the new time; it is told."""
    for number in range(1, 7):
        moment = at(10 * number, stepped=stepped if number > 3 else 0.0)
        chat.fold(moment, engine(moment, counters(wrote=number)))

    assert chat.host_seconds == pytest.approx(60)
    assert chat.tokens() == (0, 6)
    assert {minute for minute, row in hosts(chat).items() if row.seconds} == {0, stepped}
    (event,) = chat.events("clock_step")
    assert f"{way} by 3,600.0 s" in event.text


def test_suspend_is_time_in_which_nobody_looked(chat):
    """The boot clock runs on while the machine sleeps: its time is accounted for, and flagged."""
    chat.fold(at(8 * 3_600), engine(at(8 * 3_600), counters(wrote=1)))

    assert chat.host_seconds == pytest.approx(8 * 3_600)
    assert chat.total("down_seconds") == 0
    assert sum(row.estimated_seconds for row in hosts(chat).values()) == pytest.approx(8 * 3_600)


# --- reboot ------------------------------------------------------------------------------------------------


def test_a_reboot_is_down_up_to_the_boot(chat):
    """Between the last moment and the boot the machine was off as far as is known; nothing was in memory."""
    moment = at(300, boot="boot-2", uptime=60)
    chat.fold(moment, engine(moment, counters(wrote=5), signals={"header": "2"}, running=1))

    assert chat.host_seconds == 300
    assert sum(row.down_seconds for row in hosts(chat).values()) == 240
    assert hosts(chat)[240] == HostUse(seconds=60.0, down_seconds=0.0, estimated_seconds=60.0)
    assert chat.total("idle_empty_seconds") == 240
    assert chat.total("active_seconds") == 60
    assert chat.total("down_seconds") == 240


def test_a_reboot_that_the_clock_has_no_time_for_is_not_down(chat):
    """Where more uptime is claimed than time has passed, all of it was up."""
    chat.fold(at(10, boot="boot-2", uptime=50))

    assert chat.host_seconds == 10
    assert chat.total("down_seconds") == 0


def test_a_reboot_with_a_clock_that_came_up_early_loses_no_time_later(chat):
    """A wall clock that is behind after a boot gives no negative time, and counting goes on."""
    for second, stepped in ((100, -1_000), (110, -1_000)):
        chat.fold(at(second, boot="boot-2", uptime=second, stepped=stepped))

    assert chat.host_seconds == pytest.approx(10)


# --- who holds the machine's time --------------------------------------------------------------------------


def test_an_engine_alone_has_all_the_time_by_state(chat):
    """Without GPUs the engine holds the machine: active, idle with a model, or not there."""
    chat.fold(at(10), engine(at(10), counters(wrote=1)))
    chat.fold(at(20), engine(at(20), counters(wrote=1)))
    chat.fold(at(30))

    assert chat.total("active_seconds", engine="chat") == 10
    assert chat.total("idle_loaded_seconds", engine="chat") == 10
    assert chat.total("idle_empty_seconds", engine="chat") == 10
    assert chat.seconds("unallocated") is None


@pytest.mark.parametrize("when", [10, 20])
def test_requests_that_run_make_an_engine_active(chat, when):
    """Requests that ran at the beginning or at the end of an interval make it an active one."""
    for second in (10, 20, 30):
        page = engine(at(second), counters(wrote=0), running=int(second == when))
        chat.fold(at(second), page)

    assert chat.total("active_seconds") == 20
    assert chat.total("idle_loaded_seconds") == 10


def test_each_gpu_has_an_equal_part_of_the_time():
    """Two GPUs, one of them an engine's: half of the time is the engine's."""
    books = Books()
    for second in (0, 10):
        books.fold(
            at(second),
            engine(at(second), pid=7),
            gpus(
                gpu(at(second), processes=(process(7),)),
                gpu(at(second), uuid="GPU-b", index=1, processes=()),
            ),
        )

    assert books.seconds("chat") == 5
    assert books.seconds("unallocated") == 5


def test_a_gpu_that_was_not_read_still_has_its_part():
    """While the GPUs are silent, who held them before goes on holding them."""
    books = Books()
    page = {"pid": 7, "running": 0}
    books.fold(at(0), engine(at(0), **page), gpus(gpu(at(0), processes=(process(7),))))
    books.fold(at(10), engine(at(10), **page))
    books = books.reopened()
    books.fold(at(20), engine(at(20), **page))

    assert books.total("idle_loaded_seconds", engine="chat") == 20
    assert books.seconds() == 20


def test_an_engine_that_nobody_reads_any_more_holds_nothing():
    """An engine that was taken out of the configuration leaves its GPU to nobody."""
    books = Books()
    books.fold(at(0), engine(at(0), pid=7), gpus(gpu(at(0), processes=(process(7),))))
    books.engines.clear()
    books.fold(at(10))

    assert books.seconds("chat") is None
    assert books.seconds("unallocated") == 10


def test_the_last_gpu_that_goes_leaves_the_time_to_the_engines():
    """A list without GPUs is a machine without GPUs."""
    books = Books()
    books.fold(at(0), engine(at(0)), gpus(gpu(at(0), processes=())))
    books.fold(at(10), engine(at(10)), GpusReading(moment=at(10), gpus=()))

    assert books.seconds("chat") == 10
    assert books.ledger.gpu_owners == {}
