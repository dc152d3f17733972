"""The kernel's facts about processes and listening sockets are told as they are, or not at all."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from captured import CAPTURES
from engine_process import free_port
from evenwatt.clock import boot_seconds
from evenwatt.readings.processes import ListenerLookup, ProcessIdentity, ancestors, is_loopback
from evenwatt.readings.sockets import ListeningSocket, listening_sockets, parsed_address
from loopback_servers import page_process

PAGE = CAPTURES / "llamacpp" / "b11434-02-nonstream.prom.txt"
NOBODY = 65534

LISTEN_BESIDE = """
import socket, sys
with socket.socket() as sock:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", int(sys.argv[1])))
    sock.listen()
    print("listening", flush=True)
    sys.stdin.read()
"""
LOOK_UP_AS_NOBODY = """
import json, os, sys
from evenwatt.readings.processes import ListenerLookup
os.setgid(65534)
os.setuid(65534)
lookup = ListenerLookup("127.0.0.1", int(sys.argv[1]))
found = [lookup.listener(), lookup.listener()]
print(json.dumps([[sorted(each.inodes), each.process is None] for each in found]))
"""


@contextmanager
def listening(address="127.0.0.1", port=0, *, shares_port=False):
    """Listen, and yield the socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        if shares_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address, port))
        sock.listen()
        yield sock


@contextmanager
def child(script, *arguments, **options):
    """Run a script until it has said something, and yield its process."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def port_of(sock):
    """Return the port that a socket is bound to."""
    return sock.getsockname()[1]


def inode_of(sock):
    """Return the inode of a socket."""
    return os.fstat(sock.fileno()).st_ino


def test_ancestors_are_the_parents_nearest_first():
    """A child's parents are this process and then this process's own parents, up to the first process."""
    with child("import sys; print(flush=True); sys.stdin.read()") as process:
        found = ancestors(process.pid)

    expected = tuple(parent.pid for parent in psutil.Process().parents())
    assert (os.getpid(), *expected) == found


def test_process_that_is_gone_has_no_ancestors():
    """Of a process that has ended nothing is known."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert ancestors(process.pid) == ()


def test_listener_is_found_with_its_start():
    """The process that listens is found, with the start that the kernel's other records tell."""
    with listening() as sock:
        listener = ListenerLookup("127.0.0.1", port_of(sock)).listener()

        assert listener.inodes == {inode_of(sock)}
    assert listener.process.pid == os.getpid()
    age_seconds = boot_seconds() - listener.process.started_boot_seconds
    expected_seconds = time.time() - psutil.Process().create_time()
    assert age_seconds == pytest.approx(expected_seconds, abs=2)


def test_identity_is_in_seconds_since_boot():
    """Ticks are divided by their number in a second."""
    ticks_per_second = os.sysconf("SC_CLK_TCK")

    assert ProcessIdentity(pid=1, start_ticks=90 * ticks_per_second).started_boot_seconds == 90


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "127.0.0.1"),
        ("LOCALHOST", "::1"),
        ("127.0.0.1", "0.0.0.0"),
        ("::1", "::"),
        ("127.0.0.1", "::"),
    ],
)
def test_listener_on_another_form_of_the_address_is_found(host, address):
    """A name for this machine and a socket bound to all addresses are matched."""
    with listening(address) as sock:
        assert ListenerLookup(host, port_of(sock)).listener().inodes == {inode_of(sock)}


def test_own_name_is_this_machine():
    """A URL with this machine's own name is local."""
    with listening("0.0.0.0") as sock:
        assert ListenerLookup(socket.gethostname(), port_of(sock)).listener().inodes == {inode_of(sock)}


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "gpu-server.example", ""])
def test_other_machine_has_no_listener_here(host):
    """A port of another machine is not mistaken for the same port here."""
    with listening("0.0.0.0") as sock:
        assert ListenerLookup(host, port_of(sock)).listener() is None


def test_addresses_are_told_apart():
    """Two servers on one port of two addresses are two."""
    with listening("127.0.0.1") as one, listening("127.0.0.2", port_of(one)) as two:
        assert ListenerLookup("127.0.0.1", port_of(one)).listener().inodes == {inode_of(one)}
        assert ListenerLookup("127.0.0.2", port_of(one)).listener().inodes == {inode_of(two)}


def test_listener_comes_and_goes():
    """A lookup that is kept sees a port open, stay, close, and open anew."""
    port = free_port()
    lookup = ListenerLookup("127.0.0.1", port)
    seen = [lookup.listener()]
    with listening(port=port) as sock:
        seen += [lookup.listener(), lookup.listener()]
        assert seen[1].inodes == {inode_of(sock)}
    seen.append(lookup.listener())
    with listening(port=port):
        seen.append(lookup.listener())

    assert seen[0] is seen[3] is None
    assert seen[1] == seen[2] != seen[4]


def test_new_process_on_the_port_is_another_identity():
    """A server that was restarted on its port is told from the one before."""
    port = free_port()
    lookup = ListenerLookup("127.0.0.1", port)
    found = []
    for _ in range(2):
        with page_process(PAGE, port=port) as (process, _):
            found.append((lookup.listener().process.pid, process.pid))

    assert [pid for pid, _ in found] == [pid for _, pid in found]
    assert found[0] != found[1]


def test_oldest_holder_of_a_shared_socket_is_the_identity():
    """Of the processes that hold one socket the oldest counts: workers come and go."""
    with listening() as sock:
        sock.set_inheritable(True)
        options = {"pass_fds": [sock.fileno()]}
        with child("import sys; print(flush=True); sys.stdin.read()", **options):
            listener = ListenerLookup("127.0.0.1", port_of(sock)).listener()

    assert listener.process.pid == os.getpid()


def test_oldest_of_several_listeners_is_the_identity():
    """Of the processes that share a port by SO_REUSEPORT the oldest counts."""
    with listening(shares_port=True) as sock, child(LISTEN_BESIDE, port_of(sock)) as other:
        listener = ListenerLookup("127.0.0.1", port_of(sock)).listener()

    assert len(listener.inodes) == 2
    assert listener.process.pid == os.getpid() != other.pid


def test_forwarder_is_no_listener():
    """A process that only forwards a port is not taken for the engine behind it."""
    with page_process(PAGE, comm="docker-proxy") as (_, port):
        lookup = ListenerLookup("127.0.0.1", port)

        assert lookup.listener() is lookup.listener() is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody who may not read this process")
def test_socket_of_an_unreadable_process_is_known_by_its_inode():
    """Where the process may not be read, the socket is all that is told."""
    with listening() as sock:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", LOOK_UP_AS_NOBODY, str(port_of(sock))]
        output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout

        assert json.loads(output) == [[[inode_of(sock)], True]] * 2


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_both_ways_to_list_sockets_agree(address):
    """Netlink and /proc tell the same address, port and inode of a socket."""
    with listening(address) as sock:
        expected = ListeningSocket(parsed_address(address), port_of(sock), inode_of(sock))

        assert expected in listening_sockets()
        assert expected in set(listening_sockets(os.getpid()))


def test_connection_is_no_listening_socket():
    """Only sockets that listen are listed."""
    with listening() as sock, socket.create_connection(sock.getsockname()) as connection:
        ports = {found.port for found in listening_sockets()}

        assert port_of(sock) in ports
        assert port_of(connection) not in ports


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("gpu-server.example", False),
        ("", False),
    ],
)
def test_loopback_hosts(host, expected):
    """Only a host that cannot be another machine is loopback."""
    assert is_loopback(host) is expected
