"""Several real processes of a machine, found by an agent that nobody told of them."""

import shutil
import time

import pytest

from agent_process import AgentProcess
from captured import CAPTURES
from load import mixed_requests, send
from loopback_servers import page_process

pytest_plugins = ["llama_fixtures", "machine_fixtures"]

VLLM_PAGE = CAPTURES / "vllm" / "single-04-prefix.prom.txt"
HARMLESS = {"/v1/models", "/metrics", "/v1/metrics"}
LOOKS = 5


@pytest.fixture
def vllm(tmp_path, other_network):
    """A process that is a vLLM server by its command and its page, in a network of its own."""
    script = shutil.copy(CAPTURES.parent / "page_process.py", tmp_path / "vllm")
    arguments = ("serve", "org/model")
    with page_process(
        VLLM_PAGE, port=8000, script=script, arguments=arguments, within=other_network
    ) as process:
        yield process


def test_engines_are_found_in_all_networks_and_others_are_left_alone(
    tmp_path, own_network, start_llama_server, vllm
):
    """Two llama.cpp servers here, vLLM in another network, and at its usual port here something else.

    Needs root or CAP_SYS_ADMIN, for networks apart; without, it is skipped and says so.
    """
    (tmp_path / "site").mkdir()
    one, other = start_llama_server(), start_llama_server()
    names = {f"llamacpp-{one.port}", f"llamacpp-{other.port}", "vllm-netns-8000"}
    settings = {"sampling": {"tick_seconds": 0.4, "discovery_seconds": 1}}
    with page_process(tmp_path / "site", port=8000) as (unrelated, _):
        with AgentProcess(tmp_path, settings) as agent:
            agent.wait_for(lambda: names <= {engine["engine"] for engine in agent.status()["engines"]})
            for name in names:
                agent.wait_for(lambda name=name: agent.metric("evenwatt_engine_up", engine=name) == 1)
            used = [send(server.url, server.alias, mixed_requests(4, seed=7)) for server in (one, other)]
            for server, tokens in zip((one, other), used, strict=True):
                expected = (tokens.input_tokens, tokens.cached_input_tokens, tokens.output_tokens)
                agent.wait_for(lambda s=server, e=expected: agent.tokens(f"llamacpp-{s.port}") == e)
            time.sleep(LOOKS)

            assert agent.metric("evenwatt_engine_up", engine="vllm-8000") is None
        unrelated.kill()
        asked = unrelated.stdout.read().split()

    assert 1 <= len(asked) <= 3
    assert set(asked) <= HARMLESS


def test_an_engine_that_comes_back_in_another_network_is_the_same_one(tmp_path, own_network, other_network):
    """A container that is started again has another network, and its engine goes on under its name."""
    script = shutil.copy(CAPTURES.parent / "page_process.py", tmp_path / "vllm")
    settings = {"sampling": {"tick_seconds": 0.4, "discovery_seconds": 1}}
    with AgentProcess(tmp_path, settings) as agent:
        for _ in range(2):
            with page_process(
                VLLM_PAGE, port=8000, script=script, arguments=("serve",), within=other_network
            ):
                agent.wait_for(lambda: agent.metric("evenwatt_engine_up", engine="vllm-netns-8000") == 1)
            agent.wait_for(lambda: agent.metric("evenwatt_engine_up", engine="vllm-netns-8000") == 0)

        assert [e["engine"] for e in agent.status()["engines"]].count("vllm-netns-8000") == 1
