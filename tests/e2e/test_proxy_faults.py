"""What goes wrong around the proxy, and what is tried on it: it stays up, flat, and adds no way in."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import aiohttp
import psutil
import pytest

from engine_process import free_port, loopback_session
from ollama_stand_in import OllamaStandIn
from proxy_load import body_of
from proxy_process import ProxyProcess
from raw_http import answer_of, exchanged, request_bytes

CHAT = json.dumps(body_of("chat", model="tiny-llama", words=3, tokens=4)).encode()


@pytest.fixture(scope="module")
def ollama(tmp_path_factory):
    """Return a stand-in that the tests of this module share."""
    engine = OllamaStandIn(tmp_path_factory.mktemp("ollama"))
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def proxy(ollama, tmp_path_factory):
    """Return a proxy that the tests of this module share; they look at differences."""
    with ProxyProcess(ollama.url, tmp_path_factory.mktemp("proxy")) as running:
        yield running


def counts(ollama):
    """Return what the stand-in saw of its answers."""
    with loopback_session() as session:
        return session.get(f"{ollama.url}/stand-in/counts", timeout=10).json()


def eventually(condition, seconds=10.0):
    """Wait for a condition, and fail where it does not come."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def streamed(proxy, *, fault="slow", tokens=200, kind="chat"):
    """Begin a long stream and return the answer, unread."""
    session = loopback_session()
    body = body_of(kind, model="tiny-llama", words=3, tokens=tokens, stream=True)
    path = "/api/chat" if kind == "chat" else "/v1/chat/completions"
    return session.post(proxy.url + path, json=body, headers={"X-Fault": fault}, stream=True, timeout=60)


def test_an_abort_ends_the_work_of_the_engine(ollama, proxy):
    """The connection to the engine closes with that of the client, and what was seen is a lower bound."""
    before = counts(ollama)["aborted"]
    booked = proxy.total("requests_total", outcome="aborted", counted="lower_bound")
    with closing(streamed(proxy)) as answer:
        next(answer.iter_lines())

    eventually(lambda: counts(ollama)["aborted"] == before + 1)
    eventually(lambda: proxy.total("requests_total", outcome="aborted", counted="lower_bound") == booked + 1)
    assert 1 <= proxy.tokens(outcome="aborted")["output"] < 200


def test_a_client_that_leaves_an_engine_without_an_answer_is_let_go(proxy):
    """The engine never answers; the client goes; its tokens are not known, which is not 0."""
    body = CHAT
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(request_bytes("POST", "/api/chat", body, X_Fault="silent"))
        eventually(lambda: proxy.total("requests_running") == 1)

    eventually(lambda: proxy.total("requests_total", outcome="aborted", counted="unknown") == 1)
    assert proxy.total("requests_running") == 0


def test_an_engine_that_is_not_there_is_told(tmp_path):
    """A status, an address, and what to look at; the request counts as failed, with no token."""
    with ProxyProcess(f"http://127.0.0.1:{free_port()}", tmp_path) as proxy:
        answer = answer_of(exchanged(proxy.port, request_bytes("POST", "/api/chat", CHAT)))
        eventually(lambda: proxy.total("requests_total", outcome="failed", counted="exact") == 1)

    assert answer.status == "HTTP/1.1 502 Bad Gateway"
    assert "cannot be reached" in json.loads(answer.body)["error"]


def test_an_engine_that_restarts_is_found_again(ollama, tmp_path):
    """No connection of before is used for what comes after."""
    engine = OllamaStandIn(tmp_path)
    engine.start()
    with ProxyProcess(engine.url, tmp_path) as proxy:
        request = request_bytes("POST", "/api/chat", CHAT)
        answers = []
        for _ in range(2):
            answers.append(answer_of(exchanged(proxy.port, request)).status)
            engine.kill()
            answers.append(answer_of(exchanged(proxy.port, request)).status)
            engine.start()
        answers.append(answer_of(exchanged(proxy.port, request)).status)
        engine.stop()

    assert [status.split()[1] for status in answers] == ["200", "502", "200", "502", "200"]


def test_an_end_in_order_lets_running_answers_end(ollama, tmp_path):
    """SIGTERM: no new connection is taken, the running stream comes to its end and is counted."""
    proxy = ProxyProcess(ollama.url, tmp_path)
    proxy.start()
    answer = streamed(proxy, tokens=40)
    lines = answer.iter_lines()
    next(lines)

    ending = threading.Thread(target=proxy.stop)
    ending.start()
    eventually(lambda: is_refused(proxy.port))
    rest = list(lines)
    ending.join()

    assert json.loads(rest[-1])["done"] is True
    proxy.start()
    assert proxy.tokens()["output"] == 40
    proxy.stop()


def is_refused(port):
    """Return whether nobody listens on a port any more."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_two_proxies_on_one_state_are_refused(proxy, ollama, tmp_path):
    """They would count twice; the first one is named."""
    command = ["-m", "evenwatt", "proxy", "--upstream", ollama.url, "--listen", f"127.0.0.1:{free_port()}"]
    command += ["--metrics-listen", f"127.0.0.1:{free_port()}", "--state", str(proxy.state)]

    second = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=60, check=False
    )

    assert second.returncode == 1
    assert f"in use by another proxy, PID {proxy.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_totals_that_are_corrupt_are_set_aside(ollama, tmp_path):
    """A new beginning, told as such, and never a crash loop."""
    proxy = ProxyProcess(ollama.url, tmp_path)
    proxy.state.mkdir()
    (proxy.state / "totals.db").write_bytes(b"no database" * 1000)

    with proxy:
        assert answer_of(exchanged(proxy.port, request_bytes("POST", "/api/chat", CHAT))).is_whole
        counted = proxy.tokens()["output"]

    assert counted == 4
    assert list(proxy.state.glob("totals.db.corrupt-*"))


# --- hostile clients ----------------------------------------------------------------------------------------

SMUGGLED = b"GET /stand-in/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
POST, GET = b"POST /api/tags HTTP/1.1\r\nHost: x\r\n", b"GET /api/tags HTTP/1.1\r\nHost: x\r\n"
CHUNKED, EMPTY = b"Transfer-Encoding: chunked\r\n", b"\r\n0\r\n\r\n"
HOSTILE = {
    "length and chunks": POST + b"Content-Length: 4\r\n" + CHUNKED + EMPTY + SMUGGLED,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED,
    "odd chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    "space before the colon": POST + b"Transfer-Encoding : chunked\r\n" + EMPTY + SMUGGLED,
    "bare line feeds in a header": GET + b"X-A: b\n\nGET /x HTTP/1.1\r\n\r\n",
    "a zero byte in a header": GET + b"X-A: b\x00c\r\n\r\n",
    "a bad chunk size": POST + CHUNKED + b"\r\n-1\r\n\r\n" + SMUGGLED,
    "a header without end": GET + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n",
    "a thousand headers": GET + b"X-A: b\r\n" * 1_000 + b"\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
    "connect": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
    "a target that is no path": b"GET api/tags HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_are_refused_and_reach_no_engine(proxy, name):
    """One answer with status 400 or none at all; nothing that was packed into it reaches the engine."""
    passed = proxy.total("passed_requests_total")

    received = exchanged(proxy.port, HOSTILE[name], seconds=2)

    assert len(re.findall(rb"HTTP/1\.[01] \d", received)) <= 1
    assert not received or re.match(rb"HTTP/1\.[01] 400 ", received)
    assert proxy.total("passed_requests_total") == passed
    assert "Traceback" not in proxy.log.read_text()


def test_an_upgrade_to_another_protocol_is_not_passed_on(proxy):
    """h2c through a proxy is a tunnel past it; the request is answered as the plain one that it also is."""
    request = request_bytes("GET", "/api/version", Upgrade="h2c", HTTP2_Settings="AAMAAABkAAQAAP__")
    request = request.replace(b"Connection: close", b"Connection: Upgrade, HTTP2-Settings")

    answer = answer_of(exchanged(proxy.port, request, seconds=2))

    assert answer.status == "HTTP/1.1 200 OK"
    assert json.loads(answer.body) == {"version": "0.33.0-rc2"}


def test_headers_that_a_client_calls_its_own_connection_s_stay_behind(ollama, proxy):
    """What Connection lists is for the proxy and not for the engine."""
    request = request_bytes("POST", "/api/blobs/a", b"x", X_Secret_Hop="1", X_Kept="2")
    request = request.replace(b"Connection: close", b"Connection: close, X-Secret-Hop")

    seen = json.loads(answer_of(exchanged(proxy.port, request)).body)["headers"]

    assert "X-Secret-Hop" not in seen
    assert seen["X-Kept"] == "2"


def test_an_upload_streams_through_in_flat_memory(proxy):
    """64 MB to a path that is not counted, and 64 MB that look like a question: neither is held."""
    before = psutil.Process(proxy.pid).memory_info().rss
    piece = b"x" * (1 << 20)

    with loopback_session() as session:
        answer = session.post(f"{proxy.url}/api/blobs/sha256:0", data=(piece for _ in range(64)), timeout=60)
    rss = psutil.Process(proxy.pid).memory_info().rss

    assert answer.json()["bytes"] == 64 << 20
    assert rss - before < 24 << 20


def test_a_request_too_long_to_hold_goes_on_without_the_question(ollama, proxy):
    """20 MB of a picture: answered as ever, and what it used is not known."""
    before = proxy.total("requests_total", counted="unknown", outcome="completed")
    body = body_of("oai-chat", model="tiny-llama", words=3, tokens=4, stream=True)
    body["messages"][0]["picture"] = "A" * (20 << 20)

    with loopback_session() as session:
        answer = session.post(f"{proxy.url}/v1/chat/completions", json=body, timeout=60)

    assert answer.text.endswith("data: [DONE]\n\n")
    eventually(lambda: proxy.total("requests_total", counted="unknown", outcome="completed") == before + 1)


def test_half_requests_hold_up_nobody(proxy):
    """Two hundred connections that say a half of a request, and one that is whole."""
    with_half = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(200)]
    try:
        for connection in with_half:
            connection.sendall(b"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Le")
        assert answer_of(exchanged(proxy.port, request_bytes("POST", "/api/chat", CHAT))).is_whole
    finally:
        for connection in with_half:
            connection.close()


def test_many_slow_streams_at_once_all_come_to_their_end(proxy):
    """Two hundred streams side by side; each sees its own lines, in flat memory."""
    before = psutil.Process(proxy.pid).memory_info().rss

    async def one(session):
        body = body_of("chat", model="tiny-llama", words=3, tokens=20, stream=True)
        async with session.post(f"{proxy.url}/api/chat", json=body, headers={"X-Fault": "slow"}) as answer:
            return (await answer.read()).count(b"\n")

    async def all_of_them():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return await asyncio.gather(*(one(session) for _ in range(200)))

    lines = asyncio.run(all_of_them())

    assert lines == [21] * 200
    assert psutil.Process(proxy.pid).memory_info().rss - before < 64 << 20


# --- other ways there ---------------------------------------------------------------------------------------


def test_websockets_are_passed_on(proxy):
    """Text and binary, both ways, large ones too."""
    large = os.urandom(300_000)

    async def echoed():
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{proxy.url}/stand-in/socket") as tunnel,
        ):
            await tunnel.send_str("hello")
            first = await tunnel.receive_str(timeout=10)
            await tunnel.send_bytes(large)
            return first, await tunnel.receive_bytes(timeout=10)

    before = proxy.total("tunnels_total")

    assert asyncio.run(echoed()) == ("hello", large)
    assert proxy.total("tunnels_total") == before + 1


def test_an_upgrade_that_the_engine_refuses_comes_back_as_its_refusal(proxy):
    """No tunnel is opened, and the answer is the engine's."""
    request = request_bytes(
        "GET", "/api/version", Upgrade="websocket", Sec_WebSocket_Key="eA==", Sec_WebSocket_Version="13"
    ).replace(b"Connection: close", b"Connection: Upgrade")

    answer = answer_of(exchanged(proxy.port, request, seconds=5))

    assert answer.status == "HTTP/1.1 200 OK"
    assert json.loads(answer.body) == {"version": "0.33.0-rc2"}


class Relay:
    """Carries connections from one kind of socket to a loopback port, so that an engine is reached by it."""

    def __init__(self, listening: socket.socket, port: int) -> None:
        self._listening, self._port = listening, port
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self._listening.fileno() >= 0:
            with suppress(OSError):  # a client that does not trust us, or the end
                taken, _ = self._listening.accept()
                other = socket.create_connection(("127.0.0.1", self._port))
                for source, target in ((taken, other), (other, taken)):
                    threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.close()


def test_an_engine_on_a_unix_socket_is_reached(ollama, tmp_path):
    """Such as vLLM's, where no port is free or none is wanted."""
    path = Path(tmp_path / "engine.sock")
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(path))
        listening.listen()
        Relay(listening, ollama.port)
        with ProxyProcess(f"unix:{path}", tmp_path) as proxy:
            answer = answer_of(exchanged(proxy.port, request_bytes("POST", "/api/chat", CHAT)))
            counted = proxy.tokens()

    assert answer.is_whole
    assert counted == {"input": 3, "cached_input": 0, "output": 4}


def test_an_engine_behind_tls_is_reached_and_verified(ollama, tmp_path):
    """With the certificate that is trusted; without it, the engine is not believed to be the one."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    request = request_bytes("POST", "/api/chat", CHAT)
    with closing(socket.create_server(("127.0.0.1", 0))) as plain:
        listening = context.wrap_socket(plain, server_side=True)
        Relay(listening, ollama.port)
        url = f"https://localhost:{listening.getsockname()[1]}"
        with ProxyProcess(url, tmp_path, state=tmp_path / "untrusted") as proxy:
            untrusted = answer_of(exchanged(proxy.port, request)).status
        proxy = ProxyProcess(url, tmp_path)
        config = tmp_path / "config.yaml"
        entry = {
            "name": "tls",
            "upstream": url,
            "ca_file": str(certificate),
            "listen": f"127.0.0.1:{proxy.port}",
            "metrics_listen": f"127.0.0.1:{proxy.metrics_port}",
            "state": str(proxy.state),
        }
        config.write_text(json.dumps({"proxy": [entry]}))
        proxy.use_config(config)
        with proxy:
            trusted = answer_of(exchanged(proxy.port, request)).status
        listening.close()

    assert untrusted == "HTTP/1.1 502 Bad Gateway"
    assert trusted == "HTTP/1.1 200 OK"


def test_a_second_signal_ends_at_once(ollama, tmp_path):
    """Whoever does not want to wait for running answers asks twice."""
    proxy = ProxyProcess(ollama.url, tmp_path)
    proxy.start()
    connection = socket.create_connection(("127.0.0.1", proxy.port))
    connection.sendall(request_bytes("POST", "/api/chat", CHAT, X_Fault="silent"))
    eventually(lambda: proxy.total("requests_running") == 1)

    os.kill(proxy.pid, signal.SIGTERM)
    eventually(lambda: is_refused(proxy.port))
    os.kill(proxy.pid, signal.SIGTERM)
    began = time.monotonic()
    proxy.stop()
    connection.close()

    assert time.monotonic() - began < 5
    proxy.start()
    assert proxy.total("requests_total", outcome="aborted") == 1
    proxy.stop()
