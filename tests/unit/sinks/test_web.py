"""The port: finished pages, nothing but reading, and nothing that is too old shown as the present."""

import os
import resource
import socket
import time
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest
import requests

from engine_process import loopback_session
from evenwatt.clock import boot_seconds
from evenwatt.errors import EvenwattError
from evenwatt.service.publishing import first_pages, pages
from evenwatt.sinks.web import Page, Pages, WebServer
from evenwatt.sinks.web.files import page_files
from sink_fixtures import snapshot

PAGE = Page(body=b"hello\n", content_type="text/plain; charset=utf-8")
PATHS = ["/", "/api/v1/live", "/api/v1/status", "/healthz", "/metrics", "/readyz"]
FILES = {f"/page/{name}" for name in page_files()} | {"/api/v1/openapi.json"}


@pytest.fixture
def server():
    """A server on a free port, with nothing to show yet."""
    with closing(WebServer(host="127.0.0.1", port=0)) as started:
        yield started


def ask(server, path, method="GET"):
    """Return the answer to one request."""
    with loopback_session() as session:
        return session.request(method, f"http://127.0.0.1:{server.port}{path}", timeout=5)


def published(server, *, age_seconds=0.0, **page):
    """Publish one page that was finished some time ago."""
    finished = Page(body=PAGE.body, content_type=PAGE.content_type, **page)
    server.publish(Pages(by_path={"/page": finished}, boot_seconds=boot_seconds() - age_seconds))


def test_a_page_is_answered_as_it_was_published(server):
    """Body, type and status come as they are; the next publication takes their place."""
    server.publish(Pages(by_path={"/page": PAGE}))
    answer = ask(server, "/page")

    assert (answer.status_code, answer.content) == (200, b"hello\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]

    published(server, status=503)
    assert ask(server, "/page").status_code == 503


@pytest.mark.parametrize("path", ["/nothing", "/page/", "//page", "/..%2fpage", "/%00", "/page.html"])
def test_a_path_that_is_not_there_names_those_that_are(server, path):
    """404 lists the pages, and repeats nothing of what was asked."""
    server.publish(Pages(by_path={"/page": PAGE, "/other": PAGE}))
    answer = ask(server, path)

    assert answer.status_code == 404
    assert answer.text == "nothing at this path; there are: /other, /page\n"


def test_head_is_get_without_a_body(server):
    """HEAD tells what GET would bring."""
    published(server)
    answer = ask(server, "/page", "HEAD")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == "6"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(server, method):
    """Only reading is allowed, at any path."""
    published(server)

    assert ask(server, "/page", method).status_code == 405
    assert ask(server, "/nothing", method).status_code == 405


def test_a_page_that_is_too_old_is_not_shown(server):
    """When ticks end, what was true once is no longer answered."""
    published(server, age_seconds=9.0, stale_after_seconds=10.0)
    assert ask(server, "/page").status_code == 200

    published(server, age_seconds=61.0, stale_after_seconds=60.0)
    answer = ask(server, "/page")

    assert (answer.status_code, answer.text) == (503, "the last tick finished 61 s ago\n")


def test_before_the_first_tick_it_is_alive_and_not_ready(server):
    """Health is there at once; what needs a tick says that it waits for one."""
    server.publish(first_pages())

    assert {path: ask(server, path).status_code for path in PATHS} == {
        "/": 200,
        "/healthz": 200,
        "/readyz": 503,
        "/metrics": 503,
        "/api/v1/live": 503,
        "/api/v1/status": 503,
    }


def test_a_snapshot_has_all_its_pages(server):
    """After a tick every page is there, and each is too old after the same time but for the way to them."""
    finished = pages(snapshot(simulated=True), stale_after_seconds=60.0, live=(b"{}", b"{}"))
    server.publish(finished)

    assert [path for path in sorted(finished.by_path) if path not in FILES] == PATHS
    assert {ask(server, path).status_code for path in PATHS} == {200}
    assert ask(server, "/api/v1/status").json()["simulated"] is True
    assert '<p class="simulated">' in ask(server, "/").text
    assert ask(server, "/metrics").headers["Content-Type"].startswith("text/plain; version=0.0.4")

    server.publish(Pages(by_path=finished.by_path, boot_seconds=boot_seconds() - 61.0))
    assert {path: ask(server, path).status_code for path in PATHS if path != "/"} == dict.fromkeys(
        PATHS[1:], 503
    )


def test_an_address_in_use_stops_the_start():
    """A port that somebody listens on is told at once, with the setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EvenwattError, match=f"cannot listen on 127.0.0.1:{port}") as error:
            WebServer(host="127.0.0.1", port=port)

    assert "server.listen" in str(error.value)


def test_a_closed_server_answers_no_more(server):
    """After its end nothing listens; closing twice is no error; publishing tells that nobody reads it."""
    port = server.port
    server.close()
    server.close()

    with pytest.raises(requests.ConnectionError):
        ask(server, "/healthz")
    with pytest.raises(EvenwattError, match=f"the web server on port {port} has ended"):
        server.publish(first_pages())


def test_its_port_is_free_for_the_next_one(server):
    """An agent that starts anew finds its port free, connections of clients that stay or not."""
    published(server)
    with loopback_session() as session:
        url = f"http://127.0.0.1:{server.port}/page"
        assert session.get(url, timeout=5).ok
        server.close()
        with closing(WebServer(host="127.0.0.1", port=server.port)) as again:
            published(again)
            assert session.get(url, timeout=5).ok


@contextmanager
def half_requests(server, count):
    """Open connections that begin a request and never end it."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            with suppress(ConnectionError):
                client.sendall(b"GET /pa")
            client.setblocking(False)
            clients.append(client)
        yield clients


def is_closed(client):
    """Return whether the server has ended a connection."""
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def is_cut_off(client):
    """Return whether a connection takes no more, whatever lies unread in it."""
    try:
        client.send(b"G")
    except ConnectionError:
        return True
    return False


def is_served(server):
    """Return whether a page is answered, and not the connection refused."""
    try:
        return ask(server, "/page").status_code == 200
    except requests.ConnectionError:
        return False


def wait_until(condition, seconds=5.0):
    """Wait for a condition."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_no_more_than_64_connections_are_kept(server):
    """A crowd of half requests takes 64 descriptors; whoever comes after is sent away at once."""
    with half_requests(server, 80) as clients:
        wait_until(lambda: sum(map(is_closed, clients)) == 16)
        published(server)
        with pytest.raises(requests.ConnectionError):
            ask(server, "/page")
    wait_until(lambda: is_served(server))


def test_half_a_request_is_not_waited_for():
    """A connection without a whole request is closed in time, trickling or not; another client is served."""
    with closing(WebServer(host="127.0.0.1", port=0, patience_seconds=0.5)) as server:
        published(server)
        with half_requests(server, 3) as clients:
            began = time.monotonic()
            while not is_closed(clients[0]):
                assert time.monotonic() - began < 5.0
                with suppress(ConnectionError):
                    clients[0].sendall(b"g")
                time.sleep(0.05)
            took_seconds = time.monotonic() - began
            wait_until(lambda: all(map(is_closed, clients)))

        assert took_seconds >= 0.4
        assert ask(server, "/page").status_code == 200


def test_a_client_that_reads_no_answer_is_not_waited_for():
    """Who asks for more than the buffers between hold, and takes none of it, is cut off in time."""
    with closing(WebServer(host="127.0.0.1", port=0, patience_seconds=0.5)) as server:
        server.publish(Pages(by_path={"/page": Page(body=b"x" * 1_000_000, content_type="text/plain")}))
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n" * 20)
            wait_until(lambda: is_cut_off(client))

        assert ask(server, "/page").status_code == 200


def test_a_lack_of_descriptors_is_told_in_one_line(server, caplog):
    """Where no connection can be accepted the log has a line about it, not a hundred a second."""
    client = socket.socket()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    with client:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            client.connect(("127.0.0.1", server.port))
            wait_until(lambda: "socket.accept()" in caplog.text)
            time.sleep(1.2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    (told,) = [record for record in caplog.records if "socket.accept()" in record.getMessage()]

    assert told.getMessage().startswith("web server: socket.accept() out of system resource")
    assert told.exc_info is None
    wait_until(lambda: ask(server, "/page").status_code == 404)


def test_the_last_scrape_is_remembered_with_who_it_was(server):
    """Whether Prometheus reaches the agent is seen here, and nowhere else."""
    server.publish(Pages(by_path={"/metrics": PAGE}))
    assert server.last_scrape is None

    with loopback_session() as session:
        session.headers["User-Agent"] = "Prometheus/3.5"
        session.get(f"http://127.0.0.1:{server.port}/metrics", timeout=5)

    assert server.last_scrape.user_agent == "Prometheus/3.5"
    assert server.last_scrape.utc_seconds == pytest.approx(time.time(), abs=5)
