"""`evenwatt calibrate` against a real llama.cpp server; Ctrl-C leaves nothing running."""

import json
import signal
import subprocess
import sys
import time

import pytest

from agent_process import AgentProcess
from recorded_history import RecordedHistory

pytest_plugins = ["llama_fixtures"]

STOPPED = 130
RUNNING_SECONDS = 30.0
ENDING_SECONDS = 10.0


@pytest.fixture
def agent(llama_server, tmp_path):
    """An agent that has metered the server and ended; its history is there."""
    agent = AgentProcess(tmp_path, {"engines": [{"name": "chat", "url": llama_server.url}]})
    with agent:
        agent.wait_for(lambda: agent.metric("evenwatt_source_up", source="chat") == 1)
        agent.stop()
    return agent


def command(agent, *arguments):
    """Return a command line of calibrate."""
    return [sys.executable, "-m", "evenwatt", "calibrate", *arguments, "--config", str(agent.config)]


def results(agent):
    """Return the results in the history."""
    rows = RecordedHistory(agent.history).rows("SELECT result FROM calibration WHERE kind = 'capacity'")
    return [json.loads(result) for (result,) in rows]


def test_a_load_run_finds_what_the_server_counted(agent, llama_server):
    """All phases have a rate, and the tokens of its steps are at most those that the server counted."""
    before = llama_server.counters_when_idle()
    told = subprocess.run(
        command(agent, "--yes", "--seconds", "8", "--max-concurrency", "2"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    after = llama_server.counters_when_idle()

    assert told.returncode == 0, told.stderr
    assert "tiny-llama" in told.stdout
    (result,) = results(agent)
    assert min(result[f"{kind}tokens_per_second"] for kind in ("", "prefill_", "decode_")) > 0
    assert not result["others_seen"]
    counted = sum(step["output_tokens"] for step in result["steps"])
    assert 0 < counted <= after.output_tokens - before.output_tokens
    computed = sum(step["input_tokens"] for step in result["steps"])
    assert computed > 0.95 * (after.input_tokens - before.input_tokens - 2_000)


def test_ctrl_c_leaves_nothing_running(agent, llama_server):
    """Within a step: the server is idle again at once, nothing is kept, and the exit code says it."""
    # A shell that runs tests in the background has them, and what they start, ignore Ctrl-C.
    listening = ["env", "--default-signal=INT"]
    with subprocess.Popen(
        [*listening, *command(agent, "--yes", "--seconds", "120", "--max-concurrency", "8")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + RUNNING_SECONDS
        while not llama_server.counters().requests_running and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=ENDING_SECONDS)

    assert process.returncode == STOPPED
    assert "stopped" in said
    assert "Traceback" not in said
    assert llama_server.counters_when_idle().requests_running == 0
    assert results(agent) == []


def test_nobody_is_disturbed_unasked(agent, llama_server):
    """Without a terminal and without --yes nothing is sent."""
    before = llama_server.counters_when_idle()
    told = subprocess.run(
        command(agent), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )

    assert told.returncode == 1
    assert "--yes" in told.stderr
    assert llama_server.counters_when_idle() == before


def test_the_list_is_empty_at_first(agent):
    """Nothing was calibrated yet, which is no error."""
    told = subprocess.run(command(agent, "--list"), capture_output=True, text=True, timeout=60, check=False)

    assert (told.returncode, told.stdout) == (0, "nothing was calibrated yet\n")
