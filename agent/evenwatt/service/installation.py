"""evenwatt as a systemd service without the Debian package: its files, and the commands that take them up."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from evenwatt.errors import InstallationRefused

__all__ = ["UNITS", "Installation", "unit_states"]

UNITS = ("evenwatt.service", "evenwatt-proxy.service")
_PACKAGED = Path("/usr/lib/systemd/system/evenwatt.service")
_BOOTED = Path("/run/systemd/system")
_PROGRAM = "/usr/bin/evenwatt"
"""As the shipped units have it."""
_HIDDEN = tuple(Path(name) for name in ("/home", "/root", "/run/user", "/tmp", "/var/tmp"))  # noqa: S108 -- not written
"""What a service does not see (ProtectHome=, PrivateTmp=)."""
_BACKOFF_VERSION = 254
_COMMAND_SECONDS = 660.0
"""Longer than the unit's TimeoutStartSec=."""
_SHOWN = ("ActiveState", "SubState", "UnitFileState", "StatusText", "ActiveEnterTimestamp", "NRestarts")


class Installation(Struct, frozen=True, kw_only=True):
    """Where this evenwatt is, and where the files of its service go.

    Attributes:
        program: The command that the service starts.
        interpreter: The Python that runs it, links followed.
        root: Below which files are written; `/` but for tests.
        systemd_version: Of this machine.
    """

    program: Path
    interpreter: Path
    root: Path
    systemd_version: int

    @classmethod
    def of_this_machine(cls) -> "Installation":
        """Return that of this process.

        Raises:
            InstallationRefused: There is no systemd.
        """
        _refuse_without_systemd()
        told = re.match(r"systemd (\d+)", _said(["systemctl", "--version"]))
        return cls(
            program=Path(sys.argv[0]).absolute(),
            interpreter=Path(sys.executable).resolve(),
            root=Path("/"),
            systemd_version=0 if told is None else int(told[1]),
        )

    def files(self) -> Mapping[Path, str]:
        """Return what is written, by where."""
        shipped = _shipped()
        etc = self.root / "etc"
        written = {
            etc / "systemd/system" / unit: (shipped / unit)
            .read_text(encoding="utf-8")
            .replace(f"={_PROGRAM} ", f"={self.program} ")
            for unit in UNITS
        }
        if self.systemd_version >= _BACKOFF_VERSION:
            for unit in UNITS:
                written[etc / "systemd/system" / f"{unit}.d" / "backoff.conf"] = _text(
                    shipped / "backoff.conf"
                )
        written[etc / "sysusers.d/evenwatt.conf"] = _text(shipped / "evenwatt.sysusers")
        written[etc / "tmpfiles.d/evenwatt.conf"] = _text(shipped / "evenwatt.tmpfiles")
        written[etc / "udev/rules.d/70-evenwatt.rules"] = _text(shipped / "evenwatt.rules")
        return written

    def refuse_what_cannot_run(self) -> None:
        """Refuse what would only fail later, in the journal.

        Raises:
            InstallationRefused: The package is there, this is not root, or the service could not see it.
        """
        if _PACKAGED.exists():
            raise InstallationRefused(
                "the Debian package has installed the service; see systemctl status evenwatt"
            )
        _refuse_without_root()
        for path in (self.program, self.interpreter):
            if any(path.is_relative_to(hidden) for hidden in _HIDDEN):
                raise InstallationRefused(
                    f"{path} is where a service does not look. Install the wheel for all users, such as with "
                    "`sudo python3 -m venv /opt/evenwatt && sudo /opt/evenwatt/bin/pip install "
                    "evenwatt-*.whl`, and type `sudo /opt/evenwatt/bin/evenwatt service install`"
                )

    def install(self) -> Iterator[str]:
        """Write the files and start the agent; yield what was done.

        Raises:
            InstallationRefused: It cannot be done, or systemd did not do it.
        """
        self.refuse_what_cannot_run()
        for path, text in self.files().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)
            yield f"wrote {path}"
        _said(["systemd-sysusers", "evenwatt.conf"])
        (self.root / "etc/evenwatt").mkdir(mode=0o755, exist_ok=True)
        _said(["systemd-tmpfiles", "--create", "evenwatt.conf"])
        _said(["systemctl", "daemon-reload"])
        _said(["systemctl", "enable", "--now", UNITS[0]])
        yield "evenwatt.service runs, and will at each boot; its log: journalctl -u evenwatt"

    def uninstall(self) -> Iterator[str]:
        """End the services and remove their files; yield what was done.

        Raises:
            InstallationRefused: The package is there, or this is not root.
        """
        if _PACKAGED.exists():
            raise InstallationRefused("the Debian package has installed the service: apt remove evenwatt")
        _refuse_without_root()
        present = [path for path in self.files() if path.exists()]
        units = [path.name for path in present if path.name in UNITS]
        if units:
            _said(["systemctl", "disable", "--now", *units])
        for path in present:
            path.unlink()
            yield f"removed {path}"
            if path.parent.name.removesuffix(".d") in UNITS and not any(path.parent.iterdir()):
                path.parent.rmdir()
        _said(["systemctl", "daemon-reload"])
        yield "the history in /var/lib/evenwatt and the configuration in /etc/evenwatt stay"


def unit_states() -> Mapping[str, Mapping[str, str]]:
    """Return what systemd says of each unit, by property; of one that is not installed nothing.

    Raises:
        InstallationRefused: There is no systemd that answers.
    """
    _refuse_without_systemd()
    states = {}
    for unit in UNITS:
        said = _said(["systemctl", "show", f"--property={','.join(('LoadState', *_SHOWN))}", unit])
        values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        states[unit] = values if values.get("LoadState") == "loaded" else {}
    return states


def _shipped() -> Path:
    """Return the folder of the shipped units: in the package as installed, or beside it in a clone."""
    packages = Path(__file__).parents[1]
    inside = packages / "systemd"
    return inside if inside.is_dir() else packages.parents[1] / "systemd"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _refuse_without_systemd() -> None:
    if not _BOOTED.is_dir():
        raise InstallationRefused(
            "this machine was not booted by systemd; start `evenwatt run` by what starts its services"
        )


def _refuse_without_root() -> None:
    if os.geteuid() != 0:
        raise InstallationRefused("services are for root to install; try again with sudo")


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- words of ours
            command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallationRefused(f"`{' '.join(command)}` did not do it: {error}") from error
    if done.returncode != 0:
        raise InstallationRefused(
            f"`{' '.join(command)}` failed: {done.stderr.strip()}. See journalctl -u evenwatt"
        )
    return done.stdout
