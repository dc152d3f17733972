"""The account of one request: outcome, place, how far its tokens are known, and whose they are."""

import asyncio
import json
import re
import time
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captured import CAPTURES
from evenwatt.clock import boot_seconds
from evenwatt.proxy.answers import form_of
from evenwatt.proxy.apis import MESSAGES, OLLAMA, OPENAI, RESPONSES, UNMETERED
from evenwatt.proxy.exchange import Books, Exchange, user_in
from evenwatt.proxy.facts import UNKNOWN_ENGINE, EngineFacts
from evenwatt.proxy.observations import Observations
from evenwatt.proxy.state import StateFolder
from evenwatt.proxy.totals import Sums, Totals

EVENTS, LINES, OBJECT = (
    form_of(name) for name in (b"text/event-stream", b"application/x-ndjson", b"application/json")
)


@pytest.fixture
def booked(tmp_path):
    """Return a function that runs an account and returns what it came to, with its books."""
    return partial(run_with, tmp_path)


def run_with(folder, use, *, api=OPENAI, engine=UNKNOWN_ENGINE, models=()):
    """Run an account and return what it came to."""

    async def within():
        totals = Totals(StateFolder(folder))
        books = Books(totals=totals, observations=Observations(set(models)), engine=engine)
        use(Exchange(api, books, lambda _asked: "me", boot_seconds()))
        await totals.close()
        await asyncio.sleep(0)  # what the writing thread told last
        shown = dict(totals.shown)
        assert books.observations.running == 0
        return next(iter(shown.items()), None)

    return asyncio.run(within())


def answered(exchange, *events, form=EVENTS):
    """Feed an exchange with events, or with one object."""
    exchange.answered(200, form, b"")
    for event in events:
        data = json.dumps(event) if isinstance(event, dict) else event
        exchange.read(f"data: {data}\n\n".encode() if form == EVENTS else data.encode())


USAGE = {"model": "m", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
TEXT = {"model": "m", "choices": [{"delta": {"content": "x"}}]}


def test_an_answer_with_usage_is_exact(booked):
    """Its client, its model, its tokens."""

    def use(exchange):
        answered(exchange, TEXT, USAGE, "[DONE]")
        exchange.completed()

    owner, sums = booked(use)

    assert tuple(owner) == ("m", "me", "local", "completed", "exact")
    assert sums == Sums(requests=1, input_tokens=5, output_tokens=3)


def test_an_answer_is_booked_once(booked):
    """However many ends it comes to."""

    def use(exchange):
        answered(exchange, USAGE, "[DONE]")
        exchange.completed()
        exchange.completed()
        exchange.aborted()
        exchange.failed()

    _, sums = booked(use)

    assert sums.requests == 1


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_only_the_last_word_waits_for_the_account(tmp_path_factory, data):
    """However a stream is cut, and whenever its account catches up, it is the same."""
    lines = [json.dumps(event) for event in (TEXT, TEXT, USAGE)]
    stream = "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()
    cuts = data.draw(st.lists(st.integers(0, len(stream)) | st.sampled_from(ends_of_events(stream))))
    bounds = [0, *sorted(cuts), len(stream)]
    catches_up = data.draw(st.lists(st.booleans(), min_size=len(bounds), max_size=len(bounds)))
    seen = b""

    def use(exchange):
        nonlocal seen
        exchange.answered(200, EVENTS, b"")
        for (start, end), is_caught_up in zip(pairwise(bounds), catches_up, strict=False):
            is_told = not exchange.defer(stream[start:end]) and exchange.read(stream[start:end])
            seen += stream[start:end]
            assert is_told == seen.endswith(b"[DONE]\n\n")
            if is_caught_up:
                exchange.catch_up()
        exchange.completed()

    owner, sums = run_with(tmp_path_factory.mktemp("state"), use)

    assert (owner.outcome, owner.counted) == ("completed", "exact")
    assert sums == Sums(requests=1, input_tokens=5, output_tokens=3)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("name", "api", "form"),
    [
        ("api-generate-stream.ndjson", OLLAMA, LINES),
        ("api-chat-stream.ndjson", OLLAMA, LINES),
        ("v1-chat-stream-usage.sse.txt", OPENAI, EVENTS),
        ("v1-messages-stream.sse.txt", MESSAGES, EVENTS),
        ("v1-responses-stream.sse.txt", RESPONSES, EVENTS),
    ],
)
def test_the_last_word_of_every_interface_is_heard_before_it_is_shown(booked, name, api, form, line_end):
    """Event by event, as engines send them: the last one is read at once, no earlier one is taken for it."""
    stream = (CAPTURES / "ollama" / "responses" / name).read_bytes().replace(b"\n", line_end)
    end = line_end * 2 if form == EVENTS else line_end
    pieces = [event + end for event in stream.removesuffix(end).split(end)]
    told = []

    def use(exchange):
        exchange.answered(200, form, b"")
        for piece in pieces:
            told.append(not exchange.defer(piece) and exchange.read(piece))
            exchange.catch_up()
        exchange.aborted()

    booked(use, api=api)

    assert told == [*[False] * (len(pieces) - 1), True]


def test_the_first_text_came_when_it_came_and_not_when_it_was_read(booked):
    """A client that takes its time is no slow engine."""
    seen = []

    def use(exchange):
        exchange.answered(200, EVENTS, b"")
        assert exchange.defer(f"data: {json.dumps(TEXT)}\n\n".encode())
        came_seconds = boot_seconds() - exchange._began_boot_seconds
        time.sleep(0.01)
        exchange.catch_up()
        seen.append(0 < exchange._first_text_seconds <= came_seconds)
        exchange.aborted()

    booked(use)

    assert seen == [True]


def ends_of_events(stream):
    """Return where events end in a stream."""
    return [match.end() for match in re.finditer(rb"\n\n", stream)]


def test_an_event_that_a_client_has_is_in_the_account_when_it_goes(booked):
    """What was passed on and not yet read is read first."""

    def use(exchange):
        answered(exchange, TEXT)
        assert exchange.defer(f"data: {json.dumps(TEXT)}\n\n".encode())
        exchange.aborted()

    _, sums = booked(use)

    assert sums.output_tokens == 2


def test_usage_that_waits_when_a_stream_ends_is_in_its_account(booked):
    """Of an engine that ends its stream without a last word."""

    def use(exchange):
        answered(exchange, TEXT, USAGE)
        exchange.completed()

    owner, sums = booked(use)

    assert (owner.outcome, owner.counted) == ("completed", "exact")
    assert sums == Sums(requests=1, input_tokens=5, output_tokens=3)


def test_a_whole_answer_without_usage_is_unknown(booked):
    """Not 0: its tokens are nobody's guess."""

    def use(exchange):
        answered(exchange, TEXT, "[DONE]")
        exchange.completed()

    owner, sums = booked(use)

    assert (owner.outcome, owner.counted) == ("completed", "unknown")
    assert sums == Sums(requests=1)


def test_an_aborted_stream_with_running_usage_is_known_to_its_last_event(booked):
    """At least that much was generated."""
    running = TEXT | {"usage": {"prompt_tokens": 9, "completion_tokens": 4}}

    def use(exchange):
        answered(exchange, TEXT, running)
        exchange.aborted()

    owner, sums = booked(use)

    assert (owner.outcome, owner.counted) == ("aborted", "lower_bound")
    assert sums == Sums(requests=1, input_tokens=9, output_tokens=4)


def test_zeros_of_a_stream_that_was_cut_off_are_no_counts(booked):
    """Some engines say 0 until the end."""
    zeros = TEXT | {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}

    def use(exchange):
        answered(exchange, zeros, zeros)
        exchange.failed()

    _, sums = booked(use)

    assert sums == Sums(requests=1, output_tokens=2)


def test_a_stream_that_ends_without_its_last_word_has_failed(booked):
    """Ollama ends so when its runner dies: no usage, no [DONE]."""

    def use(exchange):
        answered(exchange, TEXT)
        exchange.completed()

    owner, _ = booked(use)

    assert (owner.outcome, owner.counted) == ("failed", "lower_bound")


def test_one_of_several_choices_is_a_lower_bound_on_llama_cpp(booked):
    """It tells the tokens of one of them."""

    def use(exchange):
        exchange.asked = {("n",): 3}
        answered(exchange, USAGE | {"timings": {"prompt_n": 5, "predicted_n": 3}}, form=OBJECT)
        exchange.completed()

    owner, _ = booked(use, engine=EngineFacts(kind="llamacpp", only_model="served"))

    assert owner.counted == "lower_bound"
    assert owner.model == "served"


def test_the_zero_that_older_ollama_writes_for_cached_input_is_not_known(booked):
    """Its responses interface writes it whatever was cached."""
    usage = {"input_tokens": 5, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 0}}

    def use(exchange):
        answered(exchange, {"model": "m", "usage": usage}, form=OBJECT)
        exchange.completed()

    owner, sums = booked(use, api=RESPONSES, engine=EngineFacts(kind="ollama"))

    assert owner.model == "m:latest"
    assert sums == Sums(requests=1, input_tokens=5, output_tokens=3)


def test_more_models_than_the_bound_are_other(booked):
    """A client that makes up names makes up no more labels."""

    def use(exchange):
        answered(exchange, USAGE, form=OBJECT)
        exchange.completed()

    owner, _ = booked(use, models=[f"m{number}" for number in range(200)])

    assert owner.model == "other"


def test_an_answer_that_cannot_be_decoded_is_unknown_and_not_failed(booked):
    """It is the client's, and whole for all that we know."""

    def use(exchange):
        exchange.answered(200, EVENTS, b"zstd")
        exchange.read(b"\x28\xb5\x2f\xfd")
        exchange.completed()

    owner, _ = booked(use)

    assert (owner.outcome, owner.counted) == ("completed", "unknown")


def test_inference_of_an_interface_that_tells_nothing_counts_as_requests(booked):
    """Old embeddings of Ollama, for one."""

    def use(exchange):
        answered(exchange, {"embedding": [0.1]}, form=OBJECT)
        exchange.completed()

    owner, sums = booked(use, api=UNMETERED)

    assert (owner.outcome, owner.counted) == ("completed", "unknown")
    assert sums == Sums(requests=1)


def test_loading_a_model_is_not_booked(booked):
    """Nobody asked for a token."""

    def use(exchange):
        answered(exchange, {"model": "m", "done": True, "done_reason": "load"}, form=OBJECT)
        exchange.completed()

    assert booked(use, api=OLLAMA) is None


def test_users_are_found_where_each_interface_has_them():
    """OpenAI's field and Anthropic's."""
    assert user_in({("user",): "ann"}) == "ann"
    assert user_in({("metadata", "user_id"): "bob"}) == "bob"
    assert user_in({("user",): 7}) is None
