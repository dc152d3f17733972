"""An engine is read as one process's page, or not at all."""

import json
import os
import tempfile
import time

import pytest

from captured import CAPTURES
from counting_engine import Counts
from engine_process import EngineProcess, free_port
from evenwatt.clock import boot_id, boot_seconds
from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.model import ModelCounters
from evenwatt.readings.engine import ENGINE_KINDS, EngineSource, _kernel_signals
from evenwatt.readings.engines import ADAPTERS, fingerprint
from evenwatt.readings.processes import Listener
from ledger_values import Books
from loopback_servers import PageServer, page_process

pytest_plugins = ["llama_fixtures"]

VLLM_FILE = CAPTURES / "vllm" / "single-04-prefix.prom.txt"
VLLM_PAGE = VLLM_FILE.read_bytes()
LLAMACPP_PAGE = (CAPTURES / "llamacpp" / "b11434-04-prefix.prom.txt").read_bytes()
PYTHON_PAGE = b"# TYPE python_info gauge\npython_info 1.0\nhttp_requests_total 5.0\n"
ONE_MODEL = json.dumps({"data": [{"id": "tiny-llama"}]}).encode()
TICK_SECONDS = 0.01
IDLE = ("--input-rate=0", "--cached-rate=0", "--output-rate=0", "--request-rate=0")


@pytest.fixture
def source():
    """Return a function that makes a source, which is closed after the test."""
    made = []

    def make(url, **options):
        made.append(EngineSource(name="chat", url=url, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def engine(tmp_path):
    """Return a counting engine in a process of its own, which is idle unless told to work."""
    with EngineProcess(tmp_path, *IDLE) as process:
        yield process


def llamacpp_pages(header="1000", name=ONE_MODEL):
    """Return the answers of a llama-server."""
    headers = {"Process-Start-Time-Unix": header} if header else {}
    return {"/metrics": (200, headers, LLAMACPP_PAGE), "/v1/models": (200, {}, name)}


def error_of(reading_source, kind=SourceContractError):
    """Return the words of a reading's error."""
    with pytest.raises(kind) as caught:
        reading_source.read()
    return str(caught.value)


def test_reading_has_what_the_engine_counted(source, engine):
    """A reading has the tokens, requests, identity and moment of the engine."""
    engine.work(Counts(input_tokens=100, cached_input_tokens=50, output_tokens=20, completed_requests=2))
    begun_boot_seconds = boot_seconds()

    reading = source(engine.url).read()

    (model,) = reading.models
    assert model == ModelCounters(
        model="model-0",
        input_tokens=100,
        cached_input_tokens=50,
        output_tokens=20,
        requests=model.requests,
        prefill_seconds=0.25,  # two requests of 0.125 s and 0.375 s
        decode_seconds=0.75,
    )
    assert model.requests["completed"] == 2
    assert (reading.engine, reading.kind, reading.listener_pid) == ("chat", "vllm", engine.pid)
    assert (reading.requests_running, reading.requests_waiting) == (0, 0)
    assert begun_boot_seconds <= reading.moment.boot_seconds <= boot_seconds()


def test_living_engine_keeps_its_epoch_and_a_new_one_has_another(source, engine):
    """Every signal stays from reading to reading, and changes with a new process on the port."""
    chat = source(engine.url)
    first, second = chat.read(), chat.read()
    engine.kill()
    killed_boot_seconds = boot_seconds()
    engine.start()
    third = chat.read()

    assert first.epoch == second.epoch
    assert set(first.epoch.signals) == set(third.epoch.signals) == {"start_time", "created", "process"}
    assert all(value != third.epoch.signals[name] for name, value in first.epoch.signals.items())
    assert third.epoch.signals["process"].startswith(f"{boot_id()}:{engine.pid}:")
    assert first.epoch.started_boot_seconds < killed_boot_seconds
    assert third.epoch.started_boot_seconds > killed_boot_seconds - TICK_SECONDS


def test_engine_without_a_start_time_is_known_by_its_process(source, tmp_path):
    """In multiprocess mode the page tells nothing, and the kernel does."""
    with EngineProcess(tmp_path, *IDLE, "--no-start-time") as engine:
        reading = source(engine.url).read()

    assert set(reading.epoch.signals) == {"process"}
    assert boot_seconds() - 60 < reading.epoch.started_boot_seconds < reading.moment.boot_seconds


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_counters_in_a_folder_that_somebody_named_outlive_their_process(source, tmp_path, monkeypatch, kind):
    """PROMETHEUS_MULTIPROC_DIR: files of dead runs are added in, and the next run counts on from there."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/var/lib/counters")
    page = tmp_path / "page"
    epochs, books = [], Books()
    for wrote in (100, 130):
        read, written = (f'{kind}:{name}_tokens_total{{model_name="m"}}' for name in ("prompt", "generation"))
        page.write_text(f"{read} 7\n{written} {wrote}\n")
        with page_process(page) as (_, port):
            reading = source(f"http://127.0.0.1:{port}").read()
        epochs.append(reading.epoch)
        books.fold(reading.moment, reading)

    assert [epoch.signals["store"] for epoch in epochs] == ["/var/lib/counters"] * 2
    assert [epoch.started_boot_seconds for epoch in epochs] == [None, None]
    assert epochs[0].signals["process"] != epochs[1].signals["process"]
    assert books.tokens() == (0, 30)
    assert not books.events("engine_restart")


def test_folder_that_an_engine_made_for_one_life_is_no_sign(source, tmp_path, monkeypatch):
    """API servers of vLLM and workers of SGLang are told of one in the same variable."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(dir=tmp_path))
    page = tmp_path / "page"
    page.write_text(
        'vllm:prompt_tokens_total{model_name="m"} 7\nvllm:generation_tokens_total{model_name="m"} 3\n'
    )
    with page_process(page) as (_, port):
        reading = source(f"http://127.0.0.1:{port}").read()

    assert set(reading.epoch.signals) == {"process"}
    assert reading.epoch.started_boot_seconds is not None


@pytest.mark.parametrize(("age_seconds", "is_known"), [(100, True), (-100, False)])
def test_forwarded_engine_on_loopback_is_as_old_as_its_page_says(source, tmp_path, age_seconds, is_known):
    """Behind a forwarder the age comes from the page; a start in the future is no age."""
    page = tmp_path / "page"
    page.write_bytes(VLLM_PAGE.replace(b"1.79523155292e+09", repr(time.time() - age_seconds).encode()))
    with page_process(page, comm="docker-proxy") as (_, port):
        reading = source(f"http://127.0.0.1:{port}").read()

    assert set(reading.epoch.signals) == {"start_time", "created"}
    assert reading.listener_pid is None
    started = reading.epoch.started_boot_seconds
    assert (started is not None) == is_known
    assert started is None or started == pytest.approx(boot_seconds() - 100, abs=2)


@pytest.mark.parametrize("path", ["", "/", "/metrics", "/metrics/"])
def test_forms_of_the_address(source, path):
    """An address is the same with and without /metrics at its end."""
    with PageServer({"/metrics": (200, {}, VLLM_PAGE)}) as server:
        chat = source(f"{server.url}{path}")
        chat.read()

    assert chat.address == f"{server.url}/metrics"
    # What may be a llama-server is first asked whether it sleeps.
    assert server.paths() == ["/props", "/metrics"]


def test_kind_is_found_on_the_first_page_and_kept(source):
    """Without a kind the page decides; after that another kind's page is an error."""
    with PageServer({"/metrics": (200, {}, VLLM_PAGE)}) as server:
        chat = source(server.url)
        kinds = [chat.kind]
        chat.read()
        kinds.append(chat.kind)
        server.pages = llamacpp_pages()

        assert "is one of llamacpp" in error_of(chat)
    assert kinds == ["engine", "vllm"]


@pytest.mark.parametrize("kind", [None, *ENGINE_KINDS])
def test_page_without_engine_series_is_unmetered(source, kind):
    """A page that has no series of the engine is an error that says what to try, not an idle engine."""
    path = "/metrics" if kind is None else ADAPTERS[kind].path
    with PageServer({path: (200, {}, PYTHON_PAGE)}) as server:
        message = error_of(source(server.url, kind=kind))

    assert message.startswith(f"{server.url}{path}: ")
    assert ("--disable-log-stats" in message) == (kind == "vllm")


@pytest.mark.parametrize(
    ("more", "front_kind"), [(b"", None), (b"dynamo_component_uptime_seconds 12.5\n", "dynamo")]
)
def test_a_worker_of_dynamo_says_so(source, more, front_kind):
    """Its page has the engine's own series, and a few of Dynamo's."""
    with PageServer({"/metrics": (200, {}, VLLM_PAGE + more)}) as server:
        assert source(server.url).read().front_kind == front_kind


def test_engine_without_counters_yet_has_no_models(source):
    """Counters may appear with the first request: before it there is a reading without models."""
    with PageServer({"/metrics": (200, {}, b"# TYPE vllm:prompt_tokens_total counter\n")}) as server:
        reading = source(server.url).read()

    assert reading.models == ()
    assert reading.requests_running is None


@pytest.mark.parametrize(
    "mode", ["garbage", "http500", "malformed", "cut", "drip", "hang", "endless", "gzip_bomb"]
)
def test_page_gone_bad_is_an_error_that_names_it(source, engine, mode):
    """However a page goes bad, there is an error with its address, in time, and then a reading again."""
    chat = source(engine.url, deadline_seconds=1.0)
    engine.set_mode(mode)
    message = error_of(chat, SourceError)
    engine.set_mode("ok")

    assert f"{engine.url}/metrics" in message
    assert len(chat.read().models) == 1


def test_closed_port_is_unavailable(source):
    """An engine that is not running is an error of its own kind."""
    assert "Connection refused" in error_of(source(f"http://127.0.0.1:{free_port()}"), SourceUnavailable)


def test_listener_that_changes_once_is_read_again(source):
    """A server that was replaced during a read is read once more, and then its page is its own."""
    with PageServer({"/metrics": (200, {}, VLLM_PAGE)}) as server:

        def replace_once():
            if server.paths() == ["/props", "/metrics"]:
                server.listen_anew()

        server.before_answer = replace_once
        reading = source(server.url).read()

    assert server.paths().count("/metrics") == 2
    assert reading.listener_pid == os.getpid()


def test_listener_that_keeps_changing_is_unavailable(source):
    """A page that cannot be booked to one process is booked to none."""
    with PageServer({"/metrics": (200, {}, VLLM_PAGE)}) as server:
        server.before_answer = server.listen_anew

        assert "restarted while being read" in error_of(source(server.url), SourceUnavailable)


def test_llamacpp_name_is_asked_once_for_each_life(source):
    """The model's name is asked for at the first reading and again when the process is another one."""
    with PageServer(llamacpp_pages()) as server:
        chat = source(server.url)
        names = [chat.read().models[0].model for _ in range(3)]
        server.pages = llamacpp_pages("2000", json.dumps({"data": [{"id": "other"}]}).encode())
        names += [chat.read().models[0].model for _ in range(2)]

    assert names == ["tiny-llama"] * 3 + ["other"] * 2
    assert server.paths().count("/v1/models") == 2


def test_llamacpp_name_of_an_unknown_life_is_asked_each_time(source, tmp_path):
    """An engine that shows no sign of its identity may be another one each time."""
    (tmp_path / "metrics").write_bytes(LLAMACPP_PAGE)
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "models").write_bytes(ONE_MODEL)
    with page_process(tmp_path, comm="socat") as (process, port):
        chat = source(f"http://127.0.0.1:{port}")
        readings = [chat.read(), chat.read()]
        process.kill()
        asked = process.stdout.read().split()

    assert [reading.epoch.signals for reading in readings] == [{}, {}]
    assert asked == ["/props", *["/metrics", "/v1/models"] * 2]


def test_llamacpp_without_a_list_of_models_tells_its_name_elsewhere(source):
    """Where /v1/models does not exist, /props has the name."""
    pages = llamacpp_pages() | {"/props": (200, {}, b'{"model_path": "/models/m.gguf"}')}
    del pages["/v1/models"]
    with PageServer(pages) as server:
        assert source(server.url).read().models[0].model == "/models/m.gguf"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((500, {}, b"broken"), SourceContractError),
        ((503, {}, b"loading"), SourceUnavailable),
        ((200, {}, b"{}"), SourceContractError),
        ((200, {}, b'{"data": [{"id": "a"}, {"id": "b"}]}'), SourceContractError),
        ((404, {}, b"not found"), SourceContractError),
    ],
)
def test_llamacpp_without_a_name_has_no_reading(source, answer, kind):
    """Without the name there is no reading, and no other source of it that might call it otherwise."""
    pages = llamacpp_pages() | {"/v1/models": answer}
    with PageServer(pages) as server:
        assert server.url in error_of(source(server.url), kind)


def test_long_model_name_is_bounded(source):
    """A name of any length and content is one that can be stored."""
    with PageServer(llamacpp_pages(name=b'{"data": [{"id": "\\ud800' + b"x" * 5000 + b'"}]}')) as server:
        (model,) = source(server.url).read().models

    assert len(model.model) == 256
    assert model.model.encode()


@pytest.mark.parametrize("kind", [None, "llamacpp"])
@pytest.mark.parametrize(
    ("status", "file", "words"),
    [(501, None, "--metrics"), (400, "metrics-no-model-param.400.json", "routes to several models")],
)
def test_llamacpp_that_is_not_metered_says_what_to_do(source, kind, status, file, words):
    """A llama-server without a page, or one that is a router, is an error with the remedy."""
    body = b"" if file is None else (CAPTURES / "llamacpp" / "router" / file).read_bytes()
    with PageServer({"/metrics": (status, {"Server": "llama.cpp"}, body)}) as server:
        assert words in error_of(source(server.url, kind=kind))


def test_key_is_sent_and_never_shown(source):
    """The key goes with every request and into no error."""
    with PageServer(llamacpp_pages()) as server:
        source(server.url, api_key="secret").read()
        server.pages = {}
        message = error_of(source(server.url, api_key="secret"))

    assert all("Authorization: Bearer secret" in request for request in server.requests)
    assert "secret" not in message


def test_real_llama_server_is_read(source, llama_server):
    """A real llama-server is read with its model's name, its header, and its process."""
    reading = source(llama_server.url).read()

    assert (reading.kind, reading.models[0].model) == ("llamacpp", llama_server.alias)
    assert reading.listener_pid == llama_server.pid
    assert set(reading.epoch.signals) == {"header", "process"}


@pytest.mark.parametrize(
    ("listener", "signals"),
    [
        (None, {}),
        (Listener(inodes=frozenset({5}), process=None), {"listener": "this-boot:5"}),
        (Listener(inodes=frozenset({5, 6}), process=None), {}),
    ],
)
def test_listener_without_a_process_is_known_by_its_only_socket(listener, signals):
    """One socket is a sign of identity within a boot; of several none is, as workers come and go."""
    assert _kernel_signals(listener, "this-boot") == signals


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (VLLM_PAGE, "vllm"),
        (LLAMACPP_PAGE, "llamacpp"),
        (b"# HELP vllm:x y\n", "vllm"),
        (PYTHON_PAGE, None),
        (b'evenwatt_tokens_total{engine="vllm:x"} 1\n', None),
        (b"# a page\n# vllm:x\nmy_vllm:x 1\n", None),
    ],
)
def test_fingerprint(page, kind):
    """An engine is known by lines that begin with its prefix, never by a label or a longer name."""
    assert fingerprint(page) == kind


VLLM_LINE = 'vllm:{name}{{model_name="{model}",engine="{engine}"{more}}} {value}\n'


@pytest.mark.parametrize(
    ("name", "more", "what"),
    [
        ("prompt_tokens_total", "", "input tokens"),
        ("prompt_tokens_cached_total", "", "cached input tokens"),
        ("generation_tokens_total", "", "output tokens"),
        ("request_success_total", ',finished_reason="stop"', "requests"),
    ],
)
@pytest.mark.parametrize("models", [1, 2], ids=["one model", "two models"])
def test_counts_that_add_up_beyond_reason_are_an_error(source, name, more, what, models):
    """Each series may say 2**53, the sum over a page's series and models no more: it would not be exact."""
    counters = dict.fromkeys(("prompt_tokens_total", "generation_tokens_total"), 0) | {name: 2**53}
    page = "# TYPE vllm:prompt_tokens_total counter\n" + "".join(
        VLLM_LINE.format(
            name=key, model=number % models, engine=number, more=more if key == name else "", value=value
        )
        for number in range(2)
        for key, value in counters.items()
    )
    if what == "cached input tokens":
        page = page.replace("prompt_tokens_total{", 'prompt_tokens_by_source_total{source="local_compute",')
        page = page.replace("prompt_tokens_cached_total{", 'prompt_tokens_by_source_total{source="cache",')
    with PageServer({"/metrics": (200, {}, page.encode())}) as server:
        error = error_of(source(server.url))

    assert f"add up to {2**54} {what}; expected at most 2**53" in error
    assert server.url in error


def test_a_counter_may_stand_at_its_bound(source):
    """A page that adds up to exactly 2**53 tokens of a kind is read."""
    page = "".join(
        VLLM_LINE.format(name=name, model="m", engine=0, more="", value=2**53)
        for name in ("prompt_tokens_total", "generation_tokens_total")
    )
    with PageServer({"/metrics": (200, {}, page.encode())}) as server:
        (model,) = source(server.url).read().models

    assert model.output_tokens == 2**53


NOTHING_LOADED = (CAPTURES / "ollama" / "responses" / "api-ps-none-loaded.json").read_bytes()
ONE_LOADED = (CAPTURES / "ollama" / "responses" / "api-ps-one-loaded.json").read_bytes()
OLLAMA_PAGE = b'ollama_prompt_tokens_total{model="m"} 70\nollama_generated_tokens_total{model="m"} 30\n'


def proxy_page(upstream, kind="ollama"):
    """Return the page of a proxy before an engine."""
    tokens = 'evenwatt_proxy_tokens_total{client="other",model="m",place="local",type="output"} 7\n'
    return f'{tokens}evenwatt_proxy_upstream_info{{upstream="{upstream}",engine="{kind}"}} 1\n'.encode()


@pytest.mark.parametrize(
    ("said", "is_unloaded"),
    [
        (NOTHING_LOADED, True),
        (ONE_LOADED, False),
        (b"{}", False),
        (b'{"models": 5}', False),
        (b"[" * 9_999, False),
    ],
)
def test_an_ollama_says_whether_a_model_is_in_memory(source, said, is_unloaded):
    """Whether it counts itself or a proxy before it does; nonsense says nothing."""
    pages = {"/metrics": (200, {}, OLLAMA_PAGE), "/api/ps": (200, {}, said)}
    with PageServer(pages) as ollama, PageServer({}) as proxy:
        proxy.pages["/metrics"] = (200, {}, proxy_page(ollama.url))

        assert source(ollama.url).read().is_unloaded is is_unloaded
        assert source(proxy.url, api_key="secret").read().is_unloaded is is_unloaded
        assert not any("secret" in request for request in ollama.requests)


@pytest.mark.parametrize(
    "upstream",
    ["http://192.0.2.1:11434", "http://[::1", "http://127.0.0.1:99999", "http://:1", "file:///etc/passwd"],
)
def test_what_a_page_says_is_behind_it_is_asked_on_this_machine_only(source, upstream):
    """An address elsewhere, or none at all, is not asked, and harms no reading."""
    with PageServer({"/metrics": (200, {}, proxy_page(upstream))}) as proxy:
        reading = source(proxy.url, deadline_seconds=1.0).read()

    assert (reading.models[0].output_tokens, reading.is_unloaded) == (7, False)


def test_an_engine_behind_a_proxy_that_is_no_ollama_is_not_asked(source):
    """Its page tells what it tells."""
    with PageServer({}) as engine, PageServer({}) as proxy:
        proxy.pages["/metrics"] = (200, {}, proxy_page(engine.url, kind="vllm"))

        assert not source(proxy.url).read().is_unloaded
        assert engine.requests == []
