"""Labels are bounded: the models of one engine beyond the bound share one."""

import pytest
from msgspec.structs import replace

from evenwatt.ledger.tokens import MODELS_PER_ENGINE
from evenwatt.model import OTHER_MODEL
from ledger_values import Books, at, counters, engine


def crowd(number, *, wrote=1):
    """Return many models that all wrote the same."""
    return [counters(f"model-{n:04}", wrote=wrote) for n in range(number)]


@pytest.fixture(params=[False, True], ids=["one agent", "an agent that restarts"])
def fold(request):
    """Return a function that folds one page after another, ten seconds apart, and returns the books."""
    books = Books()
    books.fold(at(0), engine(at(0)))
    pages = []

    def fold(*models):
        nonlocal books
        books = books.reopened() if request.param else books
        pages.append(models)
        moment = at(10 * len(pages))
        books.fold(moment, engine(moment, *models))
        return books

    return fold


def test_as_many_models_as_labels_each_have_their_own(fold):
    """The bound itself folds nothing."""
    books = fold(*crowd(MODELS_PER_ENGINE))

    assert books.tokens(model=OTHER_MODEL) == (None, None)
    assert not books.events("models_folded")


def test_models_beyond_the_bound_share_a_label(fold):
    """What they count is booked together, no token is lost, and it is told once."""
    fold(*crowd(MODELS_PER_ENGINE + 3))
    books = fold(*crowd(MODELS_PER_ENGINE + 3, wrote=2))

    assert books.tokens(model=OTHER_MODEL) == (0, 6)
    assert books.tokens() == (0, 2 * (MODELS_PER_ENGINE + 3))
    (event,) = books.events("models_folded")
    assert f"model-{MODELS_PER_ENGINE:04}" in event.text


def test_a_label_is_kept_for_ever(fold):
    """A name that would sort before all others takes no label from those that have one."""
    fold(*crowd(MODELS_PER_ENGINE + 1))
    books = fold(*crowd(MODELS_PER_ENGINE + 1), counters("a-newcomer", wrote=7))

    assert books.tokens(model="a-newcomer") == (None, None)
    assert books.tokens(model=OTHER_MODEL) == (0, 8)
    assert books.tokens(model="model-0000") == (0, 1)


def test_a_folded_model_that_leaves_the_page_is_no_restart(fold):
    """A smaller sum behind the shared label counts nothing twice."""
    everybody = crowd(MODELS_PER_ENGINE + 2, wrote=100)
    fold(*everybody)
    fold(*everybody[:-1])
    books = fold(*everybody)

    assert books.tokens(model=OTHER_MODEL) == (0, 200)
    assert not books.events("engine_restart")


def test_a_shared_label_tells_what_any_of_its_models_tells(fold):
    """Cached input and requests behind the label are those of the models that tell them."""
    labelled = crowd(MODELS_PER_ENGINE)
    books = fold(
        *labelled,
        counters("x", read=1, cached=5, completed=2),
        counters("y", read=2),
        counters("z", read=4, cached=1, completed=1),
    )

    assert books.total("input_tokens", model=OTHER_MODEL) == 7
    assert books.total("cached_input_tokens", model=OTHER_MODEL) == 6
    assert books.total("requests_completed", model=OTHER_MODEL) == 3


def test_folded_models_share_the_engine_s_time_by_their_label(fold):
    """While idle, the shared label holds what its models' tokens weigh together."""
    page = [*crowd(MODELS_PER_ENGINE, wrote=1), counters("x", wrote=100), counters("y", wrote=100)]
    fold(*page)
    before = fold(*page).seconds("chat", OTHER_MODEL)
    books = fold(*page)

    assert books.seconds("chat", OTHER_MODEL) - before == pytest.approx(5)


def test_labels_of_the_history_are_given_again():
    """An engine whose cursor is gone keeps the labels that its rows have."""
    books = Books()
    books.fold(at(0), engine(at(0)))
    books.fold(at(10), engine(at(10), counters("zebra", wrote=1)))
    machine_only = {"machine": books.posted.cursors["machine"]}
    reopened = Books(posted=replace(books.posted, cursors=machine_only))
    reopened.fold(at(20), engine(at(20), *crowd(MODELS_PER_ENGINE), counters("zebra", wrote=2), started=15))

    assert reopened.tokens(model="zebra") == (0, 3)
    assert reopened.tokens(model=OTHER_MODEL) == (0, 1)
