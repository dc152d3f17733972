"""Of a chain from a gateway to an engine only one meter is added up: each token counts once."""

from agent_process import AgentProcess
from evenwatt.sinks.history.beside import history_beside
from evenwatt.sinks.history.queries import HistorySpan, history_extent
from litellm_stand_in import LiteLlmStandIn
from load import mixed_requests, send

pytest_plugins = ["llama_fixtures"]

REQUESTS = [request for request in mixed_requests(40, seed=5) if not request.is_streamed]


def all_tokens(agent):
    """Return input, cached input and output over all engines."""
    kinds = ("input", "cached_input", "output")
    return tuple(int(agent.metric("evenwatt_tokens_total", type=kind) or 0) for kind in kinds)


def test_gateway_and_engine_count_each_token_once(start_llama_server, tmp_path):
    """Both are read and both count; the totals are the engine's, and the gateway costs nothing."""
    server = start_llama_server()
    with LiteLlmStandIn(server.url) as gateway:
        engines = [
            {"name": "gate", "kind": "litellm", "url": gateway.url},
            {"name": "chat", "kind": "llamacpp", "url": server.url},
        ]
        with AgentProcess(tmp_path, {"engines": engines}) as agent:
            for name in ("gate", "chat"):
                agent.wait_until_read_anew(name)
            usage = send(gateway.url, server.alias, REQUESTS)
            server.counters_when_idle()
            for name in ("gate", "chat"):
                agent.wait_until_read_anew(name)

            told = (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
            assert all(told)
            assert all_tokens(agent) == told == agent.tokens("chat")
            assert agent.metric("evenwatt_seconds_total", engine="gate") is None
            (event,) = [e for e in agent.status()["events"] if e["kind"] == "gateway_left_out"]
            assert (event["subject"], "chat" in event["text"]) == ("gate", True)


def test_gateway_alone_is_the_meter(start_llama_server, tmp_path):
    """Before an engine that nobody reads the gateway counts, by client too."""
    server = start_llama_server()
    with LiteLlmStandIn(server.url) as gateway:
        settings = {"engines": [{"name": "gate", "url": gateway.url}]}
        with AgentProcess(tmp_path, settings) as agent:
            agent.wait_until_read_anew("gate")
            usage = send(gateway.url, server.alias, REQUESTS)
            agent.wait_until_read_anew("gate")

            told = (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
            assert agent.tokens("gate") == told
            agent.stop()
    with history_beside(agent.history) as history:
        clients = HistorySpan(history, *history_extent(history)).clients()
    assert {
        client: (use.input_tokens, use.cached_input_tokens, use.output_tokens)
        for (_, _, client), use in clients.items()
    } == {"team-a": told}
