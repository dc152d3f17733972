"""The doctor without an agent, and with a real one."""

import json
import os
import subprocess
import sys

import pytest

from agent_process import AgentProcess
from evenwatt.config import parse_settings
from evenwatt.service.doctor import findings
from evenwatt.service.doctor.machine import clock_finding, history_finding, process_finding
from evenwatt.sinks.doctor import finding_lines, render_findings
from evenwatt.snapshot.checks import Finding, Health
from loopback_servers import PageServer

VLLM_PAGE = b'vllm:prompt_tokens_total{model_name="m"} 70\nvllm:generation_tokens_total{model_name="m"} 30\n'


def test_without_an_agent_engines_are_asked_themselves(tmp_path):
    """Each named engine is read once: one that answers says where its counters stand, the other why not."""
    with PageServer({"/metrics": (200, {}, VLLM_PAGE)}) as server:
        settings = parse_settings(
            f"""
server: {{listen: "127.0.0.1:9"}}
history: {{path: {tmp_path}/history.db}}
references: [{{name: flat, input: 1, output: 2}}]
engines:
  - {{name: chat, url: "{server.url}"}}
  - {{name: gone, url: "http://127.0.0.1:1"}}
""".encode(),
            "config.yaml",
        )
        links = {finding.link: finding for finding in findings(settings, None)}

    assert links["agent"].health is Health.BROKEN
    assert links["engine chat"].health is Health.GOOD
    assert "100 tokens" in links["engine chat"].text
    assert links["engine gone"].health is Health.BROKEN
    assert links["prices"].health is Health.GOOD
    assert links["history"].health is Health.GOOD


def test_step_of_counters_is_told(tmp_path):
    """Whoever asks where llama.cpp's counters stand reads how exact that is."""
    page = b"llamacpp:prompt_tokens_total 1.23457e+07\nllamacpp:tokens_predicted_total 30\n"
    models = b'{"data": [{"id": "m"}]}'
    with PageServer({"/metrics": (200, {}, page), "/v1/models": (200, {}, models)}) as server:
        settings = parse_settings(
            f"""
server: {{listen: "127.0.0.1:9"}}
history: {{path: {tmp_path}/history.db}}
references: [{{name: flat, input: 1, output: 2}}]
engines: [{{name: chat, url: "{server.url}"}}]
""".encode(),
            "config.yaml",
        )
        links = {finding.link: finding for finding in findings(settings, None)}

    assert links["engine chat"].text.endswith("12,345,730 tokens, told in steps of 100")


def test_command_tells_of_the_running_agent(tmp_path):
    """With an agent the chain is seen through its eyes; simulated readings are called so."""
    with AgentProcess(tmp_path, command="demo", arguments=()) as agent:
        agent.wait_until_ready()
        command = [sys.executable, "-m", "evenwatt", "doctor", "--json", "-c", str(agent.config)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    links = {finding["link"]: finding for finding in json.loads(answer.stdout)["findings"]}

    assert "SIMULATED" in links["agent"]["text"]
    assert answer.returncode == (1 if json.loads(answer.stdout)["broken"] else 0)


def test_the_clock_is_judged_by_the_kernel():
    """Whether it is synchronised or not, the answer is one of the two."""
    assert clock_finding().health in {Health.GOOD, Health.WEAK}


def test_own_listening_sockets_are_seen():
    """A finding about processes is made from the sockets that there are."""
    assert process_finding().link == "processes"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written_is_told(tmp_path):
    """Before the agent is started, not after."""
    tmp_path.chmod(0o500)

    assert history_finding(tmp_path / "history.db").health is Health.BROKEN


def test_file_that_is_no_history_is_told(tmp_path):
    """A file of another kind under that name is not called good."""
    path = tmp_path / "history.db"
    path.write_bytes(b"something else entirely, and long enough to be looked at" * 20)

    assert history_finding(path).health is Health.BROKEN


def test_findings_are_lines_for_people_and_a_document_for_programs():
    """A name from an engine cannot steer the terminal."""
    finding = Finding(link="engine \x1b[31m", health=Health.BROKEN, text="down", mend="start it")

    assert list(finding_lines(finding)) == [
        "BROKEN  engine \\x1b[31m: down",
        "          to mend: start it",
    ]
    assert json.loads(render_findings([finding]))["broken"] == 1
