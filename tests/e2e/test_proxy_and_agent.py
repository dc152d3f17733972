"""The agent reads the proxy's page like that of any engine: every token once, over restarts of the proxy."""

import asyncio
from pathlib import Path

import pytest

from agent_process import AgentProcess
from evenwatt.readings.discovery import find_engines
from evenwatt.readings.engine import EngineSource
from evenwatt.sinks.history.beside import history_beside
from evenwatt.sinks.history.queries import HistorySpan, history_extent
from ollama_stand_in import OllamaStandIn
from proxy_load import mixed_load, run_load
from proxy_process import ProxyProcess

MODELS = ("tiny-llama:latest", "tiny-llama-b:latest")


@pytest.fixture
def ollama(tmp_path):
    """Return a running stand-in."""
    engine = OllamaStandIn(tmp_path)
    engine.start()
    yield engine
    engine.stop()


def metered(agent):
    """Return the tokens that the agent shows for the proxy's models, by model and type."""
    return {
        (model, kind): int(agent.metric("evenwatt_tokens_total", model=model, type=kind) or 0)
        for model in MODELS
        for kind in ("input", "output")
    }


def test_the_agent_counts_what_the_proxy_counted(ollama, tmp_path):
    """Two loads, and a proxy that is killed between them: its totals go on, and so do the agent's."""
    folder = tmp_path / "agent"
    folder.mkdir()
    proxy = ProxyProcess(ollama.url, tmp_path)
    proxy.start()
    engines = [{"name": "ollama", "kind": "proxy", "url": proxy.metrics_url, "gpus": []}]
    with AgentProcess(folder, {"engines": engines}) as agent:
        agent.wait_for(lambda: agent.metric("evenwatt_source_up", source="ollama") == 1)
        truth = asyncio.run(run_load(proxy.url, mixed_load(40, seed=1), at_once=10))
        agent.wait_for(lambda: sum(metered(agent).values()) == sum(truth.tokens.values()))
        proxy.kill()
        proxy.start()
        truth = asyncio.run(run_load(proxy.url, mixed_load(40, seed=2), at_once=10, truth=truth))
        agent.wait_for(lambda: sum(metered(agent).values()) >= sum(truth.tokens.values()))
        found = metered(agent)
        agent.stop()
    proxy.stop()
    with history_beside(agent.history) as history:
        clients = HistorySpan(history, *history_extent(history)).clients()

    by_model = {
        (model, kind): getattr(use, f"{kind}_tokens")
        for (_, model, _), use in clients.items()
        for kind in ("input", "output")
    }
    assert {client for _, _, client in clients} == {"other"}
    assert by_model == found
    assert found == {
        (model, kind): truth.tokens[model, kind] for model in MODELS for kind in ("input", "output")
    }


def test_a_reading_names_the_engine_s_process_and_not_the_proxy_s(ollama, tmp_path):
    """GPUs are traced to whoever computes, which is behind the proxy."""
    with ProxyProcess(ollama.url, Path(tmp_path)) as proxy:
        asyncio.run(run_load(proxy.url, mixed_load(10, seed=3), at_once=2))
        source = EngineSource(name="ollama", url=proxy.metrics_url)
        reading = source.read()
        since = proxy.total("counting_since_timestamp_seconds")
        source.close()

    assert source.kind == "proxy"
    assert reading.listener_pid == ollama.pid
    assert reading.epoch.signals["start_time"] == repr(since)
    assert {model.model for model in reading.models} <= set(MODELS)
    assert sum(model.requests["completed"] for model in reading.models) == 10


def test_a_running_proxy_is_found_by_itself(ollama, tmp_path):
    """Its page is taken on where the engine has none of its own, and the port of its clients never is."""
    with ProxyProcess(ollama.url, tmp_path) as proxy:
        found = {engine.url: engine.kind for engine in find_engines()}

    assert found.get(proxy.metrics_url) == "proxy"
    assert proxy.url not in found
    assert ollama.url not in found
