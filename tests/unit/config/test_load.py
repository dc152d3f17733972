"""From a path to settings, and where things lie when nobody says."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from evenwatt.config import find_config, load
from evenwatt.config.places import default_history_path, system_timezone
from evenwatt.errors import ConfigError


def test_a_named_file_is_loaded(tmp_path):
    """The file that was named is the one that counts."""
    path = tmp_path / "mine.yaml"
    path.write_text("electricity: {price_per_kwh: 0.25}\n")

    assert load(path).electricity.price_per_kwh == 0.25


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.yaml", "there is no such file; check the path, or leave it out for the defaults"),
        (".", "is a folder; name the file in it"),
        ("file/config.yaml", "cannot be read: Not a directory"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "cannot be read: embedded null byte"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_fault(tmp_path, name, words):
    """A path that leads to no file is told with the path and what to do."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(ConfigError) as error:
        load(tmp_path / name)

    assert error.value.faults == (f"{tmp_path / name}: {words}",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else_is_one_fault(tmp_path):
    """A file that this user may not read is told as such."""
    path = tmp_path / "config.yaml"
    path.touch(mode=0)

    with pytest.raises(ConfigError) as error:
        load(path)

    assert error.value.faults == (f"{path}: may not be read by this user; change its owner or mode",)


def test_the_machines_file_is_found_before_the_users(tmp_path, monkeypatch):
    """The system's file wins, then the user's folder counts, then there is none."""
    machine, users = tmp_path / "etc.yaml", tmp_path / "evenwatt" / "config.yaml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    users.parent.mkdir()

    found_none = find_config(machine)
    users.touch()
    found_users = find_config(machine)
    machine.touch()
    found_machines = find_config(machine)

    assert (found_none, found_users, found_machines) == (None, users, machine)


def test_a_place_that_may_not_be_looked_at_is_not_passed_over(tmp_path):
    """A path that cannot be examined is returned, so that reading it says why it cannot be used."""
    (tmp_path / "loop").symlink_to("loop")

    assert find_config(tmp_path / "loop" / "config.yaml") == tmp_path / "loop" / "config.yaml"


def test_the_history_lies_in_the_folder_that_systemd_grants(monkeypatch):
    """The first of systemd's state folders is taken."""
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/evenwatt-a:/var/lib/evenwatt-b")

    assert default_history_path() == Path("/var/lib/evenwatt-a/history.db")


def test_the_history_lies_with_the_machine_or_the_user_without_systemd(monkeypatch, tmp_path):
    """Root writes below /var/lib, everybody else in a folder of his own."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    expected = (
        Path("/var/lib/evenwatt/history.db") if os.geteuid() == 0 else tmp_path / "evenwatt" / "history.db"
    )

    assert default_history_path() == expected


def test_the_time_zone_is_the_systems(monkeypatch, tmp_path):
    """$TZ comes first, then the zone that /etc/localtime names or holds, then UTC."""
    zones = tmp_path / "zoneinfo" / "Asia"
    zones.mkdir(parents=True)
    (zones / "Tokyo").touch()
    named, absent = tmp_path / "localtime", tmp_path / "absent"
    named.symlink_to(zones / "Tokyo")
    monkeypatch.setenv("TZ", ":Europe/Berlin")

    from_environment = system_timezone(named)
    monkeypatch.delenv("TZ")

    assert from_environment == ZoneInfo("Europe/Berlin")
    assert system_timezone(named) == ZoneInfo("Asia/Tokyo")
    assert system_timezone(absent) is UTC


def test_a_copied_time_zone_file_is_read(monkeypatch, tmp_path):
    """Where /etc/localtime is a copy without a name, the rules in it are used."""
    # The smallest file of the format: version 1, no transitions, one type of local time of +3600 s, `CET`.
    counts = b"".join(count.to_bytes(4, "big") for count in (0, 0, 0, 0, 1, 4))
    copied = tmp_path / "localtime"
    copied.write_bytes(b"TZif" + bytes(16) + counts + (3_600).to_bytes(4, "big") + b"\0\0" + b"CET\0")
    monkeypatch.delenv("TZ", raising=False)

    zone = system_timezone(copied)

    assert datetime(2026, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=1)


def test_loading_settings_brings_nothing_else_into_memory():
    """The configuration costs what it needs: no HTTP, no web server, no price catalogue, no database."""
    heavy = {
        "pydantic",
        "aiohttp",
        "requests",
        "genai_prices",
        "sqlite3",
        "prometheus_client",
        "typer",
        "rich",
        "asyncio",
    }
    code = f"import sys, evenwatt.config; print(*sorted({heavy!r} & set(sys.modules)))"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.split() == []


def test_a_user_without_a_home_has_no_configuration_of_his_own(monkeypatch, tmp_path):
    """A service whose user systemd made up for it has no home, which the library refuses to look for."""

    def refuse(_name):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_config_path", refuse)
    monkeypatch.setattr("platformdirs.user_state_path", refuse)
    monkeypatch.setattr("os.geteuid", lambda: 61_234)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)

    assert find_config(tmp_path / "config.yaml") is None
    assert default_history_path() == Path("/var/lib/evenwatt/history.db")
