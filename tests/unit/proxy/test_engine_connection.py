"""Connections to the engine: answers in any framing and any pieces, kept or cut, and broken ones told."""

import asyncio
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenwatt.errors import EngineBroke, EngineUnreachable
from evenwatt.proxy.engine_connection import EngineConnection
from evenwatt.proxy.upstream import Upstream
from raw_engine import RawEngine

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
SIZED = b"HTTP/1.1 201 Made\r\nX-A: 1\r\nx-a: 2\r\nX-B: \xfc\r\nContent-Length: 5\r\n\r\nabcde"


def asked(engine, times=1, method=b"GET", body=b"", framing=()):
    """Ask an engine, and return the answers with their pieces."""

    async def run():
        async with engine as url:
            upstream = Upstream(url)
            answers = []
            for _ in range(times):
                connection = upstream.kept() or await upstream.connected()
                head = upstream.head(method, b"/a?b=%2F", [b"Host: h\r\n", b"X-MiXed: 1\r\n", *framing])
                pieces = []
                try:
                    answer = await connection.exchange(
                        head, body, is_head=method == b"HEAD", is_chunked=bool(framing)
                    )
                    while piece := await answer.read():
                        pieces.append(piece)
                finally:
                    connection.release()
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
    """Repeated ones are repeated; as text, what is no UTF-8 is taken for Latin-1."""
    ((answer, pieces),) = asked(RawEngine(SIZED))

    assert (answer.status, answer.reason) == (201, b"Made")
    assert answer.headers.fields[:3] == [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"\xfc")]
    assert answer.headers.as_text() == {"x-a": "1", "x-b": "ü", "content-length": "5"}
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

    asked(whole, method=b"POST", body=b"abcde", framing=[b"Content-Length: 5\r\n"])
    asked(chunked, method=b"POST", body=pieces(), framing=[b"Transfer-Encoding: chunked\r\n"])

    assert whole.requests == [
        b"POST /a?b=%2F HTTP/1.1\r\nHost: h\r\nX-MiXed: 1\r\nContent-Length: 5\r\n\r\nabcde"
    ]
    assert chunked.requests[0].endswith(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")


def test_an_answer_to_head_has_no_body():
    """Whatever length its headers tell."""
    ((answer, pieces),) = asked(RawEngine(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), method=b"HEAD")

    assert answer.headers.first[b"content-length"] == b"5"
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


def test_a_body_behind_an_answer_to_head_reaches_nobody():
    """Whatever a bad engine sends there, the client would take for its next answer."""
    ((_, pieces),) = asked(RawEngine(SIZED), method=b"HEAD")

    assert pieces == []


@pytest.mark.parametrize("first", [1, 17, 40])
def test_a_long_body_is_no_long_head(first):
    """Where the head comes in two pieces, and much of the body behind the second."""

    async def run():
        body = bytes(1_000_000)
        sent = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        connection = EngineConnection("an engine", lambda _: None)
        ours, theirs = socket.socketpair()
        with theirs:
            await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
            coming = connection.exchange(b"GET / HTTP/1.1\r\n\r\n", b"", is_head=False, is_chunked=False)
            connection.data_received(sent[:first])
            connection.data_received(sent[first : first + 300_000])
            answer = await coming
            connection.abort()
            await asyncio.sleep(0)
        return answer.status

    assert asyncio.run(run()) == 200


def test_more_than_was_asked_for_is_cut():
    """A second answer to one request reaches nobody."""
    engine = RawEngine(SIZED + SIZED)

    answers = asked(engine, times=2)

    assert [b"".join(pieces) for _, pieces in answers] == [b"abcde", b"abcde"]
    assert engine.connections == 2


def test_an_engine_that_is_not_there_is_told():
    """With its address and what to look at."""

    async def run():
        await Upstream("http://127.0.0.1:9").asked(b"/")

    with pytest.raises(EngineUnreachable, match=r"127\.0\.0\.1:9.*Is it running"):
        asyncio.run(run())


def test_a_slow_reader_holds_the_engine_back():
    """What is not read is not taken from the network without end."""

    async def run():
        engine = RawEngine(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + bytes(50_000_000))
        async with engine as url:
            upstream = Upstream(url)
            answer = await upstream.asked(b"/")
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
