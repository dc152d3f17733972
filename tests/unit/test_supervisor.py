"""What the service manager hears, on a real socket of its kind."""

import socket

import pytest

from evenwatt.supervisor import Supervisor, watchdog_seconds


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """A socket as systemd has it, by a path or by an abstract name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        if request.param == "path":
            address = name = str(tmp_path / "notify")
        else:
            address, name = f"\0{tmp_path.name}-notify", f"@{tmp_path.name}-notify"
        listening.bind(address)
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def test_a_sign_of_life_says_ready_and_what_is_shown(manager):
    """One datagram, a line each; a status with line breaks stays one line."""
    Supervisor().alive("2 GPU\n300 W")

    assert manager.recv(1000).decode().split("\n") == ["READY=1", "WATCHDOG=1", "STATUS=2 GPU 300 W"]


def test_the_time_between_signs_is_told_only_where_somebody_watches(manager, monkeypatch):
    """WATCHDOG_USEC stands in the environment of a watched process."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    Supervisor().expect_within(65)
    monkeypatch.setenv("WATCHDOG_USEC", "180000000")
    Supervisor().expect_within(65)

    assert manager.recv(1000) == b"WATCHDOG_USEC=65000000"
    assert watchdog_seconds() == 180


def test_reload_and_end_are_told(manager):
    """As sd_notify(3) names them."""
    Supervisor().reloading()
    Supervisor().ending("so it is")

    assert manager.recv(1000) == b"RELOADING=1"
    assert manager.recv(1000) == b"STOPPING=1\nSTATUS=so it is"


@pytest.mark.parametrize("address", ["", "/nobody/listens/here", "@nobody-listens-here"])
def test_nobody_who_listens_is_no_fault(monkeypatch, address):
    """Without a manager, or with one that has gone, nothing happens."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    Supervisor().alive("text")


def test_a_manager_that_does_not_read_is_not_waited_for(manager):
    """A full socket loses a sign of life; the agent goes on."""
    for _ in range(2_000):
        Supervisor().alive("x" * 1000)


@pytest.mark.parametrize("text", ["", "0", "soon", "-1"])
def test_nonsense_is_no_watchdog(monkeypatch, text):
    """Only a positive number of microseconds is one."""
    monkeypatch.setenv("WATCHDOG_USEC", text)

    assert watchdog_seconds() is None
