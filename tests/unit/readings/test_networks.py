"""Engines in other network namespaces are found, reached and traced as those of the agent's own."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest

from captured import CAPTURES
from engine_process import free_port
from evenwatt.errors import SourceUnavailable
from evenwatt.readings import processes
from evenwatt.readings.discovery import EngineSearch
from evenwatt.readings.engine import EngineSource
from evenwatt.readings.networks import NetworkHost, named_network, other_networks
from evenwatt.readings.process_stat import process_stat
from evenwatt.readings.processes import ListenerLookup, is_loopback
from evenwatt.service.sources import is_local
from loopback_servers import page_process

pytest_plugins = ["machine_fixtures"]

VLLM_PAGE = CAPTURES / "vllm" / "single-04-prefix.prom.txt"
SETPRIV = shutil.which("setpriv")
SEARCH = """
import encodings.idna, json, os, sys  # before it may not read its own library any more
from evenwatt.readings.discovery import EngineSearch
for uid in map(int, sys.argv[1:]):
    os.setgid(uid)
    os.setuid(uid)
search = EngineSearch()
print(json.dumps([[engine.name for engine in search.find()], search.unreachable]))
"""
FORWARDER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
Path("/proc/self/comm").write_text("docker-proxy")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = Path(sys.argv[2]).read_bytes() if self.path == "/metrics" else b""
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever(0.02)
"""
"""Answers as what it leads to would; the real one passes bytes on."""


@pytest.fixture
def vllm(tmp_path, other_network):
    """Return a function that starts a vLLM server in a network of its own, by its command and its page."""
    script = shutil.copy(CAPTURES.parent / "page_process.py", tmp_path / "vllm")

    def start(port=0, **options):
        arguments = ("serve", "org/model")
        return page_process(
            VLLM_PAGE, port=port, script=script, arguments=arguments, within=other_network, **options
        )

    return start


def found_with(pid, search=None):
    """Return the engines that are found with a process."""
    return [engine for engine in (search or EngineSearch()).find() if engine.pid == pid]


def asked(process):
    """Return the paths that a page process was asked for."""
    process.kill()
    return process.stdout.read().split()


def host_of(process):
    """Return the host that means the network of a process."""
    return NetworkHost(pid=process.pid, start_ticks=process_stat(process.pid).start_ticks)


def test_an_engine_in_another_network_is_found_and_read(vllm):
    """Its port is not here, and all the same it is found, asked once and traced to its process."""
    with vllm() as (process, port):
        (engine,) = found_with(process.pid)
        reading = EngineSource(name=engine.name, kind=engine.kind, url=engine.url).read()

        assert (engine.name, engine.kind, engine.is_elsewhere) == (f"vllm-netns-{port}", "vllm", True)
        assert urlsplit(engine.url).hostname == host_of(process).name
        assert reading.listener_pid == process.pid
        assert str(process.pid) in reading.epoch.signals["process"]
        assert reading.models
        assert asked(process) == ["/metrics", "/metrics"]


def test_engines_on_one_port_of_two_networks_are_two(vllm):
    """Where networks have no name of their own, their numbers tell them apart."""
    with vllm(8000) as (one, _), vllm(8000) as (other, _):
        found = [engine for engine in EngineSearch().find() if engine.pid in {one.pid, other.pid}]

        assert len({engine.name for engine in found}) == len({engine.url for engine in found}) == 2


def test_a_known_engine_in_another_network_is_not_asked(vllm):
    """What is read already needs no search, and its port says nothing of the same one elsewhere."""
    with vllm() as (process, port):
        (engine,) = found_with(process.pid)
        search = EngineSearch()

        assert process.pid not in {e.pid for e in search.find(skip_urls=frozenset({engine.url}))}
        assert process.pid in {e.pid for e in search.find(skip_ports=frozenset({port}))}


def test_other_networks_can_be_let_alone(vllm):
    """Who does not want the agent in other networks says so."""
    with vllm() as (process, _):
        assert found_with(process.pid, EngineSearch(is_own_network_only=True)) == []
        assert asked(process) == []


def test_a_network_ends_with_its_process(vllm):
    """Another process with the same number is not taken for the one that was meant."""
    with vllm() as (process, port):
        right = host_of(process)
        wrong = NetworkHost(pid=right.pid, start_ticks=right.start_ticks + 1)

        assert {socket.port for socket in right.sockets} == {port}
        assert wrong.sockets == ()
        with pytest.raises(SourceUnavailable, match=f"nobody listens at port {port}"):
            EngineSource(name="chat", kind="vllm", url=f"http://{wrong.name}:{port}").read()


def test_the_search_leaves_this_network_as_it_was(vllm):
    """A thread that made a socket elsewhere is where it was before."""
    before = Path("/proc/thread-self/ns/net").stat().st_ino
    with vllm() as (process, _):
        found_with(process.pid)

    assert Path("/proc/thread-self/ns/net").stat().st_ino == before


def test_hosts():
    """Only what names a process of this machine is a network; it is this machine, and loopback."""
    name = NetworkHost(pid=12, start_ticks=345).name

    assert named_network(name) == NetworkHost(pid=12, start_ticks=345)
    assert [named_network(host) for host in ("pid-12.netns", "localhost", "")] == [None, None, None]
    assert is_loopback(name)
    assert is_local(f"http://{name}:8000")


@pytest.mark.skipif(SETPRIV is None, reason="there is no setpriv here to give up a right with")
def test_without_the_right_to_enter_a_network_it_is_told(vllm):
    """What cannot be asked is named with what would help, and nothing else fails."""
    command = [SETPRIV, "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    with vllm() as (process, port):
        told = subprocess.run(
            [*command, sys.executable, "-c", SEARCH], capture_output=True, text=True, check=True
        )
        names, unreachable = json.loads(told.stdout)

        assert f"vllm-netns-{port}" not in names
        (text,) = [text for text in unreachable if f"PID {process.pid}:" in text]
        assert "CAP_SYS_ADMIN" in text


def test_without_the_right_to_look_at_processes_nothing_is_found(vllm):
    """Another user's agent sees no other network, and says nothing of it."""
    command = [sys.executable, "-c", SEARCH, "65534"]
    with vllm() as (_, port):
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        names, unreachable = json.loads(told.stdout)

    assert f"vllm-netns-{port}" not in names
    assert unreachable == []


# --- Docker's forwarder -------------------------------------------------------------------------------------


def in_network_of(process, *command):
    """Run a command in the network of a process."""
    subprocess.run(["nsenter", f"--net=/proc/{process.pid}/ns/net", *command], check=True)


@contextmanager
def docker_proxy(address, port):
    """Stand in for Docker's forwarder to an address and port of a container; yield its own port."""
    command = ["/usr/bin/docker-proxy", "-c", FORWARDER, "-proto", str(VLLM_PAGE)]
    command += ["-container-ip", address, "-container-port", str(port)]
    with subprocess.Popen(
        command,
        executable=sys.executable,
        env={**os.environ, "PYTHONHOME": sys.base_prefix},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture
def container(vllm):
    """A vLLM server in a network with an address of its own, as in a container: its process and its port."""
    if shutil.which("ip") is None:
        pytest.skip("there is no ip command here to give a network an address")
    with vllm(address="0.0.0.0") as (process, port):
        in_network_of(process, "ip", "address", "add", "198.51.100.7/32", "dev", "lo")
        yield process, port


def test_addresses_of_a_network_are_known(container):
    """As of a container, whose own address leads to it."""
    process, _ = container
    (network,) = [network for network in other_networks() if process.pid in network.pids]

    assert network.addresses == (ip_address("198.51.100.7"),)


def test_a_published_port_is_the_engine_s_behind_it(container):
    """One engine is found, by the port that stays when the container is started again, with its process."""
    process, inside = container
    with docker_proxy("198.51.100.7", inside) as port:
        (engine,) = found_with(process.pid)
        listener = ListenerLookup("127.0.0.1", port).listener()

        assert (engine.name, engine.url) == (f"vllm-{port}", f"http://127.0.0.1:{port}")
        assert not engine.is_elsewhere
        assert listener.process.pid == process.pid


def test_a_container_s_address_is_traced_to_its_process(container):
    """An engine that is named by the address of its container is one of this machine."""
    process, port = container

    assert ListenerLookup("198.51.100.7", port).listener().process.pid == process.pid
    assert ListenerLookup("198.51.100.8", port).listener() is None


def test_what_is_forwarded_to_may_begin_later(vllm, monkeypatch):
    """A forwarder that leads nowhere yet is looked at again, and no process's files for as long."""
    walk = Mock(wraps=processes._holders)
    monkeypatch.setattr(processes, "_holders", walk)
    inside = free_port()
    with docker_proxy("198.51.100.9", inside) as port:
        lookup = ListenerLookup("127.0.0.1", port)
        for _ in range(3):
            assert lookup.listener() is None
        assert walk.call_count == 1

        with vllm(inside, address="0.0.0.0") as (process, _):
            in_network_of(process, "ip", "address", "add", "198.51.100.9/32", "dev", "lo")
            assert lookup.listener().process.pid == process.pid
