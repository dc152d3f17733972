"""Engines whose models are processes of their own: each is counted from zero and once, and its end told."""

import pytest
from msgspec.structs import replace

from evenwatt.ledger import LedgerRules
from evenwatt.ledger.cursors import is_part_key
from evenwatt.model import EnginePart, Epoch
from ledger_values import UPTIME, Books, at, counters, engine


def part(moment, *models, name="p1", model="small", process=None, started=None, running=0, **values):
    """Return a process of an engine; `started` is in seconds after the start of the tests."""
    return EnginePart(
        name=name,
        model=model,
        moment=moment,
        epoch=Epoch(
            signals={"process": process or name},
            started_boot_seconds=None if started is None else UPTIME + started,
        ),
        models=None if values.pop("unread", False) else models,
        requests_running=running,
        **values,
    )


def ollama(moment, *parts, name="chat"):
    """Return the reading of an engine with processes."""
    reading = engine(moment, name=name)
    return type(reading)(
        engine=name, kind="ollama", moment=moment, epoch=reading.epoch, models=(), parts=parts
    )


@pytest.fixture
def books():
    """Return books that have read an engine without any process yet."""
    books = Books()
    books.fold(at(0), ollama(at(0)))
    return books


def part_cursors(books):
    """Return the keys of processes that are remembered."""
    return [key for key, state in books.posted.cursors.items() if is_part_key(key) and state]


def test_a_process_that_started_while_watching_counts_from_zero(books):
    """All that a model counted since it was loaded is booked, under its engine and name."""
    books.fold(at(20), ollama(at(20), part(at(20), counters(read=8, wrote=80), started=12)))

    assert books.tokens(model="small") == (8, 80)
    assert books.events("first_sight")[0].text.startswith("first seen with 0 tokens")


def test_a_process_older_than_the_history_is_a_baseline():
    """What a model counted before anybody watched is told and not booked."""
    books = Books()
    books.fold(at(0))
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=8, wrote=80), started=-5)))

    assert books.tokens() == (None, None)

    books.fold(at(20), ollama(at(20), part(at(20), counters(read=9, wrote=82), started=-5)))

    assert books.tokens() == (1, 2)


def test_a_process_whose_start_nobody_tells_counts_from_zero_where_it_was_not_there_before(books):
    """An engine on another machine lists its processes: a new one began after the last reading."""
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=8, wrote=80))))

    assert books.tokens() == (8, 80)


def test_a_process_that_was_listed_but_never_read_is_a_baseline(books):
    """A model that slept since before the agent looked has counted nobody knows when."""
    books.fold(at(10), ollama(at(10), part(at(10), unread=True)))
    books.fold(at(20), ollama(at(20), part(at(20), counters(read=8, wrote=80))))

    assert books.tokens() == (None, None)


def test_an_orderly_unload_loses_nothing(books):
    """The last page of a process that was read idle is all of it; the same model counts anew afterwards."""
    first = {"name": "p1", "started": 1}
    second = {"name": "p2", "started": 21}
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=5, wrote=50), **first)))
    books.fold(at(20), ollama(at(20), part(at(18), counters(read=8, wrote=80), has_ended=True, **first)))
    books.fold(at(30), ollama(at(30), part(at(30), counters(read=3, wrote=30), **second)))

    assert books.tokens(model="small") == (11, 110)
    assert not books.events("model_cut_short")
    assert books.total("restarted") == 0
    assert part_cursors(books) == ["part:chat:p2"]


def test_a_model_that_two_processes_served_in_one_tick_counts_both(books):
    """One that ended and one that began between two readings are told apart."""
    books.fold(
        at(10),
        ollama(
            at(10),
            part(at(4), counters(read=5, wrote=50), name="p1", started=1, has_ended=True),
            part(at(10), counters(read=3, wrote=30), name="p2", started=5),
        ),
    )

    assert books.tokens(model="small") == (8, 80)


def test_the_tail_of_a_process_that_ended_at_work_is_flagged(books):
    """What it counted after its last page cannot be known: an event, a restart, a flagged minute."""
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=5, wrote=50), started=1, running=1)))
    books.fold(
        at(20),
        ollama(
            at(20), part(at(10), counters(read=5, wrote=50), started=1, has_ended=True, is_cut_short=True)
        ),
    )

    assert books.tokens() == (5, 50)
    (told,) = books.events("model_cut_short")
    assert "'small'" in told.text
    assert books.posted.sources["chat"].restarts == 1
    assert books.total("restarted", model="small") == 1


def test_a_process_that_ended_while_nobody_looked_is_flagged(books):
    """The agent was away, or the engine could not be read: nobody saw the end."""
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=5, wrote=50), started=1)))
    again = books.reopened()
    again.fold(at(20), ollama(at(20)))

    assert len(again.events("model_cut_short")) == 1
    assert part_cursors(again) == []


def test_a_process_that_cannot_be_read_for_a_while_counts_on(books):
    """It lives: nothing is flagged, nothing counted twice."""
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=5, wrote=50), started=1)))
    books.fold(at(20), ollama(at(20), part(at(20), unread=True, started=1)))
    books.fold(at(30), ollama(at(30), part(at(30), counters(read=7, wrote=70), started=1)))

    assert books.tokens() == (7, 70)
    assert not books.events("model_cut_short")


def test_an_engine_that_is_down_keeps_its_processes(books):
    """Without a reading nobody knows who ended."""
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=5, wrote=50), started=1)))
    books.fold(at(20))
    books.fold(at(30), ollama(at(30), part(at(30), counters(read=6, wrote=60), started=1)))

    assert books.tokens() == (6, 60)


def test_a_new_process_of_the_agent_counts_on(books):
    """Cursors of processes come back from the history."""
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=5, wrote=50), started=1)))
    again = books.reopened()
    again.fold(at(20), ollama(at(20), part(at(20), counters(read=6, wrote=60), started=1)))

    assert again.tokens() == (6, 60)


def test_a_renamed_engine_takes_its_processes_along(books):
    """A found engine that gets a name in the configuration is counted once."""
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=5, wrote=50), started=1)))
    books.engines = ["home"]
    books.fold(at(20), ollama(at(20), part(at(20), counters(read=6, wrote=60), started=1), name="home"))

    assert books.tokens("chat") == (5, 50)
    assert books.tokens("home") == (1, 10)
    assert part_cursors(books) == ["part:home:p1"]


def test_a_process_that_is_read_as_an_engine_of_its_own_counts_once(books):
    """The engine that the configuration names goes first."""
    own = engine(at(10), counters(read=5, wrote=50), name="own", signals={"process": "p1"}, started=1)
    books.fold(at(10), ollama(at(10), part(at(10), counters(read=5, wrote=50), started=1)), own)

    assert books.tokens("own") == (5, 50)
    assert books.tokens("chat") == (None, None)
    assert len(books.events("engine_twin")) == 1


def test_idle_time_goes_to_the_models_that_are_loaded(books):
    """While nothing runs, time is shared by the models in memory, and not by those that were unloaded."""
    a = part(at(10), counters("a", wrote=10), name="a", model="a", started=1)
    b = part(at(10), counters("b", wrote=10), name="b", model="b", started=1)
    books.fold(at(10), ollama(at(10), a, b))
    before = books.seconds(model="b")
    gone = part(at(10), counters("a", wrote=10), name="a", model="a", started=1, has_ended=True)
    books.fold(
        at(20), ollama(at(20), gone, part(at(20), counters("b", wrote=10), name="b", model="b", started=1))
    )
    books.fold(at(30), ollama(at(30), part(at(30), counters("b", wrote=10), name="b", model="b", started=1)))

    assert books.seconds(model="b") - before >= 10.0


# --- chains ------------------------------------------------------------------------------------------------


def gateway(moment, *models, name="gate"):
    """Return the reading of a gateway."""
    reading = engine(moment, *models, name=name, started=1)
    return type(reading)(
        engine=name,
        kind="litellm",
        moment=moment,
        epoch=reading.epoch,
        models=reading.models,
        is_gateway=True,
    )


def test_a_gateway_and_the_engine_behind_it_count_each_token_once():
    """The engine counts; the gateway is told to be left out, once, and costs nothing."""
    books = Books()
    books.fold(at(0))
    for second in (10, 20):
        read = counters(read=second, wrote=second)
        books.fold(at(second), gateway(at(second), read), engine(at(second), read, started=1))

    assert books.tokens("chat") == (20, 20)
    assert books.tokens("gate") == (None, None)
    assert books.seconds("gate") is None
    (told,) = books.events("gateway_left_out")
    assert "chat" in told.text


def test_a_gateway_alone_counts():
    """Where nothing behind it is read it is the only meter."""
    books = Books()
    books.fold(at(0))
    books.fold(at(10), gateway(at(10), counters(read=5, wrote=50)))

    assert books.tokens("gate") == (5, 50)


@pytest.mark.parametrize(("stated", "tokens"), [(True, (5, 50)), (False, (None, None))])
def test_the_configuration_has_the_last_word(stated, tokens):
    """A gateway to other machines is added up beside an engine of this one, where its owner says so."""
    books = Books(LedgerRules(in_totals={"gate": stated}))
    books.fold(at(0))
    read = counters(read=5, wrote=50)
    books.fold(at(10), gateway(at(10), read), engine(at(10), read, started=1))

    assert books.tokens("gate") == tokens
    assert not books.events("gateway_left_out")


def test_dynamo_s_frontend_counts_where_no_worker_of_its_own_is_read():
    """Beside an engine that works for somebody else; with a worker of Dynamo's, that one counts."""
    books = Books()
    books.fold(at(0))
    for second in (10, 20):
        read = counters(read=second, wrote=second)
        front = replace(engine(at(second), read, name="front", started=1), kind="dynamo")
        books.fold(at(second), front, engine(at(second), read, name="other", started=1))
    assert books.tokens("front") == (20, 20)

    for second in (30, 40):
        read = counters(read=second, wrote=second)
        front = replace(engine(at(second), read, name="front", started=1), kind="dynamo")
        worker = engine(at(second), read, name="worker", started=21, front_kind="dynamo")
        books.fold(at(second), front, worker)

    assert books.tokens("front") == (20, 20)
    assert books.tokens("worker") == (40, 40)
    (told,) = books.events("gateway_left_out")
    assert "worker" in told.text

    read = counters(read=50, wrote=50)
    front = replace(engine(at(50), read, name="front", started=1), kind="dynamo")
    books.fold(at(50), front, engine(at(50), read, name="worker", started=21))

    assert books.tokens("front") == (30, 30), "what was its worker works for nobody now"


def test_a_gateway_that_is_left_out_and_comes_back_counts_nothing_twice():
    """What it counted while it was left out was counted by the engine."""
    books = Books()
    books.fold(at(0))
    books.fold(at(10), gateway(at(10), counters(read=5, wrote=50)))
    books.fold(at(20), gateway(at(20), counters(read=6, wrote=60)), engine(at(20), counters()))
    books.fold(
        at(30), gateway(at(30), counters(read=7, wrote=70)), engine(at(30), counters(read=1, wrote=10))
    )
    books.engines.remove("chat")
    books.fold(at(40), gateway(at(40), counters(read=7, wrote=70)))

    assert books.tokens("gate") == (5, 50)
    assert books.tokens("chat") == (1, 10)


def test_a_proxy_and_the_engine_behind_it_count_each_token_once():
    """The process that computes for a proxy is another engine, which counts, also while it is silent."""
    books = Books()
    books.fold(at(0))
    for second in (10, 20, 30):
        read = counters(read=second, wrote=second)
        before = engine(at(second), read, name="front", signals={"process": "b:7:1"}, started=1, pid=8)
        behind = engine(at(second), read, signals={"process": "b:8:1"}, started=1, pid=8)
        books.fold(at(second), *([before] if second == 20 else [before, behind]))

    assert books.tokens("chat") == (30, 30)
    assert books.tokens("front") == (None, None)
    assert len(books.events("gateway_left_out")) == 1
