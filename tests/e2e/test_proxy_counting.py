"""The real proxy before a stand-in of Ollama: every token is counted, once, whatever happens."""

import asyncio
import json
import os
import resource
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests

from engine_process import loopback_session
from ollama_stand_in import OllamaStandIn
from proxy_load import KINDS, body_of, mixed_load, run_load
from proxy_process import ProxyProcess
from raw_http import answer_of, exchanged, request_bytes

MODELS = ("tiny-llama:latest", "tiny-llama-b:latest")
HEAVY = pytest.mark.skipif("EVENWATT_HEAVY" not in os.environ, reason="minutes of load: set EVENWATT_HEAVY=1")


@pytest.fixture(scope="module")
def ollama(tmp_path_factory):
    """Return a stand-in that the tests of this module share."""
    engine = OllamaStandIn(tmp_path_factory.mktemp("ollama"))
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def proxy(ollama, tmp_path):
    """Return a proxy of the test's own."""
    with ProxyProcess(ollama.url, tmp_path) as running:
        yield running


def sent(url, kind, *, fault="", model="tiny-llama", words=5, tokens=4, stream=None, **more):
    """Send one request and return the answer, read to its end."""
    body = body_of(kind, model=model, words=words, tokens=tokens, stream=stream)
    with loopback_session() as session:
        return session.post(url + KINDS[kind], json=body | more, headers={"X-Fault": fault}, timeout=60)


def eventually(condition, seconds=5.0):
    """Wait for a condition, and fail where it does not come."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def check_against(proxy, truth):
    """Compare a proxy's totals with what clients know."""
    assert not truth.faults
    eventually(lambda: proxy.total("requests_total") == sum(truth.outcomes.values()))
    for model in MODELS:
        found = proxy.tokens(model=model, outcome="completed")
        expected = {kind: truth.tokens[model, kind] for kind in ("input", "cached_input", "output")}
        assert found == expected
    for outcome in ("completed", "aborted", "failed"):
        assert proxy.total("requests_total", outcome=outcome) == truth.outcomes[outcome]
    exact = proxy.total("requests_total", outcome="completed", counted="exact")
    assert exact == truth.outcomes["completed"]
    assert proxy.total("requests_running") == 0


def test_a_mixed_load_is_counted_exactly(proxy):
    """All interfaces, streamed or not, usage asked for or not, compressed, aborted, cut off: to the token."""
    load = mixed_load(300, seed=7, abort_share=0.1, fault_share=0.1)

    truth = asyncio.run(run_load(proxy.url, load, at_once=50))

    check_against(proxy, truth)
    assert min(truth.outcomes[outcome] for outcome in ("completed", "aborted", "failed")) > 5


@HEAVY
def test_five_thousand_requests_with_two_hundred_at_once_are_counted_exactly(proxy):
    """The same, at length."""
    load = mixed_load(5_000, seed=11, abort_share=0.05, fault_share=0.05)

    truth = asyncio.run(run_load(proxy.url, load, at_once=200))

    check_against(proxy, truth)


def test_no_kill_loses_a_finished_request_or_counts_one_twice(ollama, tmp_path):
    """Each request has a model of its own: what a client saw whole stands there once, after twenty kills."""
    proxy = ProxyProcess(ollama.url, tmp_path)
    finished, broken = [], []

    def one(number):
        model = f"m{number}:latest"
        with suppress(requests.RequestException):
            if sent(proxy.url, "chat", model=model, words=3, tokens=5, stream=number % 2 == 0).ok:
                finished.append(model)
                return
        broken.append(model)

    for round_ in range(20):
        proxy.start()
        with ThreadPoolExecutor(5) as pool:
            waiting = [pool.submit(one, 5 * round_ + number) for number in range(5)]
            time.sleep(0.004 * (round_ % 10))
            proxy.kill()
            for request in waiting:
                request.result()
    proxy.start()
    counts = Counter(
        {
            dict(labels)["model"]: value
            for (name, labels), value in proxy.samples().items()
            if name == "evenwatt_proxy_requests_total" and dict(labels)["outcome"] == "completed"
        }
    )
    tokens = proxy.tokens(outcome="completed")
    proxy.stop()

    assert finished
    assert broken
    assert {model: counts[model] for model in finished} == dict.fromkeys(finished, 1)
    assert max(counts.values()) == 1
    assert tokens == {"input": 3 * counts.total(), "cached_input": 0, "output": 5 * counts.total()}


def test_a_restart_goes_on_with_the_totals(proxy):
    """After an end in order, the page shows what it showed, and the identity of the totals stays."""
    sent(proxy.url, "generate", words=7, tokens=6)
    since = proxy.total("counting_since_timestamp_seconds")

    proxy.stop()
    proxy.start()

    assert proxy.tokens() == {"input": 7, "cached_input": 0, "output": 6}
    assert proxy.total("counting_since_timestamp_seconds") == since


def test_a_full_disk_stops_nothing_and_loses_nothing(proxy):
    """Requests go on and are kept; what is shown never ran ahead of the disk; then all of it is written."""
    sent(proxy.url, "generate", words=2, tokens=1)
    _, hard = resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (1, hard))

    answers = [sent(proxy.url, "chat", words=2, tokens=1) for _ in range(20)]

    assert all(answer.ok for answer in answers)
    assert proxy.total("state_writable") == 0
    assert proxy.total("unwritten_requests") == 20
    assert proxy.tokens()["input"] == 2
    resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (hard, hard))
    eventually(lambda: proxy.total("unwritten_requests") == 0)
    assert proxy.tokens() == {"input": 42, "cached_input": 0, "output": 21}
    assert proxy.total("state_writable") == 1
    assert "can be written again; nothing was lost" in proxy.log.read_text()


def test_an_answer_that_was_cut_off_is_a_lower_bound(proxy):
    """What was seen of it counts, and says that it is not all."""
    with pytest.raises(requests.RequestException):
        sent(proxy.url, "generate", fault="die", tokens=10, stream=True)

    eventually(lambda: proxy.total("requests_total", outcome="failed", counted="lower_bound") == 1)
    assert proxy.tokens(counted="lower_bound") == {"input": 0, "cached_input": 0, "output": 5}


def test_a_stream_of_vllm_that_was_cut_off_is_known_to_its_last_event(ollama, tmp_path):
    """Running usage is asked for and hidden: the prompt is known, and the output to the last event."""
    body = json.dumps(body_of("oai-chat", model="tiny-llama", words=6, tokens=10, stream=True)).encode()
    request = request_bytes("POST", "/v1/chat/completions", body, X_Fault="die")
    with ProxyProcess(ollama.url, tmp_path, "--engine", "vllm") as proxy:
        direct, proxied = (answer_of(exchanged(port, request)) for port in (ollama.port, proxy.port))
        eventually(lambda: proxy.total("requests_total", outcome="failed", counted="lower_bound") == 1)
        found = proxy.tokens()

    assert proxied.chunks == direct.chunks
    assert b"usage" not in proxied.body
    assert found == {"input": 6, "cached_input": 0, "output": 5}


def test_an_error_within_a_stream_is_a_failed_request(proxy):
    """Under status 200, after some tokens."""
    for kind in ("chat", "oai-chat"):
        assert sent(proxy.url, kind, fault="error", tokens=10, stream=True).ok

    eventually(lambda: proxy.total("requests_total", outcome="failed", counted="lower_bound") == 2)


def test_a_refused_request_counts_as_failed_with_no_token(proxy):
    """The status goes through, and a name that the client made up becomes no label."""
    assert sent(proxy.url, "chat", fault="refuse", model="made-up").status_code == 500

    eventually(lambda: proxy.total("requests_total", outcome="failed", counted="exact", model="unknown") == 1)
    assert proxy.tokens() == {"input": 0, "cached_input": 0, "output": 0}


def test_loading_a_model_is_no_request(proxy):
    """An empty prompt asks for no token."""
    with loopback_session() as session:
        answer = session.post(f"{proxy.url}/api/generate", json={"model": "tiny-llama"}, timeout=10)

    assert answer.json()["done_reason"] == "load"
    assert proxy.total("requests_total") == 0
    assert proxy.total("requests_running") == 0


def test_a_model_of_another_machine_is_told_apart(proxy):
    """Its tokens took no energy here."""
    sent(proxy.url, "chat", model="gpt-oss:120b-cloud", words=3, tokens=2)
    sent(proxy.url, "oai-chat", model="gpt-oss:120b-cloud", words=3, tokens=2)

    eventually(lambda: proxy.total("requests_total", place="remote") == 2)
    assert proxy.total("requests_total", place="local") == 0


def test_long_lines_and_broken_text_are_counted(proxy):
    """A last line of 10 MB with the context in it, and bytes that are no UTF-8."""
    long = sent(proxy.url, "generate", fault="long-line", words=3, tokens=4, stream=True)
    broken = sent(proxy.url, "generate", fault="garbage", words=3, tokens=4, stream=True)

    assert len(long.content) > 9_000_000
    assert b"\xff\xfe" in broken.content
    assert proxy.tokens(counted="exact") == {"input": 6, "cached_input": 0, "output": 8}


def test_no_api_of_an_engine_hides_the_page_and_the_page_hides_none(proxy):
    """The engine's /metrics is the engine's answer; the proxy's page has an address of its own."""
    with loopback_session() as session:
        answer = session.get(f"{proxy.url}/metrics", timeout=10)

    assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_clients_are_told_apart_by_rules(ollama, tmp_path):
    """By key, header, network and user field; everybody else is other, and no key is in the state folder."""
    config = tmp_path / "config.yaml"
    proxy = ProxyProcess(ollama.url, tmp_path)
    rules = [
        {"name": "team-a", "api_key": "secret-of-a"},
        {"header": "X-Team"},
        {"name": "bob", "user": "bob"},
        {"name": "loopback", "network": "127.0.0.0/8", "header": "X-Local", "value": "yes"},
    ]
    entry = {
        "name": "ollama",
        "upstream": ollama.url,
        "listen": f"127.0.0.1:{proxy.port}",
        "metrics_listen": f"127.0.0.1:{proxy.metrics_port}",
        "state": str(proxy.state),
        "clients": rules,
    }
    config.write_text(json.dumps({"proxy": [entry]}))
    proxy.use_config(config)
    asking = [
        ({"Authorization": "Bearer secret-of-a"}, {}),
        ({"X-Team": "blue"}, {}),
        ({}, {"user": "bob"}),
        ({"X-Local": "yes"}, {}),
        ({"Authorization": "Bearer wrong"}, {}),
    ]
    with proxy, loopback_session() as session:
        for headers, more in asking:
            body = body_of("oai-chat", model="tiny-llama", words=3, tokens=2) | more
            assert session.post(f"{proxy.url}/v1/chat/completions", json=body, headers=headers, timeout=10).ok
        names = ("team-a", "blue", "bob", "loopback", "other")
        found = {client: proxy.tokens(client=client)["input"] for client in names}
        entry["clients"] = [{"name": "everybody", "network": "127.0.0.0/8"}]
        config.write_text(json.dumps({"proxy": [entry]}))
        proxy.reload()
        eventually(lambda: "reloaded" in proxy.log.read_text())
        sent(proxy.url, "chat", words=9)
        reloaded = proxy.tokens(client="everybody")["input"]

    assert found == dict.fromkeys(found, 3)
    assert reloaded == 9
    assert not any(b"secret-of-a" in file.read_bytes() for file in proxy.state.iterdir())
