"""Counters that move in steps: the step is kept beside them and told; a later page has what one left out."""

import pytest

from evenwatt.ledger.cursors import engine_key, stored_engine
from evenwatt.readings.engines import ADAPTERS
from evenwatt.readings.exposition import parse_samples
from ledger_values import Books, at, counters, engine

PRINTED = (b"999990", b"1.00001e+06", b"1.00001e+06", b"1.00002e+06", b"1.00003e+07", b"1.00003e+07")
"""What a llama-server printed of its output, ten seconds apart."""


def of_llamacpp(printed):
    """Return the model of a page of llama.cpp."""
    adapter = ADAPTERS["llamacpp"]
    page = b"llamacpp:prompt_tokens_total 5\nllamacpp:tokens_predicted_total " + printed + b"\n"
    return adapter.models(parse_samples(page, adapter.wanted), "small")[0]


def step_in_cursor(books):
    """Return the step that the ledger would begin with again."""
    (state,) = stored_engine(books.posted.cursors[engine_key("chat")]).models.values()
    return state.step_tokens


@pytest.mark.parametrize("restarts", [False, True], ids=["one agent", "an agent that restarts"])
def test_step_of_llamacpp_is_kept_and_told_each_time_it_grows(restarts):
    """Above a million it is ten, above ten millions a hundred; what lies between comes with the next page."""
    books = Books()
    steps = []
    for number, printed in enumerate(PRINTED):
        books = books.reopened() if restarts else books
        books.fold(at(10 * number), engine(at(10 * number), of_llamacpp(printed)))
        steps.append(step_in_cursor(books))

    assert steps == [1, 10, 10, 10, 100, 100]
    texts = [event.text for event in books.events("counters_in_steps")]
    assert ["steps of 10 " in text for text in texts] == [True, False]
    assert ["steps of 100 " in text for text in texts] == [False, True]
    assert books.tokens() == (0, 10_000_300 - 999_990)


def test_step_at_first_sight_is_told_with_the_baseline():
    """Whoever looks up the baseline finds how exact it is."""
    books = Books()
    books.fold(at(0), engine(at(0), counters(wrote=2_000_000, step=10)))

    assert len(books.events("first_sight")) == len(books.events("counters_in_steps")) == 1


def test_exact_counters_have_no_step():
    """Nothing is told of an engine that prints every token."""
    books = Books()
    books.fold(at(0), engine(at(0), counters(wrote=2_000_000)))
    books.fold(at(10), engine(at(10), counters(wrote=2_000_001)))

    assert not books.events("counters_in_steps")
    assert step_in_cursor(books) == 1


def test_cursor_of_an_older_release_has_no_step():
    """It was not stored: the next page tells it."""
    books = Books()
    books.fold(at(0), engine(at(0), counters(wrote=2_000_000, step=10)))
    stored = books.posted.cursors[engine_key("chat")]
    for model in stored["models"].values():
        del model["step_tokens"]

    (state,) = stored_engine(stored).models.values()

    assert state.step_tokens == 1
