"""Engines whose servers are read in their place: who they are, and what is told where they cannot be read."""

import json
import os

import pytest

from evenwatt.clock import boot_seconds
from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.readings.engine import PartAddress
from evenwatt.readings.families import LlamaRouter, _names_of, has_open_pages
from evenwatt.readings.family import FamilySource
from evenwatt.readings.http import HttpClient
from evenwatt.readings.parts import LivePart, PartsReader
from loopback_servers import PageServer

pytest_plugins = ["llama_fixtures"]

SWAP_PAGE = b"# TYPE llamaswap_gpu_power_watts gauge\nllamaswap_gpu_power_watts 40\n"
VLLM_LIKE = (
    b'vllm:prompt_tokens_total{model_name="org/m"} 7\nvllm:generation_tokens_total{model_name="org/m"} 3\n'
)


def soon():
    """Return a deadline."""
    return boot_seconds() + 5.0


@pytest.fixture
def source():
    """Return a function that makes a source, which is closed at the end."""
    made = []

    def make(url, **options):
        made.append(FamilySource(name="chat", url=url, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def running(*models):
    """Return an answer of llama-swap's /running."""
    return 200, {}, json.dumps({"running": list(models)}).encode()


def error_of(source, kind):
    """Return what a source says when it cannot be read."""
    with pytest.raises(SourceError) as caught:
        source.read()
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize(("page", "options"), [(200, {}), (503, {"kind": "llama_swap"})])
def test_llama_swap_is_read_where_its_models_answer(source, llama_server, page, options):
    """Its page counts nothing, or is switched off; each running model is read under the name it has there."""
    listed = {
        "model": "coder",
        "state": "ready",
        "proxy": llama_server.url,
        "cmd": "llama-server",
        "ttl": 300,
    }
    starting = {"model": "other", "state": "starting", "proxy": "http://127.0.0.1:1"}
    pages = {"/metrics": (page, {}, SWAP_PAGE), "/running": running(listed, starting)}
    with PageServer(pages) as swap:
        reading = source(swap.url, **options).read()

    counters = llama_server.counters()
    assert reading.kind == "llama_swap"
    ((model,),) = [part.models for part in reading.parts]
    assert (model.model, model.output_tokens) == ("coder", counters.output_tokens)


def test_an_engine_without_a_running_server_has_no_model_in_memory(source, llama_server):
    """llama-swap that runs nothing holds nothing; with a server that is awake it does."""
    listed = {"model": "coder", "state": "ready", "proxy": llama_server.url}
    for models, is_unloaded in (((), True), ((listed,), False)):
        with PageServer({"/metrics": (200, {}, SWAP_PAGE), "/running": running(*models)}) as swap:
            assert source(swap.url).read().is_unloaded is is_unloaded


def test_llama_swap_may_stand_before_other_engines(source):
    """What a running model is shows its page; its name is llama-swap's."""
    with PageServer({"/metrics": (200, {}, VLLM_LIKE)}) as engine:
        listed = {"model": "big", "state": "ready", "proxy": engine.url}
        with PageServer({"/metrics": (200, {}, SWAP_PAGE), "/running": running(listed)}) as swap:
            (model,) = source(swap.url).read().all_models

    assert (model.input_tokens, model.output_tokens) == (7, 3)


def test_llama_swap_that_does_not_say_where_its_models_are(source):
    """An older one has no addresses: the engines behind it have to be named."""
    listed = {"model": "coder", "state": "ready"}
    with PageServer({"/metrics": (200, {}, SWAP_PAGE), "/running": running(listed)}) as swap:
        assert "name the engines behind it" in error_of(source(swap.url), SourceContractError)


def test_ollama_whose_process_is_not_here_is_told(source):
    """On another machine, or in a container, nothing below it can be seen."""
    pages = {"/": (200, {}, b"Ollama is running")}
    with PageServer(pages) as ollama:
        told = error_of(source(ollama.url, kind="ollama"), SourceContractError)

    # The server of this test is its own process, which hands no variable on.
    assert "Environment=LLAMA_ARG_ENDPOINT_METRICS=1" in told


@pytest.mark.parametrize(
    ("value", "is_open"), [(None, False), ("1", True), ("true", True), ("0", False), ("", False)]
)
def test_open_pages_are_told_by_the_environment(value, is_open):
    """The variable is read as llama.cpp reads it."""
    environment = {"HOME": "/"} | ({} if value is None else {"LLAMA_ARG_ENDPOINT_METRICS": value})
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], environment)
    try:
        while (found := has_open_pages(pid)) is None:
            pass  # it is just starting
        assert found is is_open
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_open_pages_of_no_process_are_not_known():
    """A process that is gone, or another user's, says nothing."""
    assert has_open_pages(2**22 + 1) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("registry.ollama.ai/library/llama3/8b", "llama3:8b"),
        ("registry.ollama.ai/me/llama3/latest", "me/llama3:latest"),
        ("hf.co/org/model/Q4", "hf.co/org/model:Q4"),
    ],
)
def test_a_blob_is_named_by_its_manifest(tmp_path, path, name):
    """Names are written as Ollama writes them; what is no manifest is passed over."""
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:ab"}]
    file.write_text(json.dumps({"layers": layers}))
    for number, text in enumerate(["", "[]", "{", '{"layers": [{}]}', '{"layers": 5}']):
        (file.parent / f"broken-{number}").write_text(text)

    assert _names_of("sha256:ab", tmp_path) == [name]
    assert _names_of("sha256:cd", tmp_path) == []


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"data": 5}', b"\xff", b'{"error": {"code": 500}}', b"[" * 99_999]
)
def test_a_router_that_answers_nonsense_is_an_error(body):
    """Whatever comes, there is no crash, and no empty list that would look like an idle engine."""
    with PageServer({"/models": (200, {}, body)}) as server, pytest.raises(SourceContractError):
        LlamaRouter(HttpClient(), server.url)(soon())


@pytest.mark.parametrize("listed", [5, {}, {"id": 5}, {"id": "m"}, {"id": "m", "status": "loaded"}])
def test_a_model_that_a_router_lists_wrongly_is_not_loaded(listed):
    """Only a model that is said to be loaded or asleep is looked at."""
    body = json.dumps({"data": [listed]}).encode()
    with PageServer({"/models": (200, {}, body)}) as server:
        assert LlamaRouter(HttpClient(), server.url)(soon()) == ()


def live(url):
    """Return a server to read."""
    return LivePart(name="a", kind="llamacpp", url=url, address=PartAddress(model="m"))


def test_a_part_that_hangs_or_is_gone_does_not_hide_the_others(llama_server):
    """One that cannot be read lives and is told without counters; only if none can be read it is an error."""
    good = live(llama_server.url)
    bad = LivePart(name="b", kind="llamacpp", url="http://127.0.0.1:1", address=PartAddress(model="n"))
    listed = [good, bad]
    reader = PartsReader(lambda _: tuple(listed), deadline_seconds=2.0, api_key=None)
    reader.look(soon())
    parts = {part.name: part for part in reader.parts()}

    assert parts["a"].models
    assert parts["b"].models is None

    listed.remove(good)
    reader.look(soon())
    (ended,) = [part for part in reader.parts() if part.has_ended]
    assert ended.name == "a"
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        reader.parts()
    reader.close()


def test_a_part_that_ends_unread_is_cut_short():
    """Nobody knows what it counted."""
    listed = [live("http://127.0.0.1:1")]
    reader = PartsReader(lambda _: tuple(listed), deadline_seconds=2.0, api_key=None)
    reader.look(soon())
    listed.clear()
    reader.look(soon())
    (part,) = reader.parts()

    assert (part.has_ended, part.is_cut_short, part.models) == (True, True, None)


def test_the_key_of_llama_swap_goes_to_nobody_else(source):
    """Where its models answer is its word: its key is not sent there."""
    with PageServer({"/metrics": (200, {}, VLLM_LIKE)}) as engine:
        listed = {"model": "big", "state": "ready", "proxy": engine.url}
        pages = {"/metrics": (200, {}, SWAP_PAGE), "/running": running(listed)}
        with PageServer(pages) as swap:
            source(swap.url, api_key="secret").read()

    assert "Bearer secret" in swap.requests[-1]
    assert not [request for request in engine.requests if "secret" in request]


@pytest.mark.parametrize("address", ["", "5800", "file:///etc/passwd", "http://", "http://[", "ftp://h:1"])
def test_llama_swap_that_names_no_address_is_an_error(source, address):
    """Only a web server is asked."""
    listed = {"model": "big", "state": "ready", "proxy": address}
    with PageServer({"/metrics": (200, {}, SWAP_PAGE), "/running": running(listed)}) as swap:
        assert "does not say where" in error_of(source(swap.url), SourceContractError)


def test_no_more_than_two_hundred_servers_are_followed():
    """An engine that lists any number of them takes no more than that of time and memory."""
    many = tuple(
        LivePart(name=str(n), kind="llamacpp", url="http://127.0.0.1:1", address=PartAddress(model="m"))
        for n in range(1_000)
    )
    reader = PartsReader(lambda _: many, deadline_seconds=1.0, api_key=None)
    reader.look(soon())

    with pytest.raises(SourceUnavailable):
        reader.parts()
    assert len(reader._parts) == 200
    reader.close()


def test_requests_of_a_model_that_cannot_be_read_are_not_none():
    """How many run in all is known only where each model tells; without one there are none."""
    gauges = b"vllm:num_requests_running 2\nvllm:num_requests_waiting 1\n"
    live = []
    reader = PartsReader(lambda _: tuple(live), deadline_seconds=1.0, api_key=None)
    reader.look(soon())
    assert (reader.running, reader.waiting) == (0, 0)

    with PageServer({"/metrics": (200, {}, VLLM_LIKE + gauges)}) as engine:
        address = PartAddress(model="big")
        live.append(LivePart(name="big", kind="vllm", url=engine.url, address=address))
        reader.look(soon())
        assert (reader.running, reader.waiting) == (2, 1)

        live.append(LivePart(name="gone", kind="vllm", url="http://127.0.0.1:1", address=address))
        reader.look(soon())
        assert (reader.running, reader.waiting) == (None, None)
    reader.close()


@pytest.mark.parametrize("port", ["99999", "0", "80@192.0.2.1", "-1", "", "\u0665", "9" * 5_000, 8080, None])
def test_a_port_that_is_none_is_asked_for_nowhere(port):
    """A router's word is put into no address as it is: such a model is asked through the router."""
    listed = {"id": "m", "status": {"value": "loaded", "args": ["--port", port]}}
    with PageServer({"/models": (200, {}, json.dumps({"data": [listed]}).encode())}) as server:
        (part,) = LlamaRouter(HttpClient(), server.url)(soon())

        assert part.url == server.url
        assert part.address.page_path == "/metrics?model=m&autoload=false"


@pytest.mark.parametrize(("failed_looks", "is_cut_short"), [(0, False), (1, False), (2, True)])
def test_a_part_that_dies_while_it_is_looked_at_was_idle_if_it_was_before(failed_looks, is_cut_short):
    """One look that fails may be its end; after a second one nobody knows what it did."""
    with PageServer({"/metrics": (200, {}, VLLM_LIKE)}) as server:
        live = LivePart(name="one", kind="vllm", url=server.url, address=PartAddress(model="m"))
        listed = [live]
        reader = PartsReader(lambda _: tuple(listed), deadline_seconds=1.0, api_key=None)
        for _ in range(3):
            reader.look(soon())
        server.pages["/metrics"] = (503, {}, b"")
        for _ in range(failed_looks):
            reader.look(soon())
        listed.clear()
        reader.look(soon())
        (part,) = reader.parts()

    assert (part.has_ended, part.is_cut_short) == (True, is_cut_short)
    assert part.models[0].output_tokens == 3
