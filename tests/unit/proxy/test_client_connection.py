"""What clients do on one connection, and what comes back on it."""

import asyncio
import time

import pytest

from evenwatt.proxy.server import RunningProxy
from evenwatt.proxy.settings import ProxySettings
from raw_engine import RawEngine

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
GET, LAST = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: h\r\n"


def talked(tmp_path, engine, said, *, pause_seconds=0.0, **more):
    """Return what comes back for pieces that a client says one after another."""

    async def run():
        async with engine as url:
            settings = ProxySettings(
                name="p",
                upstream=url,
                listen=("127.0.0.1", 0),
                metrics_listen=("127.0.0.1", 0),
                state=tmp_path / "state",
                engine="other",
                **more,
            )
            async with RunningProxy(settings) as proxy:
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                for piece in said:
                    if writer.is_closing():
                        break
                    writer.write(piece)
                    await asyncio.sleep(pause_seconds)
                try:
                    return await asyncio.wait_for(reader.read(), 20)
                except ConnectionError:
                    return b""
                finally:
                    writer.close()

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_requests_in_one_go_are_answered_in_their_order(tmp_path, size):
    """Pipelined, whatever pieces they come in, also more of them than wait at a time."""
    said = GET * 40 + LAST
    engine = RawEngine(SIZED)

    received = talked(tmp_path, engine, [said[at : at + size] for at in range(0, len(said), size)])

    assert received.count(b"HTTP/1.1 200 OK") == received.count(b"abcde") == 41
    assert [request.split()[1] for request in engine.requests] == [b"/x"] * 40 + [b"/y"]
    assert received.count(b"Connection: close") == 1


def test_chunks_that_come_together_stay_apart(tmp_path):
    """They may share a packet, but no chunk becomes a part of another."""
    received = talked(tmp_path, RawEngine(CHUNKS), [LAST])

    assert received.endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(tmp_path):
    """Once, and only where the body is not there yet."""
    asking = POST + b"Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    engines = RawEngine(SIZED), RawEngine(SIZED)

    slowly = talked(tmp_path / "a", engines[0], [asking, b"abc"], pause_seconds=0.1)
    at_once = talked(tmp_path / "b", engines[1], [asking + b"abc"])

    assert slowly.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert at_once.startswith(b"HTTP/1.1 200 OK\r\n")
    for engine in engines:
        (request,) = engine.requests
        assert request.endswith(b"\r\n\r\nabc")
        assert b"Expect" not in request


def test_an_expectation_that_cannot_be_met_is_refused(tmp_path):
    """In words, and the engine hears nothing of it."""
    engine = RawEngine(SIZED)

    received = talked(tmp_path, engine, [POST + b"Expect: a miracle\r\nContent-Length: 0\r\n\r\n"])

    assert received.startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
    assert b"cannot meet the expectation a miracle" in received
    assert engine.requests == []


@pytest.mark.parametrize("piece", [1_000, 60_000])
def test_a_head_without_an_end_is_refused(tmp_path, piece):
    """Whatever pieces it comes in: no more of it is held than heads may be long."""
    endless = [GET[:-2] + b"X-A: "] + [b"a" * piece] * (400_000 // piece)

    received = talked(tmp_path, RawEngine(SIZED), endless)

    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")


def test_what_is_no_request_behind_a_good_one_ends_the_connection(tmp_path):
    """The good one is answered, then it is said why there is no more."""
    engine = RawEngine(SIZED)

    received = talked(tmp_path, engine, [GET + b"nonsense\r\n\r\n"])

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 400 Bad Request\r\n" in received
    assert len(engine.requests) == 1


def test_a_body_that_breaks_while_it_is_passed_on_cuts_the_engine_off(tmp_path):
    """What the engine has got so far is never ended as if it were whole."""
    engine = RawEngine(SIZED)
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"

    received = talked(tmp_path, engine, [head + b"3\r\nabc\r\n", b"what\r\n"], pause_seconds=0.2)

    assert received == b""
    assert engine.requests == []


def test_a_connection_is_kept_for_as_long_as_it_is_used(tmp_path):
    """Idle time begins anew with the end of each answer."""
    began = time.monotonic()

    received = talked(tmp_path, RawEngine(SIZED), [GET] * 5, pause_seconds=0.2, idle_seconds=0.5)

    assert received.count(b"abcde") == 5
    assert time.monotonic() - began > 5 * 0.2


def test_an_old_client_keeps_its_connection_where_it_asks_to(tmp_path):
    """HTTP/1.0 says so itself, and is told that it holds."""
    old = b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"

    received = talked(tmp_path, RawEngine(SIZED), [old, b"GET /x HTTP/1.0\r\n\r\n"], pause_seconds=0.1)

    assert received.count(b"HTTP/1.0 200 OK") == 2
    assert received.count(b"Connection: keep-alive") == 1
