"""A real llama-server that routes to two models: exact, by model, and never woken or loaded by being read."""

import time

import pytest

from agent_process import AgentProcess
from evenwatt.clock import boot_seconds
from evenwatt.readings.families import LlamaRouter
from evenwatt.readings.family import FamilySource
from evenwatt.readings.http import HttpClient
from evenwatt.readings.parts import PartsReader
from llama_router import RouterProcess
from llama_server import LlamaServer

pytest_plugins = ["llama_fixtures"]

SLEEP_SECONDS = 2
LOOKS = 1_000


def added(*tokens):
    """Return what requests come to: computed input, cached input, output."""
    return tuple(map(sum, zip(*tokens, strict=True)))


def booked(agent, model):
    """Return what the agent has booked of a model."""
    kinds = ("input", "cached_input", "output")
    found = (agent.metric("evenwatt_tokens_total", engine="chat", model=model, type=kind) for kind in kinds)
    return tuple(int(value or 0) for value in found)


@pytest.fixture
def router(tmp_path):
    """Return a router with two models that go to sleep."""
    with RouterProcess(tmp_path, "one", "two", sleep_seconds=SLEEP_SECONDS) as router:
        yield router


def test_router_with_two_models_and_sleep_is_metered_exactly(router, tmp_path):
    """Loaded, put to sleep, woken, unloaded and loaded again: each token counts once, under its model."""
    with AgentProcess(
        tmp_path, {"engines": [{"name": "chat", "kind": "llamacpp", "url": router.url}]}
    ) as agent:
        agent.wait_until_read_anew("chat")
        told = {"one": [router.chat("one", "a price of a watt")], "two": [router.chat("two", tokens=5)]}
        agent.wait_for(lambda: router.states() == {"one": "sleeping", "two": "sleeping"})
        told["one"].append(router.chat("one", "of an hour", tokens=7))
        agent.wait_for(lambda: booked(agent, "one") == added(*told["one"]))
        agent.wait_for(lambda: router.states()["one"] == "sleeping")
        agent.wait_until_read_anew("chat")  # idle at two looks in a row: its last page is all of it
        agent.wait_until_read_anew("chat")

        router.unload("one")
        agent.wait_for(lambda: router.states()["one"] == "unloaded")
        told["one"].append(router.chat("one", "and again", tokens=9))

        agent.wait_for(lambda: booked(agent, "one") == added(*told["one"]))
        assert booked(agent, "two") == added(*told["two"])
        assert not agent.metric("evenwatt_engine_restarts_total", engine="chat")
        assert {row["model"] for row in agent.status()["totals"] if row["engine"] == "chat"} >= {"one", "two"}
        agent.wait_for(lambda: router.states() == {"one": "sleeping", "two": "sleeping"})


def test_a_thousand_scrapes_load_no_model_and_wake_none(router):
    """An unloaded model stays unloaded and a sleeping one asleep, however often they are looked at."""
    source = FamilySource(name="chat", url=router.url)
    try:
        source.read()
        told = router.chat("one")
        until = time.monotonic() + 30
        while router.states()["one"] != "sleeping":
            source.read()
            assert time.monotonic() < until
            time.sleep(0.1)
        for _ in range(LOOKS):
            reading = source.read()
        while not reading.is_unloaded:  # a model that is looked at often is only asked now and then
            assert time.monotonic() < until
            time.sleep(0.1)
            reading = source.read()

        assert router.states() == {"one": "sleeping", "two": "unloaded"}
        (model,) = reading.all_models
        assert (model.input_tokens, model.cached_input_tokens, model.output_tokens) == told
    finally:
        source.close()


def test_a_router_of_which_only_the_address_is_known_is_asked_without_loading(router):
    """Where the ports of its servers cannot be reached they are asked through it, and never loaded."""
    told = router.chat("one")
    client = HttpClient()
    # An address that leads here, and is written so that nobody can tell it does.
    lister = LlamaRouter(client, router.url.replace("127.0.0.1", "127.1"))
    reader = PartsReader(lister, deadline_seconds=5.0, api_key=None)
    until = time.monotonic() + 30
    while router.states()["one"] != "sleeping":
        reader.look(boot_seconds() + 5.0)
        assert time.monotonic() < until
        time.sleep(0.1)
    for _ in range(20):
        reader.look(boot_seconds() + 5.0)
    (part,) = reader.parts()
    reader.close()
    client.close()

    (model,) = part.models
    assert (model.input_tokens, model.cached_input_tokens, model.output_tokens) == told
    assert router.states() == {"one": "sleeping", "two": "unloaded"}


def test_a_single_server_that_sleeps_is_left_asleep(llama_model, tmp_path):
    """A thousand readings of a sleeping llama-server leave it asleep, with its counters as they were."""
    arguments = ("--sleep-idle-seconds", str(SLEEP_SECONDS))
    with LlamaServer(llama_model, tmp_path, arguments=arguments) as server:
        source = FamilySource(name="chat", url=server.url, kind="llamacpp")
        first = source.read()
        until = time.monotonic() + 30
        while not server.is_sleeping():
            source.read()
            assert time.monotonic() < until
            time.sleep(0.1)
        for _ in range(LOOKS):
            reading = source.read()
        source.close()

        assert server.is_sleeping()
        assert (first.is_unloaded, reading.is_unloaded) == (False, True)
        assert reading.models == first.models
        assert reading.requests_running == 0


def test_a_server_that_sleeps_when_it_is_found_is_not_woken(llama_model, tmp_path):
    """Of an engine that slept since before anybody looked, nothing is known until a request wakes it."""
    arguments = ("--sleep-idle-seconds", "1")
    with LlamaServer(llama_model, tmp_path, arguments=arguments) as server:
        until = time.monotonic() + 30
        while not server.is_sleeping():
            assert time.monotonic() < until
            time.sleep(0.1)
        with AgentProcess(tmp_path, {"engines": [{"name": "chat", "url": server.url}]}) as agent:
            agent.wait_for(
                lambda: any("its model sleeps" in str(s["error"]) for s in agent.status()["sources"])
            )
            time.sleep(1)

            assert server.is_sleeping()
