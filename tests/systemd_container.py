"""A machine with a real systemd as PID 1: systemd-nspawn on a Debian tree that no run changes.

The tree is made once by debootstrap and kept in /var/tmp; each boot lays a tmpfs over it. The network is this
machine's, so that what listens on loopback inside is reached from outside.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

__all__ = ["Container", "missing_tools"]

_CACHE = Path(os.environ.get("EVENWATT_SYSTEMD_CACHE", "/var/tmp/evenwatt-systemd"))
_SUITE = "bookworm"
_PACKAGES = "systemd,systemd-sysv,dbus,python3,procps,man-db,libgomp1"
_QUIET_UNITS = ("console-getty.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer")
_TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "unshare")
_BOOT_SECONDS = 60.0
_COMMAND_SECONDS = 120.0
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
    "DEBIAN_FRONTEND": "noninteractive",
}


def missing_tools() -> list[str]:
    """Return what is missing here to boot one."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return missing if os.geteuid() == 0 else [*missing, "root"]


class Container:
    """One boot, as a context manager.

    Args:
        folder: For its console.
        shown: Folders and device nodes of this machine, by where they are inside; read only.
    """

    def __init__(self, folder: Path, shown: Mapping[Path, str]) -> None:
        self._console = folder / "console.log"
        self._shown = shown
        self._leader = 0

    def __enter__(self) -> Self:
        tree = _tree()
        command = ["systemd-nspawn", "--quiet", f"--directory={tree}", "--machine=evenwatt-test", "--boot"]
        command += ["--register=no", "--keep-unit", "--volatile=overlay", "--link-journal=no"]
        command += ["--resolv-conf=off", "--timezone=off", "--console=read-only"]
        # systemd writes DeviceAllow= as a BPF program.
        command += ["--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN", "--system-call-filter=bpf"]
        command += [f"--bind-ro={outside}:{inside}" for outside, inside in self._shown.items()]
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        try:
            self._wait_until_booted()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command inside as root, in a unit of its own; fail with what it said where it fails."""
        settings = [f"--setenv={name}={value}" for name, value in _ENVIRONMENT.items()]
        inside = ["/usr/bin/systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec"]
        done = self._inside([*inside, *settings, "--", "/bin/sh", "-c", command])
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done

    def says(self, command: str) -> str:
        """Return what a shell command prints."""
        return self.run(command).stdout.strip()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside."""
        program = f'mkdir -p "$(dirname {path})" && install -m {mode:o} /dev/stdin {path}'
        done = self._inside(["/bin/sh", "-c", program], text)
        assert done.returncode == 0, done.stderr

    def host_pid(self, inside: int) -> int:
        """Return the PID that a process inside has outside."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                numbers = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:"))
                if numbers.split()[-1] == str(inside) and _same_namespace(status.parent.name, self._leader):
                    return int(status.parent.name)
            except (OSError, StopIteration):
                continue
        raise AssertionError(f"no process here is PID {inside} inside")

    def _inside(self, command: Iterable[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
        enter = [
            "nsenter",
            f"--target={self._leader}",
            *["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"],
        ]
        return subprocess.run(
            [*enter, *command],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )

    def _wait_until_booted(self) -> None:
        until = time.monotonic() + _BOOT_SECONDS
        while time.monotonic() < until:
            assert self._process.poll() is None, self._console.read_text(errors="replace")
            children = (
                Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            )
            if children:
                self._leader = int(children[0])
                state = self._inside(["/usr/bin/systemctl", "is-system-running"]).stdout.strip()
                if state in {"running", "degraded"}:
                    return
            time.sleep(0.1)
        raise AssertionError(f"it did not boot:\n{self._console.read_text(errors='replace')[-3000:]}")


def _same_namespace(pid: str, other: int) -> bool:
    return Path(f"/proc/{pid}/ns/pid").readlink() == Path(f"/proc/{other}/ns/pid").readlink()


def _tree() -> Path:
    """Return the Debian tree, made where it is not there yet: two minutes, once."""
    tree = _CACHE / _SUITE
    if not tree.exists():
        begun = tree.with_suffix(".partial")
        shutil.rmtree(begun, ignore_errors=True)
        _CACHE.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(begun), *_mirror()],
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
        for unit in _QUIET_UNITS:
            (begun / "etc/systemd/system" / unit).symlink_to("/dev/null")
        (begun / "var/log/journal").mkdir(exist_ok=True)
        begun.rename(tree)
    return tree


def _mirror() -> list[str]:
    """Return the mirror that this machine uses itself; nothing where it names none."""
    for file in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        if file.exists():
            lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
            for word in " ".join(lines).split():
                if word.startswith("http") and "security" not in word:
                    return [word]
    return []
