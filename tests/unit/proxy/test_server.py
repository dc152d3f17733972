"""One proxy in this process before an engine of raw bytes: what goes through as it is, and what is added."""

import asyncio
import json
import tracemalloc

import pytest

from evenwatt.errors import EvenwattError
from evenwatt.proxy.server import RunningProxy
from evenwatt.proxy.settings import ProxySettings
from raw_engine import RawEngine

SIZED = b"HTTP/1.1 200 OK\r\nX-Odd: \xc3\xbc\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n"


def settings(tmp_path, upstream, **more):
    """Return the settings of a proxy on free ports."""
    values = {
        "name": "p",
        "upstream": upstream,
        "listen": ("127.0.0.1", 0),
        "metrics_listen": ("127.0.0.1", 0),
    }
    return ProxySettings(**{**values, "state": tmp_path / "state", "engine": "other", **more})


def through(tmp_path, engine, request, **more):
    """Return what comes back for the bytes of a request, sent through a proxy."""

    async def run():
        async with engine as url, RunningProxy(settings(tmp_path, url, **more)) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(request)
            received = await reader.read()
            writer.close()
            return received

    return asyncio.run(run())


def request(method="GET", path="/x", version="1.1", headers=b""):
    """Return a request that ends its connection."""
    return f"{method} {path} HTTP/{version}\r\nHost: h\r\nConnection: close\r\n".encode() + headers + b"\r\n"


def test_nothing_is_added_to_an_answer(tmp_path):
    """No server, no date, no content type."""
    received = through(tmp_path, RawEngine(SIZED), request())

    assert (
        received
        == b"HTTP/1.1 200 OK\r\nX-Odd: \xc3\xbc\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde"
    )


def test_trailers_go_through(tmp_path):
    """Behind the last chunk, announced by the header that announces them."""
    data = CHUNKED.replace(b"\r\n\r\n", b"\r\nTrailer: X-Sum\r\n\r\n", 1) + b"X-Sum: 7\r\n\r\n"

    received = through(tmp_path, RawEngine(data), request())

    assert b"\r\nTrailer: X-Sum\r\n" in received
    assert received.endswith(b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n")


def test_a_stream_is_not_held_until_its_end(tmp_path):
    """What waits for the account is read once it is shown, event by event, however long the answer is."""
    event = b"data: " + json.dumps({"choices": [{"delta": {"content": "x" * 16_000}}]}).encode() + b"\n\n"
    number = 250

    async def run():
        is_shown = asyncio.Event()

        async def answered(reader, writer):
            await reader.readuntil(b"{}")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for _ in range(number):
                writer.write(event)
                await is_shown.wait()
                is_shown.clear()
            writer.close()

        engine = await asyncio.start_server(answered, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{engine.sockets[0].getsockname()[1]}"
        async with engine, RunningProxy(settings(tmp_path, url)) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(request("POST", "/v1/chat/completions", headers=b"Content-Length: 2\r\n") + b"{}")
            await reader.readuntil(b"\r\n\r\n")
            tracemalloc.start()
            for _ in range(number):
                assert event in await reader.readuntil(b"\n\n\r\n")
                is_shown.set()
            _, most_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            writer.close()
            return most_bytes

    assert asyncio.run(run()) < number * len(event) / 2


def test_an_old_client_gets_no_chunks(tmp_path):
    """Its answer ends with the connection."""
    received = through(tmp_path, RawEngine(CHUNKED + b"\r\n"), request(version="1.0"))

    assert b"chunked" not in received
    assert received.endswith(b"\r\n\r\nabcde")


def test_answers_without_a_body_stay_without(tmp_path):
    """204 and 304, and whatever is asked for by HEAD."""
    for number, head in enumerate((b"204 No Content\r\n", b'304 Not Modified\r\nETag: "a"\r\n')):
        received = through(tmp_path / str(number), RawEngine(b"HTTP/1.1 " + head + b"\r\n"), request())
        assert received.startswith(b"HTTP/1.1 " + head)
        assert received.endswith(b"\r\n\r\n")
    head = RawEngine(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    received = through(tmp_path / "head", head, request("HEAD"))
    assert b"\r\nContent-Length: 5\r\n" in received
    assert received.endswith(b"\r\n\r\n")


def test_the_host_is_the_client_s_or_the_engine_s(tmp_path):
    """As `keep_host` says."""
    kept, own = RawEngine(SIZED), RawEngine(SIZED)

    through(tmp_path / "kept", kept, request())
    through(tmp_path / "own", own, request(), keeps_host=False)

    assert b"\r\nHost: h\r\n" in kept.requests[0]
    assert b"\r\nHost: 127.0.0.1:" in own.requests[0]


@pytest.mark.parametrize("said", [b"", b"GET /x HTTP/1.1\r\nHo", b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_a_connection_that_says_no_more_is_let_go(tmp_path, said):
    """Silent from the start, in the middle of a head, or after an answer: it is closed after a while."""
    received = through(tmp_path, RawEngine(SIZED), said, idle_seconds=0.2)

    assert received.endswith(b"abcde") == said.endswith(b"\r\n\r\n")


def test_a_reload_tells_what_needs_a_new_start(tmp_path, caplog):
    """How long a stop waits is fixed with the start, as addresses are; what a reload takes is not told."""

    async def run():
        async with RawEngine(SIZED) as url, RunningProxy(settings(tmp_path, url)) as proxy:
            proxy.reload(settings(tmp_path, url, drain_seconds=1.5, keeps_host=False))

    asyncio.run(run())

    (record,) = [record for record in caplog.records if "start the proxy again" in record.getMessage()]
    assert "drain_seconds changed" in record.getMessage()


def test_an_address_in_use_stops_the_start(tmp_path):
    """With the key to change, and with nothing left behind: the next start goes well."""

    async def run():
        async with RawEngine(SIZED) as url:
            port = int(url.rpartition(":")[2])
            with pytest.raises(EvenwattError, match=rf"metrics_listen.*{port}.*free address"):
                await RunningProxy(settings(tmp_path, url, metrics_listen=("127.0.0.1", port))).__aenter__()
            async with RunningProxy(settings(tmp_path, url)) as proxy:
                return proxy.port

    assert asyncio.run(run())


def test_certificates_that_cannot_be_read_stop_the_start(tmp_path):
    """In one sentence, with the key to change."""
    (tmp_path / "empty.pem").write_text("")

    async def run(name):
        async with RunningProxy(settings(tmp_path, "https://127.0.0.1:1", ca_file=tmp_path / name)):
            pass

    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(EvenwattError, match=rf"ca_file.*{name}.*PEM"):
            asyncio.run(run(name))
