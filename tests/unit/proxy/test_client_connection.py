"""What clients do on one connection, and what comes back on it."""

import asyncio
import socket
import time

import pytest

from evenwatt.proxy.client_connection import ClientConnection
from evenwatt.proxy.server import RunningProxy
from evenwatt.proxy.settings import ProxySettings
from raw_engine import RawEngine

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
GET, LAST = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: h\r\n"


def proxy_before(tmp_path, url, **more):
    """Return a proxy before an engine, to be entered."""
    return RunningProxy(
        ProxySettings(
            name="p",
            upstream=url,
            listen=("127.0.0.1", 0),
            metrics_listen=("127.0.0.1", 0),
            state=tmp_path / "state",
            engine="other",
            **more,
        )
    )


def talked(tmp_path, engine, said, *, pause_seconds=0.0, **more):
    """Return what comes back for pieces that a client says one after another."""

    async def run():
        async with engine as url, proxy_before(tmp_path, url, **more) as proxy:
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


def test_thousands_of_upgrades_in_one_go_are_plain_requests(tmp_path, caplog):
    """None of them is passed on as an upgrade, and their number breaks nothing."""
    upgrade = b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

    received = talked(tmp_path, RawEngine(SIZED), [upgrade * 3_000 + LAST])

    assert received.count(b"HTTP/1.1 200 OK") == 3_001
    assert not caplog.records


def test_a_websocket_to_an_engine_that_is_not_there_ends_the_connection(tmp_path):
    """With the reason: what comes behind the request would be no HTTP."""
    asked = GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    async def run():
        async with RawEngine(SIZED) as url:
            pass  # gone again
        async with proxy_before(tmp_path, url) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(asked + b"no HTTP")
            received = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return received

    received = asyncio.run(run())

    assert received.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"Connection: close" in received
    assert b"Is it running?" in received


def test_an_end_in_order_answers_what_has_been_asked():
    """A request that has come in whole is answered, though nobody has begun with it."""

    async def run():
        loop = asyncio.get_running_loop()
        client, proxy = socket.socketpair()

        async def answered(request):
            await request.connection.answer(request, 502, "as asked")

        connection = ClientConnection(answered, 10.0, lambda _: None, lambda _: None)
        await loop.create_connection(lambda: connection, sock=proxy)
        await asyncio.sleep(0)
        connection.data_received(GET)
        connection.end_when_idle()
        reader, writer = await asyncio.open_connection(sock=client)
        received = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return received

    received = asyncio.run(run())

    assert received.startswith(b"HTTP/1.1 502 ")
    assert b"as asked" in received
