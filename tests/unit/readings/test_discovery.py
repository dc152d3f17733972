"""Engines are found by what their processes are and what their pages say."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from captured import CAPTURES
from evenwatt.readings.discovery import FoundEngine, command_kind, find_engines
from loopback_servers import page_process

pytest_plugins = ["llama_fixtures"]

VLLM_FILE = CAPTURES / "vllm" / "single-04-prefix.prom.txt"
SCRIPT = "page_process.py"
FORWARD = """
import socket, sys
from pathlib import Path
Path("/proc/self/comm").write_text("socat")
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    print("listening", flush=True)
    while True:
        client, _ = server.accept()
        with client, socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as target:
            request = client.recv(65536)
            print(request.split()[1].decode(), flush=True)
            target.sendall(request)
            while data := target.recv(65536):
                client.sendall(data)
"""


@pytest.fixture
def vllm_script(tmp_path):
    """Return a program whose command line is vLLM's."""
    return shutil.copy(CAPTURES.parent / SCRIPT, tmp_path / "vllm")


def found_at(port, **options):
    """Return what is found at a port, among whatever else runs on this machine."""
    return [engine for engine in find_engines(**options) if engine.url.endswith(f":{port}")]


def asked(process):
    """Return the paths that a page process was asked for."""
    process.kill()
    return process.stdout.read().split()


@contextmanager
def forwarding(port, target):
    """Pass connections on as a forwarder does, from a process of its own, and yield the paths asked for."""
    paths = []
    command = [sys.executable, "-c", FORWARD, str(port), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "listening\n"
            yield paths
        finally:
            process.kill()
            paths += process.stdout.read().split()


def is_free(port):
    """Return whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_vllm_is_found_by_its_command_and_its_page(vllm_script):
    """A process with vLLM's command line and page is found, always by one name and with one GET."""
    with page_process(VLLM_FILE, script=vllm_script, arguments=("serve", "org/model")) as (process, port):
        first, second = found_at(port), found_at(port)

        expected = FoundEngine(
            name=f"vllm-{port}", kind="vllm", url=f"http://127.0.0.1:{port}", pid=process.pid
        )
        assert first == second == [expected]
        assert asked(process) == ["/metrics", "/metrics"]


def test_llama_server_is_found(llama_server):
    """A real llama-server is found."""
    (engine,) = found_at(llama_server.port)

    assert (engine.name, engine.kind) == (f"llamacpp-{llama_server.port}", "llamacpp")
    assert engine.pid == llama_server.pid


def test_command_without_the_page_is_not_believed(vllm_script, tmp_path):
    """A page of something else is no engine, whatever the command line says; so is evenwatt's own."""
    page = tmp_path / "page"
    page.write_text('evenwatt_tokens_total{engine="vllm:x",model="llamacpp:y"} 1\n')
    with page_process(page, script=vllm_script, arguments=("serve",)) as (process, port):
        assert found_at(port) == []
        assert asked(process) == ["/metrics", "/v1/models"]


def test_vllm_without_statistics_is_found_by_its_models(vllm_script, tmp_path):
    """An engine that is up but counts nothing is there too; whoever reads it says what is missing."""
    (tmp_path / "pages" / "v1").mkdir(parents=True)
    (tmp_path / "pages" / "metrics").write_text("http_requests_total 1\n")
    (tmp_path / "pages" / "v1" / "models").write_text('{"data": [{"id": "m", "owned_by": "vllm"}]}')
    with page_process(tmp_path / "pages", script=vllm_script, arguments=("serve",)) as (_, port):
        (engine,) = found_at(port)

    assert engine.kind == "vllm"


def test_other_processes_are_not_asked():
    """A process that is no engine gets no request, even if its page looks like one."""
    with page_process(VLLM_FILE) as (process, port):
        assert found_at(port) == []
        assert asked(process) == []


def test_skipped_port_is_not_asked(vllm_script):
    """A port that is known already is left alone."""
    with page_process(VLLM_FILE, script=vllm_script, arguments=("serve",)) as (process, port):
        assert found_at(port, skip_ports=frozenset({port})) == []
        assert asked(process) == []


@pytest.mark.skipif(not is_free(8000), reason="port 8000 is in use on this machine")
def test_forwarder_on_a_hint_port_is_asked():
    """Behind a forwarder on the usual port an engine is found by its page alone."""
    with page_process(VLLM_FILE, port=8000, comm="docker-proxy"):
        (engine,) = found_at(8000)

    assert engine.name == "vllm-8000"


@pytest.mark.skipif(not is_free(8080), reason="port 8080 is in use on this machine")
def test_unknown_program_on_a_hint_port_is_believed_by_its_page():
    """An engine inside a program of somebody's own is found where engines usually listen."""
    with page_process(VLLM_FILE, port=8080) as (process, _):
        (engine,) = found_at(8080)

        assert (engine.name, engine.pid) == ("vllm-8080", process.pid)
        assert asked(process) == ["/v1/models", "/metrics"]


@pytest.mark.skipif(not is_free(8080), reason="port 8080 is in use on this machine")
def test_llamacpp_behind_a_forwarder_is_not_asked_for_its_page(llama_server):
    """Some builds wake for their page, so that what can sleep is known by the answer before it."""
    with forwarding(8080, llama_server.port) as paths:
        (engine,) = found_at(8080)

    assert engine.kind == "llamacpp"
    assert paths == ["/v1/models"]


def test_silent_machine_has_no_engine_of_this_process():
    """A port of this very process is never taken for an engine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert found_at(port) == []
        assert os.getpid() not in {engine.pid for engine in find_engines()}


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["/opt/venv/bin/python3", "/opt/venv/bin/vllm", "serve", "org/model"], "vllm"),
        (["vllm", "serve", "org/model", "--port", "8001"], "vllm"),
        (["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "m"], "vllm"),
        (["VLLM::APIServer_0"], "vllm"),
        (["VLLM::EngineCore"], None),
        (["VLLM::Worker_TP0"], None),
        (["vllm", "bench", "serve"], None),
        (["my-vllm serve"], None),
        (["/usr/local/bin/llama-server", "-m", "/models/m.gguf"], "llamacpp"),
        (["grep", "llama-server"], None),
        (["python3", "-m", "http.server"], None),
        ([""], None),
        ([], None),
    ],
)
def test_command_lines(command, kind):
    """API servers are known by their command line; other processes of an engine are not meant."""
    assert command_kind(command) == kind
