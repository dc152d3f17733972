"""Connections to the engine: answers in any framing and any pieces, kept or cut, and broken ones told."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from evenwatt.errors import EngineBroke, EngineUnreachable
from evenwatt.proxy.upstream import Upstream
from raw_engine import RawEngine

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
SIZED = b"HTTP/1.1 201 Made\r\nX-A: 1\r\nx-a: 2\r\nX-B: \xfc\r\nContent-Length: 5\r\n\r\nabcde"


def asked(engine, times=1, method="GET", body=None):
    """Ask an engine, and return the answers with their pieces."""

    async def run():
        async with engine as url:
            upstream = Upstream(url)
            answers = []
            for _ in range(times):
                answer = await upstream.request(
                    method, "/a?b=%2F", CIMultiDict({"Host": "h", "X-MiXed": "1"}), body
                )
                pieces = []
                try:
                    while piece := await answer.read():
                        pieces.append(piece)
                finally:
                    answer.close()
                answers.append((answer, pieces))
            upstream.close()
            return answers

    return asyncio.run(run())


def test_chunks_come_one_by_one():
    """Two chunks in one packet are two pieces, as the engine meant them."""
    ((answer, pieces),) = asked(RawEngine(CHUNKED))

    assert answer.status == 200
    assert pieces == [b"abc", b"de"]


def test_headers_keep_spelling_order_and_bytes():
    """Repeated ones are repeated, and what is no UTF-8 is taken for Latin-1."""
    ((answer, pieces),) = asked(RawEngine(SIZED))

    assert (answer.status, answer.reason) == (201, "Made")
    assert list(answer.headers.items())[:2] == [("X-A", "1"), ("x-a", "2")]
    assert answer.headers["X-B"] == "ü"
    assert b"".join(pieces) == b"abcde"


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.sampled_from([CHUNKED, SIZED, b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED]))
def test_answers_come_whole_at_every_piece_size(size, data):
    """However the network cuts them; an answer that only tells of another is passed over."""
    ((answer, pieces),) = asked(RawEngine(data, size))

    assert answer.status in {200, 201}
    assert b"".join(pieces) == b"abcde"


def test_an_answer_without_framing_ends_with_its_connection():
    """As HTTP/1.0 servers end theirs."""
    ((_, pieces),) = asked(RawEngine(b"HTTP/1.0 200 OK\r\n\r\nabcde", closes=True))

    assert b"".join(pieces) == b"abcde"


def test_a_connection_carries_one_exchange_after_another():
    """It is kept where the engine keeps it."""
    engine = RawEngine(CHUNKED)

    asked(engine, times=3)

    assert engine.connections == 1
    assert len(engine.requests) == 3


def test_a_connection_that_the_engine_closes_is_not_used_again():
    """Each request then has its own."""
    engine = RawEngine(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", closes=True)

    asked(engine, times=3)

    assert engine.connections == 3


def test_requests_go_as_they_are_given():
    """Target and headers untouched; a body with its length, pieces in chunks."""
    whole, chunked = RawEngine(SIZED), RawEngine(SIZED)

    async def pieces():
        yield b"ab"
        yield b"cde"

    asked(whole, method="POST", body=b"abcde")
    asked(chunked, method="POST", body=pieces())

    assert whole.requests == [
        b"POST /a?b=%2F HTTP/1.1\r\nHost: h\r\nX-MiXed: 1\r\nContent-Length: 5\r\n\r\nabcde"
    ]
    assert chunked.requests[0].endswith(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")


def test_an_answer_to_head_has_no_body():
    """Whatever length its headers tell."""
    ((answer, pieces),) = asked(RawEngine(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), method="HEAD")

    assert answer.headers["Content-Length"] == "5"
    assert pieces == []


def test_trailers_are_kept():
    """They come behind the last chunk."""
    data = CHUNKED.removesuffix(b"\r\n") + b"X-Sum: 7\r\n\r\n"

    ((answer, pieces),) = asked(RawEngine(data))

    assert b"".join(pieces) == b"abcde"
    assert answer.trailers == [(b"X-Sum", b"7")]


@pytest.mark.parametrize(
    "data",
    [
        CHUNKED[:-8],
        SIZED[:-1],
        b"HTTP/1.1 200 OK\r\nX: ",
        b"",
        b"SSH-2.0-nonsense\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000 + b"\r\n\r\n",
    ],
)
def test_broken_answers_are_told(data):
    """Cut off at any point, no HTTP, or headers without end."""
    with pytest.raises(EngineBroke):
        asked(RawEngine(data, closes=True))


def test_more_than_was_asked_for_is_cut():
    """A second answer to one request reaches nobody."""
    engine = RawEngine(SIZED + SIZED)

    answers = asked(engine, times=2)

    assert [b"".join(pieces) for _, pieces in answers] == [b"abcde", b"abcde"]
    assert engine.connections == 2


def test_an_engine_that_is_not_there_is_told():
    """With its address and what to look at."""

    async def run():
        await Upstream("http://127.0.0.1:9").request("GET", "/", CIMultiDict())

    with pytest.raises(EngineUnreachable, match=r"127\.0\.0\.1:9.*Is it running"):
        asyncio.run(run())


def test_a_slow_reader_holds_the_engine_back():
    """What is not read is not taken from the network without end."""

    async def run():
        engine = RawEngine(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + bytes(50_000_000))
        async with engine as url:
            upstream = Upstream(url)
            answer = await upstream.request("GET", "/", CIMultiDict({"Host": "h"}))
            await asyncio.sleep(0.2)
            unread = engine.sent_bytes
            length = 0
            while piece := await answer.read():
                length += len(piece)
            answer.close()
            upstream.close()
            return unread, length

    unread, length = asyncio.run(run())

    assert unread < 20_000_000  # most of it in the kernel's buffers
    assert length == 50_000_000
