"""One GET ends in time and in bounds, whatever the other side does."""

import gzip
import time
import tracemalloc
import zlib

import pytest

from engine_process import free_port
from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.readings.http import HttpClient, shown_url
from loopback_servers import PageServer, talking

MEBIBYTE = 2**20
HEAD = b"HTTP/1.1 200 OK\r\n"
BODY_FOLLOWS = HEAD + b"\r\n"


@pytest.fixture
def client():
    """Return a client that is closed after the test."""
    client = HttpClient()
    yield client
    client.close()


def sending(answer):
    """Return a server's part that sends these bytes and hangs up."""
    return lambda connection: connection.sendall(answer)


def pouring(start, block, pause_seconds=0.0):
    """Return a server's part that sends a block again and again until the client hangs up."""

    def talk(connection):
        connection.sendall(start)
        while True:
            connection.sendall(block)
            time.sleep(pause_seconds)

    return talk


def silent(connection):
    """Answer nothing until the client hangs up."""
    connection.recv(1)


def encoded(encoding, body):
    """Return an answer whose body is encoded."""
    return HEAD + f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_answer_has_status_headers_and_body(client):
    """A good answer comes back whole, and its headers are found in any case."""
    with PageServer({"/metrics": (200, {"X-One": "1"}, b"page")}) as server:
        answer = client.get(f"{server.url}/metrics", 5)

    assert (answer.status, answer.body, answer.headers["x-one"]) == (200, b"page", "1")
    assert answer.ok_body() == b"page"


def test_request_asks_for_plain_text(client):
    """The request asks for uncompressed text of version 0.0.4 first, and for a connection of its own."""
    with PageServer({"/metrics": (200, {}, b"page")}) as server:
        client.get(f"{server.url}/metrics", 5)

    lines = server.requests[0].split("\r\n")
    assert "Accept: text/plain; version=0.0.4, */*; q=0.5" in lines
    assert "Accept-Encoding: identity" in lines
    assert "Connection: close" in lines
    assert not any(line.startswith("Authorization") for line in lines)


def test_connection_is_used_once(client):
    """A connection that the server would keep serves no second request."""
    more = []

    def keep_alive(connection):
        connection.sendall(HEAD + b"Content-Length: 4\r\n\r\npage")
        more.append(connection.recv(1))

    with talking(keep_alive) as url:
        bodies = [client.get(url, 5).body for _ in range(3)]

    assert bodies == [b"page"] * 3
    assert more == [b""] * 3


def test_proxy_of_the_environment_is_not_used(client, monkeypatch):
    """An engine on this machine is never asked for through a proxy."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with PageServer({"/metrics": (200, {}, b"page")}) as server:
        assert client.get(f"{server.url}/metrics", 5).body == b"page"


def test_key_is_a_bearer_token():
    """The key is sent as a bearer token, without the line end that it has in a file."""
    client = HttpClient("secret\n")
    with PageServer({"/metrics": (200, {}, b"page")}) as server:
        client.get(f"{server.url}/metrics", 5)
    client.close()

    assert "\r\nAuthorization: Bearer secret\r\n" in server.requests[0]


def test_credentials_of_the_address_are_used_and_not_shown(client):
    """User and password of a URL are sent, and appear in no answer and no error."""
    with PageServer({"/metrics": (403, {}, b"no")}) as server:
        answer = client.get(server.url.replace("//", "//user:secret@") + "/metrics?key=secret", 5)

    assert "\r\nAuthorization: Basic " in server.requests[0]
    assert answer.url == f"{server.url}/metrics"
    with pytest.raises(SourceContractError) as caught:
        answer.ok_body()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "target", ["http://user:secret@192.0.2.1/elsewhere", "/metrics/", "http://[not/a/url"]
)
def test_redirect_is_not_followed(client, status, target):
    """A redirect is an error that says where it points, and only one request is sent."""
    with PageServer({"/metrics": (status, {"Location": target}, b"")}) as server:
        answer = client.get(f"{server.url}/metrics", 5)
        with pytest.raises(SourceContractError) as caught:
            answer.ok_body()

    assert len(server.requests) == 1
    assert f"HTTP {status}" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, SourceContractError),
        (400, SourceContractError),
        (404, SourceContractError),
        (429, SourceUnavailable),
        (500, SourceContractError),
        (503, SourceUnavailable),
    ],
)
def test_other_status_is_an_error_with_the_first_words(client, status, kind):
    """Any status but 200 is an error that names address, status and what was said, safe to show."""
    with PageServer({"/metrics": (status, {}, b"out of \x1b[31m order" + b"x" * 5000)}) as server:
        answer = client.get(f"{server.url}/metrics", 5)
    with pytest.raises(kind) as caught:
        answer.ok_body({404: "look elsewhere"})

    message = str(caught.value)
    assert f"{server.url}/metrics answered HTTP {status}" in message
    assert status == 204 or "out of \\x1b[31m order" in message
    assert ("look elsewhere" in message) == (status == 404)
    assert len(message) < 400


HOSTILE = {
    "garbage": (sending(b"\x00\xff\x16 garbage\r\n" * 9), SourceContractError, "HTTP"),
    "hangs up": (sending(b""), SourceUnavailable, "hung up"),
    "short body": (sending(HEAD + b"Content-Length: 9\r\n\r\npage"), SourceUnavailable, "hung up"),
    "huge length": (
        sending(HEAD + b"Content-Length: 999999999999999\r\n\r\nx"),
        SourceUnavailable,
        "hung up",
    ),
    "bad chunk": (sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), SourceContractError, "HTTP"),
    "cut chunk": (sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nx"), SourceUnavailable, "hung up"),
    "endless body": (pouring(BODY_FOLLOWS, b"x" * 65_536), SourceContractError, "more than 8388608 bytes"),
    "endless chunk mark": (
        pouring(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65_536),
        SourceContractError,
        "HTTP",
    ),
    "endless headers": (pouring(HEAD, b"X-One: 1\r\n" * 9), SourceContractError, "HTTP"),
    "endless header": (pouring(HEAD + b"X-One: ", b"1" * 999), SourceContractError, "HTTP"),
    "endless preludes": (
        pouring(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 999),
        SourceContractError,
        "more than 8388608 bytes",
    ),
    "gzip bomb": (
        sending(encoded("gzip", gzip.compress(bytes(64 * MEBIBYTE)))),
        SourceContractError,
        "uncompressed",
    ),
    "no gzip": (sending(encoded("gzip", b"page")), SourceContractError, "gzip"),
    "cut gzip": (
        sending(encoded("gzip", gzip.compress(b"page" * 99)[:-9])),
        SourceContractError,
        "cut short",
    ),
    "second gzip": (
        sending(encoded("gzip", gzip.compress(b"page") * 2)),
        SourceContractError,
        "does not end",
    ),
    "unknown encoding": (sending(encoded("br", b"page")), SourceContractError, "'br'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_server_is_an_error_in_bounded_memory(client, case):
    """A wrong answer is an error that names the address, and takes no more memory than some bodies."""
    talk, kind, words = HOSTILE[case]
    with talking(talk) as url:
        tracemalloc.start()
        with pytest.raises(kind) as caught:
            client.get(f"{url}/metrics", 30)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert f"{url}/metrics" in str(caught.value)
    assert words in str(caught.value)
    assert peak_bytes < 40 * MEBIBYTE


@pytest.mark.parametrize(
    "talk",
    [
        silent,
        pouring(HEAD + b"X-One: ", b"1", 0.01),
        pouring(BODY_FOLLOWS, b"1", 0.01),
        pouring(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.01),
    ],
    ids=["says nothing", "drips a header", "drips a body", "drips chunks"],
)
def test_slow_server_ends_at_the_deadline(client, talk):
    """The deadline holds for the whole answer: bytes that keep coming do not put it off."""
    with talking(talk) as url:
        begun = time.monotonic()
        with pytest.raises(SourceUnavailable, match=r"within 0\.3 s"):
            client.get(f"{url}/metrics", 0.3)
        elapsed_seconds = time.monotonic() - begun

    assert 0.25 < elapsed_seconds < 5


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"page", mtime=0)),
        ("x-gzip", gzip.compress(b"page", mtime=0)),
        ("deflate", zlib.compress(b"page")),
        ("identity", b"page"),
    ],
)
def test_compression_that_was_not_asked_for_is_undone(client, encoding, body):
    """A server that compresses all the same is understood."""
    with talking(sending(encoded(encoding, body))) as url:
        assert client.get(url, 5).body == b"page"


def test_closed_port_is_unavailable(client):
    """A port where nobody listens is told from one that answers wrongly."""
    url = f"http://127.0.0.1:{free_port()}/metrics"

    with pytest.raises(SourceUnavailable, match="Connection refused"):
        client.get(url, 5)


def test_plain_server_asked_over_tls_is_unavailable(client):
    """A server without TLS at an https address is an error that names TLS."""
    with (
        talking(sending(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url,
        pytest.raises(SourceUnavailable, match="TLS"),
    ):
        client.get(url.replace("http:", "https:"), 5)


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/metrics", "http://[::1", "no url", ""])
def test_unusable_address_is_an_error_of_ours(client, url):
    """An address that cannot be asked is one more reason for there being no reading."""
    with pytest.raises(SourceError):
        client.get(url, 5)


def test_nothing_is_remembered_of_a_server(client):
    """A cookie is not sent back."""
    with PageServer({"/metrics": (200, {"Set-Cookie": "a=b"}, b"page")}) as server:
        client.get(f"{server.url}/metrics", 5)
        client.get(f"{server.url}/metrics", 5)

    assert "Cookie" not in server.requests[1]


def test_shown_address_has_no_secrets():
    """Of an address only scheme, host, port and path are shown."""
    assert shown_url("http://user:secret@host:8000/metrics?key=secret#x") == "http://host:8000/metrics"


def test_what_was_being_handled_before_is_no_reason(client):
    """A question asked while another failure is dealt with tells of its own."""
    try:
        int("something else")
    except ValueError:
        with pytest.raises(SourceUnavailable, match="Connection refused"):
            client.get(f"http://127.0.0.1:{free_port()}/metrics", 1.0)
