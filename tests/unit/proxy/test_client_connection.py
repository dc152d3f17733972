"""What clients do on one connection, and what comes back on it."""

import asyncio
import socket
import time

import pytest

from evenwatt.proxy import client_connection, forwarding
from evenwatt.proxy.client_connection import ClientConnection
from evenwatt.proxy.server import RunningProxy
from evenwatt.proxy.settings import ProxySettings
from evenwatt.proxy.state import StateFolder
from raw_engine import RawEngine, ScriptedEngine

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


@pytest.fixture
def slow_disk(monkeypatch):
    """Let each commit of an account take a while."""
    write = StateFolder.write

    def write_slowly(folder, statement, rows):
        time.sleep(0.3)
        write(folder, statement, rows)

    monkeypatch.setattr(StateFolder, "write", write_slowly)


async def said_before_no_engine(tmp_path, said):
    """Return all that comes back for what a client says while no engine is there."""
    async with RawEngine(SIZED) as url:
        pass  # gone again
    async with proxy_before(tmp_path, url) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(said)
        received = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return received


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_requests_in_one_go_are_answered_in_their_order(tmp_path, size):
    """Pipelined, whatever pieces they come in, also more of them than wait at a time."""
    said = GET * 40 + LAST
    engine = RawEngine(SIZED)

    received = talked(tmp_path, engine, [said[at : at + size] for at in range(0, len(said), size)])

    assert received.count(b"HTTP/1.1 200 OK") == received.count(b"abcde") == 41
    assert [request.split()[1] for request in engine.requests] == [b"/x"] * 40 + [b"/y"]
    assert received.count(b"Connection: close") == 1


def test_requests_without_end_are_each_measured_alone(tmp_path):
    """Where every read ends within a head, that head is as long as it is, and not all that came before it."""
    asking = GET[:-2] + b"X-Pad: " + b"p" * 3_000 + b"\r\n\r\n"
    said = asking * 300 + LAST

    received = talked(tmp_path, RawEngine(SIZED), [said])

    assert received.count(b"HTTP/1.1 200 OK") == 301


@pytest.mark.parametrize(
    "header", [b"Content-Type: multipart/form-data; boundary=x", b"Content-Encoding: gzip"]
)
def test_no_question_is_added_to_what_is_no_json_object(tmp_path, header):
    """On a new connection to the engine and on one that is kept: what it holds is nobody's to change."""
    engine, body = RawEngine(SIZED), b'{"stream":true}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n" + header

    talked(tmp_path, engine, [head + b"\r\n\r\n" + body] * 2 + [LAST], pause_seconds=0.05)

    assert engine.connections == 1
    assert [request.endswith(b"\r\n\r\n" + body) for request in engine.requests[:2]] == [True, True]


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


def test_a_client_that_was_not_told_to_go_on_is_told_that_this_is_the_end(tmp_path):
    """Whether it sends its body behind the answer is its to say, so the connection ends."""
    received = asyncio.run(
        said_before_no_engine(tmp_path, POST + b"Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
    )

    assert received.startswith(b"HTTP/1.1 502 ")
    assert b"\r\nConnection: close\r\n" in received


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


@pytest.mark.parametrize("requests", [1, 2])
def test_a_fault_of_ours_ends_one_request_in_words(tmp_path, monkeypatch, caplog, requests):
    """Wherever it is met: in the task of a first request, or in the call that brings one behind it."""
    engine, begun = RawEngine(SIZED), []

    def fail(_changes):
        begun.append(1)
        if len(begun) == requests:
            raise KeyError("a fault")
        return {}

    monkeypatch.setattr(forwarding.Passage, "_changes", fail)

    received = talked(tmp_path, engine, [GET] * requests, pause_seconds=0.05)

    assert received.count(b"HTTP/1.1 200 ") == requests - 1
    assert received.count(b"HTTP/1.1 500 ") == 1
    assert b"the log of the proxy says why" in received
    assert "a request to /x failed here" in caplog.text


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

    received = asyncio.run(said_before_no_engine(tmp_path, asked + b"no HTTP"))

    assert received.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"Connection: close" in received
    assert b"Is it running?" in received


def test_a_request_without_a_body_goes_without_one(tmp_path):
    """No length is added to it, on a new connection to the engine and on one that is kept."""
    engine = RawEngine(SIZED)

    talked(tmp_path, engine, [GET, GET, LAST], pause_seconds=0.05)

    assert engine.connections == 1
    assert not any(b"ength" in request or b"ransfer" in request for request in engine.requests)


@pytest.mark.parametrize("came", [b"", b"3\r\nabc\r\n"])
def test_an_answer_that_breaks_is_shown_as_far_as_it_came(tmp_path, came):
    """Head and break in one packet: one head, what came behind it, and no end."""
    head = CHUNKS.partition(b"3\r\n")[0]

    received = talked(tmp_path, RawEngine(head + came + b"zz\r\n"), [GET], pause_seconds=0.1)

    assert received == head + came


def test_a_head_does_not_wait_for_a_body_that_is_late(tmp_path):
    """It goes on after a millisecond."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

    async def served(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await reader.read()

    async def run():
        async with ScriptedEngine(served) as url, proxy_before(tmp_path, url) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(GET)
            received = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            writer.close()
        return received

    assert asyncio.run(run()) == head


def test_a_client_that_takes_its_time_gets_a_stream_in_order(tmp_path):
    """Events that wait for it stay in order, the last word is behind them, and the account is exact."""
    events = [
        b'data: {"choices":[{"delta":{"content":"%06d%s"}}]}\n\n' % (at, b"x" * 900) for at in range(9_000)
    ]
    events += [b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9000}}\n\n']
    stream = b"".join([*events, b"data: [DONE]\n\n"])
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(stream)
    body = b'{"stream":true,"stream_options":{"include_usage":true}}'
    asked = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def run():
        async with RawEngine(head + stream, 40_001) as url, proxy_before(tmp_path, url) as proxy:
            received = []
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=1 << 16)
            for _ in range(2):  # on a new connection to the engine, and on one that is kept
                writer.write(asked + body)
                await asyncio.sleep(0.3)  # until nothing more fits in between
                answer = bytearray()
                while len(answer) < len(head) + len(stream):
                    answer += await asyncio.wait_for(reader.read(70_000), 20)
                    if len(answer) < 3_000_000:
                        await asyncio.sleep(0.002)
                received.append(bytes(answer))
            writer.close()
        return received

    assert asyncio.run(run()) == [head + stream] * 2
    folder = StateFolder(tmp_path / "state")
    (total,) = folder.rows()
    folder.close()
    assert total[3:] == ("completed", "exact", 2, 10, None, 18_000, None)


def test_a_client_that_reads_nothing_holds_the_engine_back(tmp_path):
    """What it does not take is not taken from the engine without end."""
    event = b"data: " + b"x" * 4_000 + b"\n\n"
    sent_bytes = 0

    async def served(reader, writer):
        nonlocal sent_bytes
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        while sent_bytes < 40_000_000:
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            sent_bytes += len(event)
            await asyncio.sleep(0)

    async def run():
        async with ScriptedEngine(served) as url, proxy_before(tmp_path, url) as proxy:
            _, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=1)
            writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
            await asyncio.sleep(1.0)
            unread_bytes = sent_bytes
            writer.transport.abort()
            await asyncio.sleep(0.1)
        return unread_bytes

    assert 0 < asyncio.run(run()) < 20_000_000  # most of it in the kernel's buffers


@pytest.mark.usefixtures("slow_disk")
def test_nothing_overtakes_the_last_word(tmp_path):
    """Not while its account is written, and the client had been taking its time before."""
    steps = asyncio.Queue()

    async def served(reader, writer):
        await reader.readuntil(b"\r\n\r\n{}")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        writer.write(head + b"data: 1\n\n")
        while (step := await steps.get()) is not None:
            writer.write(step)

    async def run():
        async with ScriptedEngine(served) as url, proxy_before(tmp_path, url) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
            await reader.readuntil(b"data: 1\n\n")
            (connection,) = proxy._listener._connections
            connection.pause_writing()  # as asyncio does where the client takes no more
            for step in (b"data: 2\n\n", b"data: [DONE]\n\n"):
                steps.put_nowait(step)
                await asyncio.sleep(0.05)
            connection.resume_writing()
            await asyncio.sleep(0.05)
            steps.put_nowait(b": behind it\n\n")
            steps.put_nowait(None)
            received = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10)
            writer.close()
        return received

    received = asyncio.run(run())

    assert received.find(b"data: 2") < received.find(b"[DONE]") < received.find(b": behind it")


ERROR, RANKS = b'{"error":{"message":"no"}}', b'[{"index":0,"score":1.0}]'
EVENT = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


@pytest.mark.usefixtures("slow_disk")
@pytest.mark.parametrize(
    ("status", "kind", "path", "body", "pause_seconds"),
    [
        (b"400 Bad Request", b"application/json", b"/v1/completions", ERROR, 0.0),
        (b"200 OK", b"application/json", b"/rerank", RANKS, 0.0),
        (b"200 OK", b"application/json", b"/rerank", RANKS, 0.03),
        (b"200 OK", b"text/event-stream", b"/v1/completions", EVENT, 0.0),
    ],
    ids=["error", "array", "array behind its head", "stream with a length"],
)
def test_no_answer_is_seen_whole_before_its_account_is_written(
    tmp_path, monkeypatch, status, kind, path, body, pause_seconds
):
    """Also where nothing in it says that it ends: it is counted after `kill -9` too."""
    monkeypatch.setattr(client_connection, "_SOON_SECONDS", 0.1)
    head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(body))

    async def served(reader, writer):
        while await reader.readuntil(b"\r\n\r\n{}"):
            writer.write(head)
            await asyncio.sleep(pause_seconds)
            writer.write(body)

    async def run():
        async with ScriptedEngine(served) as url, proxy_before(tmp_path, url) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            unwritten = []
            for _ in range(2):  # on a new connection to the engine, and on one that is kept
                writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
                assert await asyncio.wait_for(reader.readexactly(len(head + body)), 10) == head + body
                unwritten.append(proxy._totals.unwritten)
            writer.close()
        return unwritten

    assert asyncio.run(run()) == [0, 0]


def test_hidden_usage_makes_an_announced_length_wrong(tmp_path):
    """The stream goes in chunks then, and the next answer on the connection is whole."""
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
    stream = EVENT + usage + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(stream)
    asking = b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n"

    received = talked(
        tmp_path,
        RawEngine(head + stream),
        [asking + b'\r\n{"stream":true}', asking + b'Connection: close\r\n\r\n{"stream":true}'],
        pause_seconds=0.1,
    )

    assert b"Content-Length" not in received
    assert b"usage" not in received
    assert received.count(b"data: [DONE]\n\n\r\n0\r\n\r\n") == 2


def test_the_rest_of_a_request_that_was_answered_early_is_taken(tmp_path):
    """And the next one is answered at once."""

    async def served(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

    async def run():
        async with ScriptedEngine(served) as url, proxy_before(tmp_path, url) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(POST + b"Content-Length: 100000\r\n\r\n" + b"a" * 1_000)
            await reader.readuntil(b"\r\n\r\nno")
            await asyncio.sleep(0.1)
            writer.write(b"a" * 99_000 + GET)
            received = await asyncio.wait_for(reader.readuntil(b"\r\n\r\nno"), 5)
            writer.close()
        return received

    assert asyncio.run(run()).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_says_its_end_is_gone_though_not_all_is_sent(tmp_path):
    """The engine stops at once, and not when the kernel has let go of what was for the client."""
    cut, event = asyncio.Event(), EVENT.replace(b"a", b"a" * 4_000)

    async def served(reader, writer):
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        try:
            while not reader.at_eof():
                writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            cut.set()

    async def run():
        async with ScriptedEngine(served) as url, proxy_before(tmp_path, url) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
                for _ in range(500):  # until nothing more fits in between
                    await asyncio.sleep(0.01)
                    if any(each._transport.get_write_buffer_size() for each in proxy._listener._connections):
                        break
                client.shutdown(socket.SHUT_WR)
                await asyncio.wait_for(cut.wait(), 5)

    asyncio.run(run())


class Refusal:
    """Answers without an engine."""

    def __init__(self, request):
        self.request = request

    async def ended(self):
        await self.request.connection.answer(self.request, 502, "as asked")

    def abort(self):
        """Nothing has begun."""


def test_an_end_in_order_answers_what_has_been_asked():
    """A request that has come in whole is answered, though nobody has begun with it."""

    async def run():
        loop = asyncio.get_running_loop()
        client, proxy = socket.socketpair()

        connection = ClientConnection(Refusal, 10.0, lambda _: None, lambda _: None)
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
