"""The engines and the load that other tests trust are themselves right."""

import itertools
import json
import subprocess
import time
from collections import defaultdict

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from counting_engine import Counts
from engine_process import EngineProcess, loopback_session
from llama_server import LlamaCounters
from load import Request, Usage, mixed_requests, send
from tiny_gguf import write_tiny_gguf

pytest_plugins = ["llama_fixtures"]

HOSTILE_NAMES = ['quote " name', "back\\slash", "line\nbreak", "} 1.0 # {", "模型", ""]
MEBIBYTE = 1 << 20


@pytest.fixture
def start_engine(tmp_path):
    """Return a function that starts a counting engine with these arguments; it ends with the test."""
    started = []

    def start(*arguments):
        engine = EngineProcess(tmp_path, *arguments)
        started.append(engine)
        engine.start()
        return engine

    yield start
    for engine in started:
        engine.stop()


@pytest.fixture
def get():
    """Return a function that gets a path of an engine."""
    with loopback_session() as session:
        yield lambda engine, path="/metrics", **options: session.get(
            engine.url + path, timeout=options.pop("timeout", 10), **options
        )


def values(page):
    """Return a page's values by name and labels, as an independent parser reads them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def counts_on(page):
    """Return what a vLLM page counts, by model."""
    totals = defaultdict(lambda: defaultdict(int))
    for (name, labels), value in values(page).items():
        if name.startswith("vllm:"):
            totals[dict(labels).get("model_name")][name] += int(value)
    totals.pop(None, None)
    return {
        model: Counts(
            input_tokens=sums["vllm:prompt_tokens_total"] - sums["vllm:prompt_tokens_cached_total"],
            cached_input_tokens=sums["vllm:prompt_tokens_cached_total"],
            output_tokens=sums["vllm:generation_tokens_total"],
            completed_requests=sums["vllm:request_success_total"],
        )
        for model, sums in totals.items()
    }


def difference(after: LlamaCounters, before: LlamaCounters):
    """Return the tokens counted between two readings: computed input, cached input, output."""
    return (
        after.input_tokens - before.input_tokens,
        after.cached_input_tokens - before.cached_input_tokens,
        after.output_tokens - before.output_tokens,
    )


def test_model_is_small_and_depends_on_its_seed_alone(tmp_path):
    """The same seed gives the same small file, another one another."""
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    write_tiny_gguf(first)
    write_tiny_gguf(again)
    write_tiny_gguf(other, seed=1)

    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert first.stat().st_size < 3 * MEBIBYTE


def test_model_speaks_plain_ascii(llama_server):
    """What the model says is printable and as long as was asked."""
    body = {"prompt": "the cost", "max_tokens": 200, "ignore_eos": True, "temperature": 1.0}
    with loopback_session() as session:
        answer = session.post(f"{llama_server.url}/v1/completions", json=body, timeout=30).json()

    assert answer["usage"]["completion_tokens"] == 200
    assert answer["choices"][0]["text"].isascii()
    assert answer["choices"][0]["text"].isprintable()


def test_model_ends_by_itself_now_and_then(llama_server):
    """Some answers end at the model's will, others at the limit."""
    usage = send(llama_server.url, llama_server.alias, mixed_requests(100, max_tokens=32))

    assert usage.finish_reasons["stop"] > 0
    assert usage.finish_reasons["length"] > 0
    assert usage.finish_reasons["stop"] + usage.finish_reasons["length"] == 100


def test_server_counts_what_its_answers_say(llama_server):
    """The server's counters grow by exactly the usage that its answers report."""
    before = llama_server.counters_when_idle()
    usage = send(llama_server.url, llama_server.alias, mixed_requests(24, seed=1))
    after = llama_server.counters_when_idle()

    assert usage.answered == 24
    assert difference(after, before) == (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)


def test_repeated_prompt_comes_from_the_cache(start_llama_server):
    """Of a prompt sent again all but its last token is cached."""
    server = start_llama_server()
    prompt = Request(prompt="energy cost per answer " * 10)
    first = send(server.url, server.alias, [prompt], workers=1)
    again = send(server.url, server.alias, [prompt], workers=1)

    assert first.cached_input_tokens == 0
    assert again.input_tokens == 1
    assert again.cached_input_tokens == first.input_tokens - 1


def test_aborted_requests_are_counted_until_they_were_hung_up_on(llama_server):
    """Hanging up after some chunks leaves a part of the output that was asked for."""
    before = llama_server.counters_when_idle()
    hung_up = Request(prompt="the price", max_tokens=900, is_streamed=True, abort_after_chunks=3)
    usage = send(llama_server.url, llama_server.alias, [hung_up] * 4)
    after = llama_server.counters_when_idle()

    assert usage == Usage(aborted=4)
    assert 4 * 3 <= difference(after, before)[2] < 4 * 900


def test_killed_server_counts_from_zero_on_its_port(start_llama_server):
    """After SIGKILL the server starts as another process at the same address, with nothing counted."""
    server = start_llama_server()
    send(server.url, server.alias, [Request(prompt="the cost")])
    first_pid = server.pid
    server.kill()
    server.start()

    assert server.pid != first_pid
    assert server.counters() == LlamaCounters(
        input_tokens=0, cached_input_tokens=0, output_tokens=0, requests_running=0
    )


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8080", "http://example.org", "http://127.0.0.1.example.org"]
)
def test_load_is_refused_for_other_machines(url):
    """A load is sent to this machine only."""
    with pytest.raises(ValueError) as refusal:
        send(url, "model", [])

    assert "loopback" in str(refusal.value)


def test_load_is_bounded():
    """A load of more than 2,000 requests is refused before the first is sent."""
    with pytest.raises(ValueError) as refusal:
        send("http://127.0.0.1:1", "model", [Request(prompt="")] * 2_001)

    assert "2001 requests" in str(refusal.value)


def test_load_fails_when_a_request_is_refused(start_engine):
    """A refused request is an error with the server's words, never a quiet zero."""
    engine = start_engine()
    with pytest.raises(RuntimeError) as refusal:
        send(engine.url, "model-0", [Request(prompt="the cost")])

    assert "refused a request with 400" in str(refusal.value)


@pytest.mark.parametrize("arguments", [(), ("--no-start-time", "--models", "3"), ("--lines", "1500")])
def test_engine_page_is_valid_exposition(start_engine, get, arguments):
    """The official checker finds nothing but the flaws of style that the real page has as well."""
    page = get(start_engine(*arguments)).content
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)

    style_only = 3
    assert checked.returncode == style_only
    assert b"error" not in checked.stderr


def test_engine_page_has_the_lines_asked_for(start_engine, get):
    """A page of at least 1,500 lines has hardly more than that."""
    page = get(start_engine("--lines", "1500")).text

    assert 1_500 <= page.count("\n") < 1_520


def test_engine_page_says_what_the_truth_says(start_engine, get, tmp_path):
    """Whatever the models are called, the page holds the totals that were written down."""
    names = tmp_path / "names.json"
    names.write_text(json.dumps(HOSTILE_NAMES), encoding="utf-8")
    engine = start_engine("--names", str(names), "--input-rate", "1000003")
    page = get(engine).text

    assert list(engine.truth()[-1].models) == HOSTILE_NAMES
    assert counts_on(page) == engine.truth()[-1].models
    assert [model["id"] for model in get(engine, "/v1/models").json()["data"]] == HOSTILE_NAMES


def test_engine_counts_by_the_clock(start_engine, get):
    """Between two pages the totals grow by the rates times the time, but for what is less than a token."""
    engine = start_engine()
    pages = [counts_on(get(engine).text)["model-0"] for _ in range(2)]
    seconds = engine.truth()[1].boot_seconds - engine.truth()[0].boot_seconds

    grown = {name: value - pages[0].as_dict()[name] for name, value in pages[1].as_dict().items()}
    assert grown["input_tokens"] == pytest.approx(1_000 * seconds, abs=1)
    assert grown["cached_input_tokens"] == pytest.approx(500 * seconds, abs=1)
    assert grown["output_tokens"] == pytest.approx(200 * seconds, abs=1)


def test_engine_counts_work_given_to_it(start_engine, get):
    """With all rates at zero it counts the work it is told of, model by model, and nothing else."""
    engine = start_engine("--models", "2")
    engine.set_rates(Counts())
    before = counts_on(get(engine).text)
    done = Counts(input_tokens=70, cached_input_tokens=20, output_tokens=10, completed_requests=1)
    engine.work(done)
    engine.work(Counts(output_tokens=3_000_000), model="model-1")

    assert counts_on(get(engine).text) == {
        "model-0": before["model-0"] + done,
        "model-1": before["model-1"] + Counts(output_tokens=3_000_000),
    }


def test_engine_refuses_work_it_cannot_count(start_engine, get):
    """Work of an unknown model is refused with a sentence and changes nothing."""
    engine = start_engine()
    engine.set_rates(Counts())
    before = counts_on(get(engine).text)
    with pytest.raises(ValueError) as refusal:
        engine.work(Counts(output_tokens=1), model="no such model")

    assert "no such model" in str(refusal.value)
    assert counts_on(get(engine).text) == before


def test_engine_shows_running_requests(start_engine, get):
    """The gauge follows the rates until a test says otherwise."""
    engine = start_engine()

    def running():
        gauge = ("vllm:num_requests_running", frozenset({("engine", "0"), ("model_name", "model-0")}))
        return values(get(engine).text)[gauge]

    shown = [running()]
    engine.set_rates(Counts())
    shown.append(running())
    engine.set_running(7)
    shown.append(running())
    engine.set_running(None)
    shown.append(running())

    assert shown == [1, 0, 7, 0]


def test_engine_in_multiprocess_mode_tells_nothing_of_its_process(start_engine, get):
    """Such a page has neither start time nor `_created`, and no gauge before the first request."""
    idle_rates = ("--input-rate", "0", "--cached-rate", "0", "--output-rate", "0", "--request-rate", "0")
    engine = start_engine("--no-start-time", *idle_rates)
    idle = get(engine).text
    engine.work(Counts(output_tokens=1))
    busy = get(engine).text

    assert "process_" not in busy
    assert "_created" not in busy
    assert "vllm:num_requests_running" not in idle
    assert "vllm:num_requests_running" in busy


def test_engine_in_one_process_tells_when_it_began(start_engine, get):
    """Its start time and the `_created` series are that of this process."""
    engine = start_engine()
    page = values(get(engine).text)
    created = ("vllm:generation_tokens_created", frozenset({("engine", "0"), ("model_name", "model-0")}))

    began = psutil.Process(engine.pid).create_time()
    assert page["process_start_time_seconds", frozenset()] == pytest.approx(began, abs=5)
    assert page[created] == pytest.approx(began, abs=5)


def test_killed_engine_starts_from_zero_and_leaves_its_truth(start_engine, get):
    """The truth of a killed engine ends with its last page; the next process on the port begins anew."""
    engine = start_engine()
    engine.work(Counts(output_tokens=10**9))
    last_seen = counts_on(get(engine).text)
    first_pid = engine.pid
    engine.kill()
    engine.start()
    get(engine)
    engine.stop()

    first, second, stopped = engine.truth()
    assert (first.event, first.pid, first.models) == ("page", first_pid, last_seen)
    assert (second.event, second.pid) == ("page", engine.pid)
    assert second.models["model-0"].output_tokens < 10**9
    assert (stopped.event, stopped.pid) == ("stop", engine.pid)
    assert stopped.models["model-0"].output_tokens >= second.models["model-0"].output_tokens


def test_engine_that_cannot_start_says_why(tmp_path):
    """The error of an engine that ends at once quotes what it said."""
    with pytest.raises(RuntimeError) as failure, EngineProcess(tmp_path, "--models", "many"):
        pass

    assert "invalid int value: 'many'" in str(failure.value)


def test_garbage_is_not_text(start_engine, get):
    """In the mode `garbage` the answer is of the right type and not even UTF-8."""
    engine = start_engine()
    engine.set_mode("garbage")
    answer = get(engine)

    assert answer.headers["Content-Type"].startswith("text/plain")
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode()


def test_http500_is_an_error_until_the_engine_is_well_again(start_engine, get):
    """In the mode `http500` the status tells of it; in the mode `ok` the page is back."""
    engine = start_engine()
    engine.set_mode("http500")
    failed = get(engine)
    engine.set_mode("ok")

    assert failed.status_code == 500
    assert counts_on(get(engine).text) == engine.truth()[-1].models


def test_cut_page_is_shorter_than_announced(start_engine, get):
    """In the mode `cut` the connection closes in the middle of the page."""
    engine = start_engine()
    engine.set_mode("cut")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(engine)


def test_malformed_page_cannot_be_parsed(start_engine, get):
    """In the mode `malformed` good lines stand between lines that no parser takes."""
    engine = start_engine()
    engine.set_mode("malformed")
    samples = [line for line in get(engine).text.splitlines() if not line.startswith("#")]

    for good in samples[::2]:
        list(text_string_to_metric_families(good))
    for bad in samples[1::2]:
        with pytest.raises(ValueError):
            list(text_string_to_metric_families(bad))


def test_hanging_engine_does_not_answer(start_engine, get):
    """In the mode `hang` the page does not come, while other answers do."""
    engine = start_engine()
    engine.set_mode("hang")

    with pytest.raises(requests.exceptions.ReadTimeout):
        get(engine, timeout=0.3)
    assert get(engine, "/health").ok


def test_dripping_page_comes_slowly(start_engine, get):
    """In the mode `drip` even the first line of the page takes its time."""
    engine = start_engine()
    engine.set_mode("drip")
    with get(engine, stream=True) as answer:
        begun = time.monotonic()
        read = answer.raw.read(80)
        seconds = time.monotonic() - begun

    assert read.startswith(b"# HELP")
    assert seconds > 0.1


def test_endless_page_does_not_fill_the_engine(start_engine, get):
    """In the mode `endless` a reader can go on for long, and the engine's memory stays as it was."""
    engine = start_engine()
    engine.set_mode("endless")
    before = psutil.Process(engine.pid).memory_info().rss
    with get(engine, stream=True) as answer:
        read = sum(map(len, itertools.islice(answer.iter_content(MEBIBYTE), 64)))

    assert read == 64 * MEBIBYTE
    assert psutil.Process(engine.pid).memory_info().rss - before < 8 * MEBIBYTE


def test_gzip_bomb_unpacks_to_far_more_than_is_sent(start_engine, get):
    """In the mode `gzip_bomb` little is sent and much comes out."""
    engine = start_engine()
    engine.set_mode("gzip_bomb")
    with get(engine, stream=True) as answer:
        unpacked = sum(map(len, itertools.islice(answer.iter_content(MEBIBYTE), 64)))
        sent = answer.raw.tell()

    assert unpacked == 64 * MEBIBYTE
    assert sent < MEBIBYTE


def test_unknown_mode_is_refused(start_engine):
    """A mode that does not exist is refused with a sentence."""
    with pytest.raises(ValueError) as refusal:
        start_engine().set_mode("no such mode")

    assert "no such mode" in str(refusal.value)
