"""Ollama's llama-servers, each on a port of its own for as long as its model is loaded, metered exactly."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent_process import AgentProcess
from evenwatt.readings.discovery import find_engines
from evenwatt.readings.family import FamilySource
from ollama_serve import OllamaServe
from other_network import enter_network, enter_new_network

pytest_plugins = ["machine_fixtures"]

LLAMA, QWEN = "llama3:latest", "qwen:latest"


def added(*tokens):
    """Return what requests come to: computed input, cached input, output."""
    return tuple(map(sum, zip(*tokens, strict=True)))


def booked(agent, engine, model):
    """Return what the agent has booked of a model."""
    kinds = ("input", "cached_input", "output")
    found = (agent.metric("evenwatt_tokens_total", engine=engine, model=model, type=kind) for kind in kinds)
    return tuple(int(value or 0) for value in found)


def is_flagged(agent):
    """Return whether the agent has told of tokens that cannot be known."""
    return any(event["kind"] == "model_cut_short" for event in agent.status()["events"])


def unload_idle(ollama, agent):
    """Unload all models after the agent has seen them idle."""
    for _ in range(2):
        agent.wait_until_read_anew("home")
    ollama.unload()
    agent.wait_until_read_anew("home")


@pytest.fixture
def ollama(tmp_path):
    """Return an Ollama with two models, which it keeps for as long as a test may take."""
    with OllamaServe(tmp_path, "llama3", "qwen", keep_alive_seconds=300.0) as server:
        yield server


@pytest.fixture
def settings(ollama):
    """Return settings that name it."""
    return {"engines": [{"name": "home", "kind": "ollama", "url": ollama.url}]}


def test_models_that_come_and_go_are_metered_exactly(ollama, settings, tmp_path):
    """Loaded, unloaded and loaded again: every token is booked once, under the name that Ollama uses."""
    with AgentProcess(tmp_path, settings) as agent:
        agent.wait_until_read_anew("home")
        told = {LLAMA: [ollama.generate(LLAMA), ollama.generate(LLAMA, "of an hour", 5)]}
        told[QWEN] = [ollama.generate(QWEN, "a token is", 7)]
        unload_idle(ollama, agent)
        for model in (LLAMA, QWEN):
            told[model].append(ollama.generate(model, "and again", 9))
            agent.wait_for(lambda model=model: booked(agent, "home", model) == added(*told[model]))
        unload_idle(ollama, agent)

        assert {model: booked(agent, "home", model) for model in told} == {
            model: added(*tokens) for model, tokens in told.items()
        }
        assert not is_flagged(agent)
        assert not agent.metric("evenwatt_engine_restarts_total", engine="home")


def test_ollama_is_found_without_configuration_and_its_children_are_not(ollama, tmp_path):
    """It is one engine by itself; its servers come and go with their models."""
    told = ollama.generate(LLAMA)
    ports = [engine.url for engine in find_engines() if engine.pid in {ollama.pid, *ollama.runner_pids()}]
    assert ports == [ollama.url]

    with AgentProcess(tmp_path) as agent:
        name = f"ollama-{ollama.port}"
        agent.wait_until_read_anew(name)
        again = ollama.generate(LLAMA, "another hour", 6)
        # Its model was loaded before the agent came: what it had counted is the baseline.
        agent.wait_for(lambda: booked(agent, name, LLAMA) == again)
        assert told != again


def test_the_tail_of_a_model_that_is_killed_at_work_is_flagged(ollama, settings, tmp_path):
    """What it had counted is booked, what it was counting cannot be known, and that is told."""
    with AgentProcess(tmp_path, settings) as agent:
        agent.wait_until_read_anew("home")
        told = ollama.generate(LLAMA)
        agent.wait_for(lambda: booked(agent, "home", LLAMA) == told)
        busy = threading.Thread(target=lambda: ollama.generate_until_it_fails(LLAMA, "on and on", 1_900))
        busy.start()
        agent.wait_for(lambda: agent.metric("evenwatt_engine_requests_running", engine="home") != 0)
        (runner,) = ollama.runner_pids()
        os.kill(runner, signal.SIGKILL)
        busy.join()

        agent.wait_for(lambda: is_flagged(agent))
        assert agent.metric("evenwatt_engine_restarts_total", engine="home") == 1
        assert booked(agent, "home", LLAMA)[2] >= told[2]


def test_agent_that_restarts_counts_on(ollama, settings, tmp_path):
    """A loaded model keeps its counters while the agent is away: nothing is lost, nothing twice."""
    with AgentProcess(tmp_path, settings) as agent:
        agent.wait_until_read_anew("home")
        told = [ollama.generate(LLAMA)]
        agent.wait_for(lambda: booked(agent, "home", LLAMA) == told[0])
        agent.kill()
        told.append(ollama.generate(LLAMA, "while nobody looks", 8))
        agent.start()
        agent.wait_until_ready()
        told.append(ollama.generate(LLAMA, "and now", 4))

        agent.wait_for(lambda: booked(agent, "home", LLAMA) == added(*told))
        assert not is_flagged(agent)


def test_ollama_whose_pages_are_closed_is_told_with_the_line_to_write(tmp_path):
    """It is down for the agent, never an engine that did nothing; init and doctor offer the line."""
    line = "Environment=LLAMA_ARG_ENDPOINT_METRICS=1"
    with OllamaServe(tmp_path, "llama3", with_metrics=False) as ollama:
        settings = {
            "engines": [{"name": "home", "kind": "ollama", "url": ollama.url}],
            "sampling": {"tick_seconds": 5, "deadline_seconds": 5},
        }
        ollama.generate(LLAMA)
        with AgentProcess(tmp_path, settings) as agent:
            agent.wait_for(lambda: any(line in str(source["error"]) for source in agent.status()["sources"]))
            doctor = run("doctor", "--config", str(agent.config))
            found = run("init", "--yes", "--output", str(tmp_path / "new.yaml"))

    assert f"`{line}`" in doctor
    assert "engine home: the llama-servers of" in doctor
    assert f"ollama-{ollama.port} counts no tokens as it runs now" in found
    assert line in (tmp_path / "new.yaml").read_text()


def run(*words):
    """Run a command of evenwatt and return what it printed."""
    command = [sys.executable, "-m", "evenwatt", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout


def test_an_ollama_that_has_unloaded_all_is_empty(ollama):
    """What it costs then is nobody's model waiting in memory; asking it loads none."""
    source = FamilySource(name="home", url=ollama.url, kind="ollama")
    try:
        before = source.read().is_unloaded
        ollama.generate(LLAMA)
        loaded = source.read().is_unloaded
        ollama.unload()
        after = source.read()
    finally:
        source.close()

    assert (before, loaded, after.is_unloaded) == (True, False, True)
    assert source.kind == "ollama"


def test_ollama_in_a_network_of_its_own_is_found_and_read(other_network, tmp_path):
    """As in a container: the ports of its servers are on another loopback, and are reached all the same."""
    with Path("/proc/thread-self/ns/net").open("rb") as own:
        enter_new_network()
        try:
            server = OllamaServe(tmp_path, "llama3")
            server.start()
            told = server.generate(LLAMA)
        finally:
            enter_network(own)
    try:
        (engine,) = [found for found in find_engines() if found.pid == server.pid]
        source = FamilySource(name="home", url=engine.url, kind=engine.kind)
        (model,) = source.read().all_models
        source.close()
    finally:
        server.stop()

    assert (model.model, model.input_tokens, model.cached_input_tokens, model.output_tokens) == (LLAMA, *told)
