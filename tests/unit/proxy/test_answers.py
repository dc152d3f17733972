"""Answers as real engines gave them, read in pieces of every size."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captured import CAPTURES
from evenwatt.proxy.answers import AnswerReader, form_of
from evenwatt.proxy.apis import EMBEDDING, MESSAGES, OLLAMA, OPENAI, RESPONSES, UNMETERED, Api, api_of
from evenwatt.proxy.tokens import Tokens

RESPONSES_FOLDER = CAPTURES / "ollama" / "responses"
LINES, EVENTS, OBJECT = b"application/x-ndjson", b"Text/Event-Stream; charset=utf-8", b"application/json"

RECORDED = [
    ("api-generate-stream.ndjson", OLLAMA, LINES, Tokens(input_tokens=13, output_tokens=8)),
    ("api-chat-stream.ndjson", OLLAMA, LINES, Tokens(input_tokens=13, output_tokens=8)),
    ("api-generate.json", OLLAMA, OBJECT, Tokens(input_tokens=13, output_tokens=8)),
    ("api-chat.json", OLLAMA, OBJECT, Tokens(input_tokens=13, output_tokens=8)),
    ("v1-chat-stream-usage.sse.txt", OPENAI, EVENTS, Tokens(input_tokens=13, output_tokens=7)),
    ("v1-chat-stream-nousage.sse.txt", OPENAI, EVENTS, Tokens()),
    ("v1-chat.json", OPENAI, OBJECT, Tokens(input_tokens=13, output_tokens=7)),
    ("v1-completions-stream-usage.sse.txt", OPENAI, EVENTS, Tokens(input_tokens=13, output_tokens=7)),
    ("v1-messages-stream.sse.txt", MESSAGES, EVENTS, Tokens(input_tokens=13, output_tokens=8)),
    (
        "v1-responses-stream.sse.txt",
        RESPONSES,
        EVENTS,
        Tokens(input_tokens=13, cached_input_tokens=0, output_tokens=2, reasoning_tokens=0),
    ),
]


def read(data, api: Api, content_type, size=None):
    """Return a reader that was fed with a whole answer in pieces of one size."""
    reader = AnswerReader(api, form_of(content_type))
    size = size or len(data)
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    reader.end()
    return reader


def recorded(name: str) -> bytes:
    """Return a recorded answer."""
    return Path(RESPONSES_FOLDER / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "api", "content_type", "expected"), RECORDED, ids=[row[0] for row in RECORDED]
)
def test_recorded_answers_say_their_tokens_at_every_piece_size(name, api, content_type, expected):
    """The counts are those of the answer, wherever it is cut, and its last word is heard."""
    data = recorded(name)

    for size in range(1, len(data) + 1, max(1, len(data) // 400)):
        reader = read(data, api, content_type, size)
        assert reader.tokens() == expected
        assert reader.is_complete
        assert reader.model == "tiny-llama"
        assert not reader.has_failed


@pytest.mark.parametrize("name", ["api-generate-stream.ndjson", "v1-chat-stream-usage.sse.txt"])
def test_every_byte_offset_is_a_fair_place_to_cut(name):
    """Two pieces, cut at every offset there is."""
    data = recorded(name)
    api, content_type = (OLLAMA, LINES) if name.startswith("api") else (OPENAI, EVENTS)
    expected = read(data, api, content_type).tokens()

    for offset in range(len(data)):
        reader = AnswerReader(api, form_of(content_type))
        reader.feed(data[:offset])
        reader.feed(data[offset:])
        assert reader.tokens() == expected


def test_a_request_that_only_loads_a_model_is_told_from_an_answer():
    """It has no counts and asked for no inference."""
    reader = read(recorded("api-generate-load-only.json"), OLLAMA, OBJECT)

    assert reader.is_load


def test_a_last_line_of_ten_megabytes_is_read_without_being_held():
    """The context of an answer has one integer for each token."""
    context = b",".join([b"1234567"] * 1_250_000)
    line = b'{"model":"m","done":true,"context":[' + context + b'],"prompt_eval_count":5,"eval_count":3}\n'

    reader = read(b'{"model":"m","response":"x","done":false}\n' + line, OLLAMA, LINES, 1 << 16)

    assert reader.tokens() == Tokens(input_tokens=5, output_tokens=3)
    assert reader.is_complete


def test_what_ollama_leaves_out_because_it_is_zero_is_zero():
    """An answer of no token has no eval_count; a prompt that is not told is not known."""
    nothing = read(b'{"model":"m","done":true,"prompt_eval_count":5}', OLLAMA, OBJECT)
    untold = read(b'{"model":"m","done":true,"eval_count":5}', OLLAMA, OBJECT)

    assert nothing.tokens() == Tokens(input_tokens=5, output_tokens=0)
    assert untold.tokens() == Tokens(output_tokens=5)


def test_cached_input_is_taken_out_of_input_where_it_is_told():
    """Three disjoint kinds: what was read from a cache was not computed."""
    usage = {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 60}}
    usage |= {"completion_tokens_details": {"reasoning_tokens": 4}}

    reader = read(json.dumps({"model": "m", "usage": usage}).encode(), OPENAI, OBJECT)

    assert reader.tokens() == Tokens(
        input_tokens=40, cached_input_tokens=60, output_tokens=9, reasoning_tokens=4
    )


def test_cached_input_of_messages_stands_outside_their_input():
    """Anthropic's input has neither what was read from the cache nor what was written to it."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30}
    body = json.dumps({"model": "m", "usage": usage | {"output_tokens": 9}}).encode()

    assert read(body, MESSAGES, OBJECT).tokens() == Tokens(
        input_tokens=40, cached_input_tokens=60, output_tokens=9
    )


def test_the_account_of_llama_cpp_counts_where_no_usage_was_asked_for():
    """Its streams end in timings, which tell computed and cached tokens apart."""
    timings = {"cache_n": 11, "prompt_n": 1, "predicted_n": 3, "prompt_ms": 0.4}
    event = b"data: " + json.dumps({"choices": [{"delta": {}}], "timings": timings}).encode() + b"\n\n"

    reader = read(event + b"data: [DONE]\n\n", OPENAI, EVENTS)

    assert reader.tokens() == Tokens(input_tokens=1, cached_input_tokens=11, output_tokens=3)


def test_embeddings_have_a_prompt_and_no_output():
    """That is all of them: nothing is missing."""
    body = b'{"model":"m","data":[{"embedding":[0.1,0.2]}],"usage":{"prompt_tokens":7,"total_tokens":7}}'

    assert read(body, EMBEDDING, OBJECT).tokens() == Tokens(input_tokens=7, output_tokens=0)


def test_comments_pings_and_broken_text_change_nothing():
    """Keep-alive comments of llama.cpp and mlx-lm, event names, and bytes that are no UTF-8."""
    noise = b": keepalive 1/9\n\n:\n\nevent: ping\ndata: {}\n\n"
    noise += b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n'
    usage = b'data:{"model":"m","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}\r\n\r\n'

    reader = read(noise + usage + b"data: [DONE]\r\n\r\n", OPENAI, EVENTS, 5)

    assert reader.tokens() == Tokens(input_tokens=2, output_tokens=1)
    assert reader.is_complete


def test_an_error_within_a_stream_is_a_failure():
    """Under status 200, after the first tokens: each API says it in its own way."""
    assert read(b'{"response":"x","done":false}\n{"error":"died"}\n', OLLAMA, LINES).has_failed
    assert read(b'data: {"error":{"message":"died"}}\n\n', OPENAI, EVENTS).has_failed
    assert read(b'event: error\ndata: {"type":"error","error":{"type":"x"}}\n\n', MESSAGES, EVENTS).has_failed


def test_a_model_of_another_machine_is_remote():
    """Ollama says whose it is."""
    body = b'{"model":"m-cloud","remote_model":"m","remote_host":"https://ollama.com:443","done":true}'

    assert read(body, OLLAMA, OBJECT).is_remote


def test_events_with_text_are_counted_for_a_lower_bound():
    """An event with text stands for one token at least; a role, an end or a summary for none."""
    assert read(recorded("v1-chat-stream-nousage.sse.txt"), OPENAI, EVENTS).texts == 6
    assert read(recorded("v1-messages-stream.sse.txt"), MESSAGES, EVENTS).texts == 8
    assert read(recorded("api-chat-stream.ndjson"), OLLAMA, LINES).texts == 8


@given(st.binary(max_size=400), st.integers(1, 60), st.sampled_from([OLLAMA, OPENAI, MESSAGES, RESPONSES]))
def test_no_bytes_at_all_break_a_reader(data, size, api):
    """Whatever an engine sends, it is read and nothing is raised."""
    for content_type in (LINES, EVENTS, OBJECT):
        reader = read(b'data: {"usage":' + data, api, content_type, size)
        assert reader.tokens() == Tokens()


@pytest.mark.parametrize(
    ("path", "api"),
    [
        (b"/api/chat", OLLAMA),
        (b"/api/embed", EMBEDDING),
        (b"/api/embeddings", UNMETERED),
        (b"/v1/chat/completions", OPENAI),
        (b"/prefix/v1/completions/", OPENAI),
        (b"/completion", OPENAI),
        (b"/v1/embeddings", EMBEDDING),
        (b"/v2/rerank", EMBEDDING),
        (b"/v1/responses", RESPONSES),
        (b"/v1/messages", MESSAGES),
        (b"/v1/messages/count_tokens", None),
        (b"/api/show", None),
        (b"/v1/models", None),
    ],
)
def test_paths_are_known_by_their_end(path, api):
    """Whatever prefix stands before them."""
    assert api_of(b"POST", path) is api
    assert api_of(b"POST", path + b"?a=/x") is api
    assert api_of(b"GET", path) is None
