"""What an engine's counters say between two readings: first sights, lazy series, restarts, dips."""

import pytest

from evenwatt.ledger import SourceTotals
from ledger_values import START, Books, at, counters, engine


@pytest.fixture
def books():
    """Return books whose history began at 0 and knows no engine."""
    books = Books()
    books.fold(at(0))
    return books


# --- first sight -------------------------------------------------------------------------------------------


def test_a_first_sight_is_a_baseline(books):
    """What an engine counted before anybody watched is told and not booked; what it counts later is."""
    books.fold(at(10), engine(at(10), counters(read=700, wrote=300)))

    assert books.tokens() == (None, None)
    assert "1,000 tokens" in books.events("first_sight")[0].text

    books.fold(at(20), engine(at(20), counters(read=705, wrote=302)))

    assert books.tokens() == (5, 2)
    assert len(books.events("first_sight")) == 1


def test_an_engine_older_than_the_history_is_a_baseline(books):
    """A start before the first moment of the history does not make old tokens ours."""
    books.fold(at(10), engine(at(10), counters(read=7, wrote=3), started=-1))

    assert books.tokens() == (None, None)
    assert len(books.events("first_sight")) == 1


def test_an_engine_that_started_while_watching_counts_from_zero(books):
    """Everything that a process counted since it started under our eyes is booked, where it was."""
    books.fold(at(130), engine(at(130), counters(read=8, wrote=80), started=110))

    assert books.tokens() == (8, 80)
    assert {(START + 60, "chat", "small"), (START + 120, "chat", "small")} <= books.posted.usage.keys()
    assert not books.events("first_sight")


def test_a_start_in_the_tick_of_the_kernel_before_the_first_moment_counts_from_zero(books):
    """The kernel rounds a start down by up to 10 ms: that must not make a younger engine a baseline."""
    books.fold(at(10), engine(at(10), counters(wrote=80), started=-0.009))

    assert books.tokens() == (0, 80)


def test_an_engine_that_started_while_the_agent_was_away_counts_from_zero(books):
    """The agent's own absence does not cost the tokens of a process that began within it."""
    books.fold(at(3_600), engine(at(3_600), counters(wrote=36), started=3_000))

    assert books.tokens() == (0, 36)
    assert books.rows("chat", "small")[0].estimated == 1


def test_an_engine_of_a_later_boot_counts_from_zero(books):
    """A process cannot be older than the boot that it runs in, even where the clock was set back since."""
    moment = at(600, boot="boot-2", uptime=100, stepped=-3_600)
    books.fold(moment, engine(moment, counters(wrote=50), started=-990))

    assert books.tokens() == (0, 50)


def test_a_series_that_an_earlier_page_did_not_have_was_zero(books):
    """A page that is there without counters is a good page: what appears on it later began at zero."""
    books.fold(at(10), engine(at(10)))
    books.fold(at(20), engine(at(20), counters(read=5, wrote=2)))

    assert books.tokens() == (5, 2)


def test_a_model_that_is_loaded_later_counts_from_zero(books):
    """A second model beside a known one began at zero."""
    books.fold(at(10), engine(at(10), counters(wrote=10)))
    books.fold(at(20), engine(at(20), counters(wrote=10), counters("large", wrote=4)))

    assert books.tokens(model="small") == (0, 0)
    assert books.tokens(model="large") == (0, 4)


def test_a_model_that_leaves_the_page_and_returns_is_counted_once(books):
    """A page that leaves a model out for a while does not make it begin again."""
    books.fold(at(10), engine(at(10), counters(wrote=10)))
    books.fold(at(20), engine(at(20)))
    books.fold(at(30), engine(at(30), counters(wrote=13)))

    assert books.tokens() == (0, 3)
    assert not books.events("engine_restart")


# --- restart -----------------------------------------------------------------------------------------------


def test_a_restart_is_told_by_its_identity(books):
    """A new process counts in full even where it has overtaken the old one; once, flagged, and in words."""
    books.fold(at(10), engine(at(10), counters(read=10, wrote=10), signals={"start_time": str(START - 900)}))
    books.fold(at(20), engine(at(20), counters(read=30, wrote=40), signals={"start_time": str(START)}))
    books.fold(at(30), engine(at(30), counters(read=31, wrote=41), signals={"start_time": str(START)}))

    assert books.tokens() == (31, 41)
    assert books.posted.sources["chat"] == SourceTotals(restarts=1)
    (event,) = books.events("engine_restart")
    assert "70 tokens" in event.text
    assert "cannot be known" in event.text
    assert books.posted.usage[START, "chat", "small"].restarted == 1


def test_a_restart_is_told_by_a_value_that_fell(books):
    """Where nothing tells who counts, a falling value does, and the new value is all that is booked."""
    books.fold(at(10), engine(at(10), counters(read=10, wrote=10), signals={}))
    books.fold(at(20), engine(at(20), counters(read=4, wrote=3), signals={}))
    books.fold(at(30), engine(at(30), counters(read=5, wrote=5), signals={}))

    assert books.tokens() == (5, 5)
    assert books.posted.sources["chat"] == SourceTotals(restarts=1)


@pytest.mark.parametrize(
    "fallen",
    [
        counters(read=100, cached=50, wrote=9),
        counters(read=149, cached=0, wrote=10),
        counters(read=99, cached=50, wrote=10),
        counters(read=149, wrote=10),
    ],
)
def test_any_token_counter_that_falls_tells_of_a_restart(books, fallen):
    """Output, cached input and all input together cannot fall within one process; two pages are believed."""
    books.fold(at(10), engine(at(10), counters(read=100, cached=50, wrote=10)))
    books.fold(at(20), engine(at(20), fallen))
    books.fold(at(30), engine(at(30), fallen))

    assert books.tokens() == (fallen.input_tokens, fallen.output_tokens)
    assert books.posted.sources["chat"].restarts == 1


def test_a_model_that_falls_alone_leaves_the_others_alone(books):
    """Where each model has a process of its own, only what fell is counted from zero."""
    books.fold(at(10), engine(at(10), counters(wrote=10), counters("large", wrote=10)))
    for second in (20, 30):
        page = counters(wrote=12), counters("large", wrote=3)
        books.fold(at(second), engine(at(second), *page))

    assert books.tokens(model="small") == (0, 2)
    assert books.tokens(model="large") == (0, 3)
    assert books.posted.sources["chat"].restarts == 1


def test_a_page_that_falls_and_comes_back_books_nothing_twice(books):
    """A series that one page lacks is a fault of the page, as long as nothing else speaks of a restart."""
    for second, wrote in ((10, 1_000), (20, 0), (30, 1_020)):
        books.fold(at(second), engine(at(second), counters(wrote=wrote)))

    assert books.tokens() == (0, 20)
    assert "chat" not in books.posted.sources


def test_processes_that_take_turns_are_each_counted_on(books):
    """Two replicas behind one address: each is counted from where it stood, and neither is a restart."""
    one, two = {"start_time": str(START - 900)}, {"start_time": str(START - 500)}
    for second, signals, wrote in ((10, one, 1_000), (20, two, 5_000), (30, one, 1_007), (40, two, 5_100)):
        books.fold(at(second), engine(at(second), counters(wrote=wrote), signals=signals))

    assert books.tokens() == (0, 107)
    assert "chat" not in books.posted.sources


def test_a_process_older_than_the_last_reading_is_a_baseline(books):
    """Another process that was there before cannot have begun to count since."""
    books.fold(at(10), engine(at(10), counters(wrote=10), signals={"process": "a"}, started=-50))
    books.fold(at(20), engine(at(20), counters(wrote=9_000), signals={"process": "b"}, started=5))
    books.fold(at(30), engine(at(30), counters(wrote=9_005), signals={"process": "b"}, started=5))

    assert books.tokens() == (0, 5)
    assert len(books.events("first_sight")) == 2


def test_a_renamed_engine_is_counted_on(books):
    """The same process under another name books no token twice, also when it gets its old name back."""
    for second, name, wrote in ((10, "found", 50), (20, "chat", 60), (30, "chat", 65), (40, "found", 70)):
        books = Books(engines=(name,), posted=books.posted)
        page = counters(wrote=wrote)
        books.fold(at(second), engine(at(second), page, name=name, signals={"process": "7"}, started=5))

    assert books.tokens("found") == (0, 55)
    assert books.tokens("chat") == (0, 15)
    assert len(books.events("engine_renamed")) == 2


def test_one_process_under_two_names_counts_once():
    """The first name of a tick is read; the second is told of once and counts nothing."""
    books = Books(engines=("chat", "twin"))
    books.fold(at(0))
    for second, wrote in ((10, 50), (20, 60)):
        both = [
            engine(at(second), counters(wrote=wrote), name=name, signals={"process": "7"}, started=5)
            for name in ("chat", "twin")
        ]
        books.fold(at(second), *both)

    assert books.tokens("chat") == (0, 60)
    assert books.tokens("twin") == (None, None)
    assert len(books.events("engine_twin")) == 1


def test_a_page_at_two_addresses_counts_once_where_its_process_is_seen():
    """A published port passes on the page of an engine that is read in its own network as well."""
    books = Books()
    books.fold(at(0))
    for second, wrote in ((10, 50), (20, 60)):
        page = counters(wrote=wrote)
        published = engine(at(second), page, name="port", signals={"created": "a"}, started=5)
        seen = engine(at(second), page, signals={"created": "a", "process": "7"}, started=5)
        books.fold(at(second), published, seen)

    assert (books.tokens("chat"), books.tokens("port")) == ((0, 60), (None, None))


def test_two_processes_are_two_whatever_their_pages_say():
    """The kernel's word is better than a page's."""
    books = Books()
    books.fold(at(0))
    pages = [
        engine(at(10), counters(wrote=5), name=name, signals={"created": "a", "process": name}, started=5)
        for name in ("one", "other")
    ]
    books.fold(at(10), *pages)

    assert (books.tokens("one"), books.tokens("other")) == ((0, 5), (0, 5))


def test_a_restart_lies_between_the_start_of_the_process_and_its_reading(books):
    """What a new process counted is booked where that process ran, not where the old one did."""
    books.fold(at(0), engine(at(0), signals={"start_time": str(START - 900)}))
    books.fold(at(600), engine(at(600), counters(wrote=9), signals={"start_time": str(START)}, started=540))

    minutes = {key[0] for key, row in books.posted.usage.items() if row.output_tokens is not None}
    assert minutes == {START + 540}
    assert books.tokens() == (0, 9)
    assert books.posted.usage[START + 540, "chat", "small"].restarted == 1


def test_a_restart_without_a_page_of_counters_is_flagged_all_the_same(books):
    """An engine that has restarted and counted nothing yet shows the restart."""
    books.fold(at(10), engine(at(10), counters(wrote=10), signals={"start_time": str(START - 900)}))
    books.fold(at(20), engine(at(20), signals={"start_time": str(START)}))

    assert books.posted.usage[START, "chat", ""].restarted == 1
    assert books.posted.sources["chat"].restarts == 1


def test_after_a_restart_a_lazy_series_counts_from_zero(books):
    """What the old process had counted is forgotten with it, also of models the new page lacks at first."""
    old, new = {"start_time": str(START - 900)}, {"start_time": str(START)}
    books.fold(at(10), engine(at(10), counters(wrote=10), signals=old))
    books.fold(at(20), engine(at(20), signals=new))
    books.fold(at(30), engine(at(30), counters(wrote=12), signals=new))

    assert books.tokens() == (0, 12)
    assert books.posted.sources["chat"].restarts == 1


PAGE = {"start_time": str(START - 900), "created": "1"}
KERNEL = {"process": "boot-1 7 70", "boot": "boot-1"}


@pytest.mark.parametrize(
    ("before", "after", "is_restart"),
    [
        pytest.param(PAGE | KERNEL, PAGE | KERNEL, False, id="nothing changed"),
        pytest.param(
            PAGE | KERNEL, PAGE | {"process": "boot-1 8 80"}, False, id="a proxy in front restarted"
        ),
        pytest.param(
            PAGE | KERNEL, PAGE | KERNEL | {"start_time": str(START)}, True, id="the engine restarted"
        ),
        pytest.param(PAGE, PAGE | {"created": "2"}, True, id="counters were made anew in one process"),
        pytest.param({"header": "5"}, {"header": "6"}, True, id="another start header"),
        pytest.param({"header": "5"}, {"header": "5"}, False, id="the same start header"),
        pytest.param(KERNEL, KERNEL | {"process": "boot-1 8 80"}, True, id="another listening process"),
        pytest.param({"listener": "99"}, {"listener": "100"}, True, id="another listening socket"),
        pytest.param({"listener": "99"}, {"listener": "99"}, False, id="the same listening socket"),
        pytest.param({"boot": "boot-1"}, {"boot": "boot-2"}, True, id="another boot"),
        pytest.param(PAGE, KERNEL, False, id="evidence of different kinds says nothing"),
        pytest.param({}, {}, False, id="no evidence says nothing"),
        pytest.param({"start_time": str(START - 900)}, PAGE, False, id="new evidence beside the old"),
    ],
)
def test_who_counts_is_told_by_the_best_evidence_that_both_readings_have(books, before, after, is_restart):
    """The page's word is stronger than the kernel's; where neither speaks twice, the process is the same."""
    books.fold(at(10), engine(at(10), counters(wrote=10), signals=before))
    books.fold(at(20), engine(at(20), counters(wrote=12), signals=after))

    assert books.tokens() == (0, 12 if is_restart else 2)
    assert len(books.events("engine_restart")) == int(is_restart)


# --- dips and absent values --------------------------------------------------------------------------------


def test_a_derived_input_that_dips_is_no_restart_and_loses_nothing(books):
    """Input worked out of two counters may dip; it is made up for before more counts, to the exact total."""
    pages = [(100, 0, 0), (90, 10, 1), (95, 10, 2), (120, 10, 3), (110, 30, 4), (150, 30, 5)]
    booked = []
    for number, (computed, cached, wrote) in enumerate(pages):
        moment = at(10 * number)
        books.fold(moment, engine(moment, counters(read=computed, cached=cached, wrote=wrote)))
        booked.append(books.total("input_tokens"))

    assert booked == [None, 0, 0, 20, 20, 50]
    assert books.total("cached_input_tokens") == 30
    assert not books.events("engine_restart")


def test_a_dip_is_remembered_by_a_new_process_of_the_agent(books):
    """What was counted too early is made up for after the agent restarted as well."""
    for number, (computed, cached) in enumerate(((100, 0), (90, 10), (120, 10))):
        moment = at(10 * number)
        books.fold(moment, engine(moment, counters(read=computed, cached=cached)))
        books = books.reopened()

    assert books.total("input_tokens") == 20


def test_cached_input_that_is_not_told_is_absent(books):
    """An engine that does not tell cached input has none booked, not zero."""
    books.fold(at(10), engine(at(10), counters(read=1)))
    books.fold(at(20), engine(at(20), counters(read=2)))

    assert books.total("cached_input_tokens") is None


def test_cached_input_that_appears_began_at_zero(books):
    """The first cache hit brings the series with it."""
    books.fold(at(10), engine(at(10), counters(read=100)))
    books.fold(at(20), engine(at(20), counters(read=100, cached=20)))

    assert books.total("input_tokens") == 0
    assert books.total("cached_input_tokens") == 20


def test_requests_are_counted_by_outcome(books):
    """An outcome that the page leaves out for a while is not counted twice; one never told is absent."""
    for number, completed in enumerate((5, 7, None, 8)):
        moment = at(10 * number)
        books.fold(moment, engine(moment, counters(completed=completed)))

    assert books.total("requests_completed") == 3
    assert books.total("requests_aborted") is None


def test_requests_alone_tell_of_no_restart(books):
    """Only tokens are relied on to never fall."""
    books.fold(at(10), engine(at(10), counters(wrote=1, completed=5)))
    books.fold(at(20), engine(at(20), counters(wrote=2, completed=4)))

    assert books.total("requests_completed") == 0
    assert not books.events("engine_restart")
