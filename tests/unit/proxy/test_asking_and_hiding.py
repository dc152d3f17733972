"""Usage is asked for and hidden again: the client sees what it would have seen."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captured import CAPTURES
from evenwatt.proxy.asking import STREAM, asked_for_usage
from evenwatt.proxy.hiding import UsageHider
from evenwatt.proxy.scanner import scanned

FOLDER = CAPTURES / "ollama" / "responses"


def hidden(data, size, *, running=False):
    """Return what a client sees of a stream that comes in pieces of one size."""
    hider = UsageHider(running=running)
    pieces = [hider.feed(data[start : start + size]) for start in range(0, len(data), size)]
    return b"".join([*pieces, hider.end()])


def asked_in(body, *, running):
    """Return a body as it is sent on; None where it goes as it is."""
    return asked_for_usage(body, scanned(body, frozenset({STREAM})), running=running)


def events_of(*documents):
    """Return a stream of events."""
    lines = [json.dumps(document, separators=(",", ":")) for document in documents]
    return b"".join(f"data: {line}\n\n".encode() for line in lines) + b"data: [DONE]\n\n"


@pytest.mark.parametrize("size", [1, 2, 7, 64, 4096])
def test_the_usage_event_of_a_recorded_stream_disappears(size):
    """Recorded with usage, it becomes the stream that was recorded without, but for the random id."""
    asked = (FOLDER / "v1-chat-stream-usage.sse.txt").read_bytes().replace(b"chatcmpl-748", b"ID")
    unasked = (FOLDER / "v1-chat-stream-nousage.sse.txt").read_bytes().replace(b"chatcmpl-633", b"ID")

    assert hidden(asked, size) == unasked


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_zeros_on_every_chunk_disappear_too(size):
    """Ollama's completions have a usage of zeros on each chunk once it is asked for."""
    shown = hidden((FOLDER / "v1-completions-stream-usage.sse.txt").read_bytes(), size)

    assert b"usage" not in shown
    assert shown.endswith(b'"system_fingerprint":"fp_ollama"}\n\ndata: [DONE]\n\n')


def test_running_usage_disappears_where_it_was_asked_for():
    """An engine like vLLM puts it last on each chunk; wherever it stands, its comma goes with it."""
    first = {"id": "1", "choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 3}}
    other = {"usage": {"prompt_tokens": 3}, "id": "1", "choices": [{"delta": {"content": "y"}}]}
    last = {"id": "1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}

    shown = hidden(events_of(first, other, last), 5, running=True)

    assert shown == events_of(
        {key: first[key] for key in ("id", "choices")}, {k: other[k] for k in ("id", "choices")}
    )


def test_usage_that_the_engine_gives_everybody_stays():
    """On the last piece of text, without being asked for: the client would have seen it."""
    stream = events_of({"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 3}})

    assert hidden(stream, 9) == stream


def test_pieces_without_usage_are_handed_on_as_they_came():
    """Byte for byte and piece for piece."""
    hider = UsageHider(running=False)
    piece = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'

    assert hider.feed(piece) is piece


@given(
    st.lists(st.sampled_from(["text", "usage", "ping", "name", "long"]), max_size=12),
    st.integers(1, 80),
    st.sampled_from(["\n", "\r\n"]),
)
def test_only_the_usage_event_is_taken_out_of_any_stream(kinds, size, line_end):
    """Whatever stands around it, and however it is cut."""
    events = {
        "text": 'data: {"choices":[{"delta":{"content":"a \\"usage\\" b"}}]}',
        "usage": 'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
        "ping": ": keep",
        "name": 'event: x\ndata: {"a":1}',
        "long": 'data: {"choices":[{"delta":{"content":"' + "z" * 300 + '"}}]}',
    }
    stream = "".join(events[kind].replace("\n", line_end) + 2 * line_end for kind in kinds).encode()
    expected = "".join(
        events[kind].replace("\n", line_end) + 2 * line_end for kind in kinds if kind != "usage"
    ).encode()

    assert hidden(stream, size) == expected


@given(st.binary(max_size=300), st.integers(1, 50))
def test_bytes_that_are_no_events_come_through(data, size):
    """Nothing is lost of what is not understood."""
    data = data.replace(b'"usage"', b"")

    assert hidden(data, size) == data


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"stream": True}, {"stream_options": {"include_usage": True}, "stream": True}),
        (
            {"stream": True, "stream_options": None},
            {"stream": True, "stream_options": {"include_usage": True}},
        ),
        ({"stream": True, "stream_options": {}}, {"stream": True, "stream_options": {"include_usage": True}}),
        (
            {"stream_options": {"x": 1}, "stream": True},
            {"stream_options": {"include_usage": True, "x": 1}, "stream": True},
        ),
    ],
)
def test_the_question_is_added_and_nothing_else_moves(body, expected):
    """Before, within or in place of the options, by a splice."""
    asked = asked_in(json.dumps(body).encode(), running=False)

    assert asked is not None
    assert json.loads(asked) == expected
    assert list(json.loads(asked)) == list(expected)


@pytest.mark.parametrize(
    "body",
    [
        b'{"stream":false}',
        b"{}",
        b'{"stream":true,"stream_options":{"include_usage":true}}',
        b'{"stream":true,"stream_options":{"include_usage":false}}',
        b'{"stream":true,"stream_options":7}',
        b'{"stream":true',
        b"[]",
        b"",
    ],
)
def test_a_body_stays_where_the_client_said_or_nothing_can_be_said(body):
    """No stream, the client's own word, or nothing that can be read."""
    assert asked_in(body, running=True) is None


def test_running_usage_is_asked_for_where_the_engine_can_tell_it():
    """Of vLLM and SGLang: a stream that is cut off is then known to the last chunk."""
    asked = asked_in(b'{"stream": true}', running=True)

    assert asked is not None
    assert json.loads(asked)["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5), st.booleans())
def test_all_other_keys_keep_their_values(others, running):
    """Whatever else a request says."""
    body = {key: value for key, value in others.items() if key not in {"stream", "stream_options"}}
    body["stream"] = True

    asked = asked_in(json.dumps(body).encode(), running=running)

    assert asked is not None
    told = json.loads(asked)
    del told["stream_options"]
    assert told == body
