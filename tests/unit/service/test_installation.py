"""The service without the package: its files, for which program, and what a service could not run."""

import configparser
import shlex
from pathlib import Path

import pytest

from evenwatt.errors import InstallationRefused
from evenwatt.service import installation as service
from evenwatt.service.installation import Installation


def installation(root, program="/opt/evenwatt/bin/evenwatt", version=252, interpreter="/usr/bin/python3.11"):
    """Return one of a program below a root."""
    return Installation(
        program=Path(program),
        interpreter=Path(interpreter),
        root=Path(root),
        systemd_version=version,
    )


@pytest.mark.parametrize("unit", ["evenwatt.service", "evenwatt-proxy.service"])
def test_the_units_start_this_program(unit):
    """The shipped units, but for where the program is."""
    files = installation("/").files()
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(files[Path("/etc/systemd/system") / unit])

    assert shlex.split(parser["Service"]["ExecStart"])[0] == "/opt/evenwatt/bin/evenwatt"
    assert not [text for text in files.values() if "/usr/bin/evenwatt " in text]


def test_only_a_systemd_that_knows_them_gets_longer_pauses():
    """Before 254 the settings would be warned of."""
    old, new = ({str(path) for path in installation("/", version=version).files()} for version in (252, 254))

    assert {path.rpartition("/")[2] for path in new - old} == {"backoff.conf"}
    assert len(new - old) == 2


@pytest.mark.parametrize(
    "program", ["/home/a/.local/bin/evenwatt", "/root/venv/bin/evenwatt", "/tmp/e/evenwatt"]
)
def test_a_program_that_a_service_cannot_see_is_refused(program):
    """The sentence says where to install it instead."""
    with pytest.raises(InstallationRefused, match="/opt/evenwatt/bin/evenwatt service install"):
        installation("/", program=program).refuse_what_cannot_run()


def test_a_python_that_a_service_cannot_see_is_refused():
    """An environment for all users may still run on a Python of one of them."""
    with pytest.raises(InstallationRefused, match=r"/home/a/\.pyenv/bin/python3 is where"):
        installation("/", interpreter="/home/a/.pyenv/bin/python3").refuse_what_cannot_run()


@pytest.mark.parametrize("asked", [Installation.of_this_machine, service.unit_states])
def test_a_machine_without_systemd_is_told_so(asked, monkeypatch, tmp_path):
    """In a sentence of ours, not in one of systemctl's."""
    monkeypatch.setattr(service, "_BOOTED", tmp_path / "none")
    with pytest.raises(InstallationRefused, match="not booted by systemd"):
        asked()
