"""What the port does beyond bytes: tags, compression, questions that are looked up, and the stream."""

import gzip
import json
import math
import threading
import time
from contextlib import closing

import pytest
import requests
from msgspec.structs import replace

from engine_process import loopback_session
from evenwatt.sinks.web import Page, Pages, Question, WebServer, desk, json_page
from evenwatt.sinks.web.files import INDEX, page_files

LONG = Page(body=b"evenwatt " * 1_000, content_type="text/plain; charset=utf-8")
LONGEST = Page(body=b"evenwatt " * 10_000, content_type="text/plain; charset=utf-8")
"""So long that a thread compresses it."""
STREAM_SECONDS = 5


class Library:
    """Answers questions, counts them, and may be made to take its time."""

    def __init__(self):
        self.asked = []
        self.sentence = None
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, question):
        self.asked.append(question)
        assert self.may_answer.wait(20)
        if question.path == "/fault":
            raise ZeroDivisionError
        page = json_page({"number": len(self.asked), "parameters": dict(question.parameters)})
        return replace(page, sentence=self.sentence)


@pytest.fixture
def library():
    """Who is asked."""
    return Library()


@pytest.fixture
def server(library):
    """A server that looks two paths up, and one of them at the sight of the page."""
    questions = {"/looked-up": Question("/looked-up", (("window", "7d"),)), "/fault": None}
    with closing(WebServer(host="127.0.0.1", port=0, questions=questions, ask=library)) as started:
        started.publish(Pages(by_path={"/": LONG, "/long": LONG, "/longest": LONGEST, "/metrics": LONG}))
        yield started


def ask(server, path, **headers):
    """Return the answer to one request, its body as it came over the wire."""
    with loopback_session() as session:
        url = f"http://127.0.0.1:{server.port}{path}"
        answer = session.get(url, headers={"Accept-Encoding": "identity", **headers}, timeout=20, stream=True)
        answer.wire = answer.raw.read(decode_content=False)
        return answer


@pytest.mark.parametrize(("path", "page"), [("/long", LONG), ("/longest", LONGEST)])
def test_a_long_answer_is_compressed_for_whoever_takes_it(server, path, page):
    """With gzip it is shorter and says so; without, or with q=0, it comes as it is."""
    packed = ask(server, path, **{"Accept-Encoding": "br, gzip;q=0.5"})
    plain = [ask(server, path, **{"Accept-Encoding": words}) for words in ("identity", "gzip;q=0", "br")]

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.wire) == page.body
    assert len(packed.wire) < len(page.body) / 45
    assert {answer.wire for answer in plain} == {page.body}
    assert packed.headers["Vary"] == "Accept-Encoding"


def test_a_number_that_is_none_is_not_known():
    """JSON has no word for it but null."""
    assert json_page({"nan": math.nan, "infinite": math.inf, "zero": 0.0}).body == (
        b'{"nan":null,"infinite":null,"zero":0.0}'
    )


def test_what_a_client_has_is_not_sent_again(server):
    """The tag of an answer is that of its bytes; it changes with them, and for the compressed ones."""
    tag = ask(server, "/long").headers["ETag"]
    packed_tag = ask(server, "/long", **{"Accept-Encoding": "gzip"}).headers["ETag"]
    again = ask(server, "/long", **{"If-None-Match": f'"other", {tag}'})

    assert (again.status_code, again.wire) == (304, b"")
    assert packed_tag != tag
    assert ask(server, "/long", **{"If-None-Match": packed_tag}).status_code == 200

    server.publish(Pages(by_path={"/long": Page(body=b"new", content_type="text/plain")}))
    assert ask(server, "/long", **{"If-None-Match": tag}).status_code == 200


def test_nothing_may_run_on_the_page_but_its_own_files(server):
    """The policy lets no inline script or style, no other site, no frame and no string become markup."""
    policy = ask(server, "/").headers["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy


def test_a_question_is_looked_up_once(server, library):
    """Equal questions have one answer while it is fresh, however their parameters are ordered."""
    first = ask(server, "/looked-up?a=1&b=2").wire
    second = ask(server, "/looked-up?b=2&a=1").wire
    other = ask(server, "/looked-up?a=2").wire

    assert json.loads(first) == {"number": 1, "parameters": {"a": "1", "b": "2"}}
    assert second == first
    assert json.loads(other)["number"] == 2


def test_the_page_has_its_first_question_answered_before_it_asks(server, library):
    """Whoever opens the page is about to ask for the report."""
    ask(server, "/")
    until = time.monotonic() + 5
    while not library.asked and time.monotonic() < until:
        time.sleep(0.01)

    assert library.asked == [Question("/looked-up", (("window", "7d"),))]


def test_the_page_says_at_once_what_is_known(server, library):
    """The sentence of an answer that is kept stands in the HTML, as text; another one changes the tag."""
    html = page_files()[INDEX]
    server.publish(Pages(by_path={"/": html}))
    library.sentence = "1 Mtok < 2 EUR & <script>"
    before = ask(server, "/")
    ask(server, "/looked-up?window=7d")
    after = ask(server, "/")

    assert before.wire == html.body
    assert after.wire.count(b">1 Mtok &lt; 2 EUR &amp; &lt;script&gt;</p>") == 1
    assert before.headers["ETag"] != after.headers["ETag"]
    assert ask(server, "/", **{"If-None-Match": after.headers["ETag"]}).status_code == 304


def test_the_page_says_nothing_that_is_old(server, library, monkeypatch):
    """An answer that nobody is given any more is not shown either."""
    server.publish(Pages(by_path={"/": page_files()[INDEX]}))
    library.sentence = "of a day ago"
    ask(server, "/looked-up?window=7d")
    assert b"of a day ago" in ask(server, "/").wire
    monkeypatch.setattr(desk, "_KEPT_SECONDS", 0.0)

    assert b"of a day ago" not in ask(server, "/").wire


def test_the_page_is_made_ready_again_for_whoever_comes_back(server, library, monkeypatch):
    """An answer that is too old to be given is looked up at the sight of the page, as at the first time."""
    ask(server, "/looked-up?window=7d")
    monkeypatch.setattr(desk, "_KEPT_SECONDS", 0.0)
    ask(server, "/")
    until = time.monotonic() + 5
    while len(library.asked) < 2 and time.monotonic() < until:
        time.sleep(0.01)

    assert len(library.asked) == 2


def test_nothing_of_before_a_reload_is_told_after_it(server, library):
    """What is kept is forgotten, and what was being looked up meanwhile is not kept."""
    ask(server, "/looked-up")
    library.may_answer.clear()
    slow = threading.Thread(target=ask, args=(server, "/looked-up?n=1"))
    slow.start()
    until = time.monotonic() + 5
    while len(library.asked) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    server.forget()
    library.may_answer.set()
    slow.join(20)

    assert json.loads(ask(server, "/looked-up").wire)["number"] == 3
    assert json.loads(ask(server, "/looked-up?n=1").wire)["number"] == 4


def test_a_lookup_that_hangs_holds_up_nobody_else(server, library):
    """While the disk hangs pages are answered at once; of many questions the most are sent away."""
    library.may_answer.clear()
    answers = []
    waiting = [
        threading.Thread(target=lambda n=n: answers.append(ask(server, f"/looked-up?n={n}").status_code))
        for n in range(24)
    ]
    for thread in waiting:
        thread.start()
    until = time.monotonic() + 5
    while len(answers) < 8 and time.monotonic() < until:
        time.sleep(0.01)
    began = time.monotonic()
    status = ask(server, "/metrics").status_code
    took_seconds = time.monotonic() - began
    refused = list(answers)
    library.may_answer.set()
    for thread in waiting:
        thread.join(20)

    assert (status, took_seconds < 2) == (200, True)
    assert refused == [503] * 8
    assert sorted(answers) == [200] * 16 + [503] * 8


def test_a_fault_of_ours_is_no_traceback(server, caplog):
    """The client learns that there was one, the log which, and the next question is answered."""
    answer = ask(server, "/fault")

    assert answer.status_code == 500
    assert json.loads(answer.wire) == {"error": "internal fault; the agent's log has it"}
    assert "internal fault at /fault" in caplog.text
    assert ask(server, "/looked-up").status_code == 200


def test_a_refusal_is_not_kept(server, library):
    """What could not be answered is looked up anew for whoever asks next."""
    assert [ask(server, "/fault").status_code for _ in range(2)] == [500, 500]
    assert len(library.asked) == 2


def test_what_is_kept_is_given_while_a_newer_answer_is_worked_out(server, library, monkeypatch):
    """A page that stays open does not wait for a disk that hangs."""
    monkeypatch.setattr(desk, "_FRESH_SECONDS", 0.0)
    first = ask(server, "/looked-up").wire
    library.may_answer.clear()
    began = time.monotonic()
    again = ask(server, "/looked-up").wire
    took_seconds = time.monotonic() - began
    library.may_answer.set()

    assert (again, took_seconds < 2) == (first, True)


def test_only_the_latest_answers_are_kept(server, library):
    """Many questions cost a bounded memory: the oldest answer goes."""
    for number in (*range(13), 12, 0):
        ask(server, f"/looked-up?n={number}")

    assert len(library.asked) == 14
    assert library.asked[-1].parameters == (("n", "0"),)


def test_a_query_has_a_bound(server, library):
    """A query of a kilobyte is refused before anybody looks at it."""
    assert ask(server, f"/looked-up?window={'x' * 1_000}").status_code == 414
    assert library.asked == []


def test_the_stream_tells_each_tick_and_ends_with_the_server(server):
    """A listener gets the tick that there is at once, then each new one, once."""
    url = f"http://127.0.0.1:{server.port}/api/v1/stream"
    server.publish(Pages(event=b'{"tick":1}'))
    with loopback_session() as session, session.get(url, stream=True, timeout=STREAM_SECONDS) as answer:
        lines = (line for line in answer.iter_lines(chunk_size=1) if line.startswith(b"data:"))
        first = next(lines)
        server.publish(Pages(event=b'{"tick":2}'))
        second = next(lines)
        server.close()
        rest = _rest(lines)

    assert answer.headers["Content-Type"] == "text/event-stream"
    assert (first, second, rest) == (b'data: {"tick":1}', b'data: {"tick":2}', [])


def _rest(lines):
    try:
        return list(lines)
    except requests.RequestException:
        return []


def test_only_so_many_may_listen(server):
    """The seventeenth listener is sent away; connections are left for scrapers and people."""
    url = f"http://127.0.0.1:{server.port}/api/v1/stream"
    with loopback_session() as session:
        listening = [session.get(url, stream=True, timeout=STREAM_SECONDS) for _ in range(16)]
        codes = {answer.status_code for answer in listening}
        refused = session.get(url, stream=True, timeout=STREAM_SECONDS).status_code
        for answer in listening:
            answer.close()

    assert (codes, refused) == ({200}, 503)


def test_the_page_is_small():
    """All files together, as they are, stay far below what the page may weigh."""
    assert sum(len(page.body) for page in page_files().values()) < 300_000
