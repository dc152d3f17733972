"""The package in a real systemd: installed, watched, killed, reloaded, upgraded, removed, purged."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from documents import ROOT, commands_of, pieces
from engine_process import loopback_session
from systemd_host import KEY

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(600)]

FOLDER = Path(__file__).parent
AGENT_EXPOSURE = 2.0
PROXY_EXPOSURE = 1.5


@pytest.fixture(scope="module")
def installed(machines, package):
    """A machine on which the package was installed; every test leaves the agent running there."""
    host = machines(package.parent)
    host.container.run(f"dpkg -i /opt/packages/{package.name}")
    return host


def page(host):
    """Return the agent's metrics page; empty where nothing answers."""
    try:
        with loopback_session() as session:
            answer = session.get(f"http://127.0.0.1:{host.port}/metrics", timeout=5)
    except requests.RequestException:
        return ""
    return answer.text if answer.status_code == 200 else ""


def metric(host, name, **labels):
    """Return the sum of the samples of a name that have these labels; None where there is none."""
    values = [
        sample.value
        for family in text_string_to_metric_families(page(host))
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(values) if values else None


def wait_for(condition, host, seconds=60.0, *, what=""):
    """Wait for a condition; fail with the agent's journal where it does not come, and return it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.1)
    said = host.container.run("systemctl status evenwatt; journalctl -u evenwatt", check=False).stdout
    raise AssertionError(f"waited for {what}; booked are {output_tokens(host)}\n{said}")


def shown(host, name, unit="evenwatt"):
    """Return a property of a unit."""
    return host.container.says(f"systemctl show --property={name} --value {unit}")


def journal(host, *options):
    """Return the agent's journal."""
    return host.container.says(
        f"journalctl --sync; journalctl -u evenwatt -o cat --no-pager {' '.join(options)}"
    )


def ask(host, requests_count):
    """Have the engine answer; return how many output tokens that took."""
    with loopback_session() as session:
        answers = [
            session.post(
                f"http://127.0.0.1:{host.llama_port}/v1/completions",
                json={"prompt": "the watt hour of a token", "max_tokens": 8},
                headers={"Authorization": f"Bearer {KEY}"},
                timeout=60,
            ).json()
            for _ in range(requests_count)
        ]
    return sum(answer["usage"]["completion_tokens"] for answer in answers)


def output_tokens(host):
    """Return what is booked."""
    return metric(host, "evenwatt_tokens_total", engine="chat", type="output") or 0


def counted(host, requests_count=3):
    """Have the engine answer and wait until exactly that is booked on top; return the new total."""
    wait_for(lambda: page(host), host)  # nothing booked is not the same as nobody there to say it
    before = output_tokens(host)
    expected = before + ask(host, requests_count)
    wait_for(lambda: output_tokens(host) == expected, host, what=f"{expected} tokens, {before} before")
    return expected


def test_the_service_is_started_and_counts(installed):
    """Installed is enough: active, notified, a status line, GPUs and tokens on /metrics, at every boot."""
    assert shown(installed, "ActiveState") == "active"
    assert shown(installed, "Type") == "notify"
    assert installed.container.says("systemctl is-enabled evenwatt") == "enabled"
    assert shown(installed, "StatusText").startswith("2 GPU 150 W ")
    assert metric(installed, "evenwatt_gpu_power_watts") == pytest.approx(150, rel=0.01)
    wait_for(lambda: metric(installed, "evenwatt_engine_up", engine="chat") == 1, installed)
    counted(installed)


def test_units_are_valid_and_have_few_rights(installed, capsys):
    """systemd-analyze has nothing to say against them; the exposure is printed."""
    for unit, most in (("evenwatt", AGENT_EXPOSURE), ("evenwatt-proxy", PROXY_EXPOSURE)):
        verified = installed.container.run(f"systemd-analyze verify {unit}.service 2>&1")
        judged = installed.container.says(f"systemd-analyze security --no-pager {unit}.service | tail -1")
        exposure = float(re.search(r": ([0-9.]+) ", judged)[1])
        with capsys.disabled():
            print(f"\n{unit}.service: exposure {exposure}, at most {most}")

        assert verified.stdout == ""
        assert exposure <= most


def test_it_may_do_what_it_needs_and_nothing_else(installed):
    """Tried by a program in the same unit: devices by number, files, processes of others, sockets."""
    installed.container.write(
        "/etc/systemd/system/evenwatt.service.d/probe.conf",
        "[Service]\nExecStartPre=/bin/sh -c '/usr/bin/python3 /opt/probe.py >/var/lib/evenwatt/probe'\n",
    )
    installed.container.write("/opt/probe.py", (FOLDER / "probe.py").read_text())
    installed.container.run("systemctl daemon-reload && systemctl restart evenwatt")
    found = json.loads(installed.container.says("cat /var/lib/evenwatt/probe"))
    installed.container.run("rm /etc/systemd/system/evenwatt.service.d/probe.conf && systemctl daemon-reload")
    written, read = found.pop("write"), found.pop("read")

    assert found == {
        "user": True,
        "capabilities": "0" * 16,
        # Allowed, but no driver is behind them here.
        "nvidia": ["No such device or address"] * 2,
        "other device": "Operation not permitted",
        "home": "Permission denied",
        "packet socket": "Address family not supported by protocol",
        "sock_diag": "ok",
    }
    assert [path for path, answer in written.items() if answer == "ok"] == ["/var/lib/evenwatt/x", "/tmp/x"]
    allowed = [path for path, answer in read.items() if answer == "ok"]
    assert [path.rpartition("/")[2] for path in allowed] == ["stat", "cgroup", "evenwatt_chat-key"]


def test_nobody_else_reads_the_credential(installed):
    """Neither where it lies nor where it is handed over, also for a member of the agent's group."""
    for path in ("/etc/evenwatt/credentials/chat-key", "/run/credentials/evenwatt.service/evenwatt_chat-key"):
        assert installed.container.says(f"cat {path}") == KEY
        for user in ("nobody", "daemon"):
            assert installed.container.run(f"runuser -u {user} -- cat {path}", check=False).returncode != 0
    assert KEY not in journal(installed)
    assert KEY not in page(installed)


def test_a_stopped_tick_is_ended_and_begun_anew(installed):
    """The watchdog ends a process that no longer ticks, which says where it stood; nothing is lost."""
    before = counted(installed)
    restarts = int(shown(installed, "NRestarts"))
    installed.container.run(f"kill -STOP {shown(installed, 'MainPID')}")
    missed = ask(installed, 2)
    wait_for(lambda: int(shown(installed, "NRestarts")) > restarts, installed)
    wait_for(lambda: output_tokens(installed) == before + missed, installed)

    said = journal(installed)
    assert "Watchdog timeout" in said
    assert "Fatal Python error: Aborted" in said
    assert shown(installed, "ActiveState") == "active"


def test_a_kill_loses_nothing(installed):
    """After SIGKILL the next start goes on where the history stands."""
    before = counted(installed)
    pid = shown(installed, "MainPID")
    installed.container.run(f"kill -KILL {pid}")
    missed = ask(installed, 2)
    wait_for(lambda: shown(installed, "MainPID") not in {"0", pid}, installed)
    wait_for(lambda: output_tokens(installed) == before + missed, installed)


def test_the_kernel_may_take_its_memory(installed):
    """Out of memory it is killed by the kernel, started anew, and loses nothing."""
    before = counted(installed)
    pid = shown(installed, "MainPID")
    with out_of_memory(installed, int(pid)):
        wait_for(lambda: shown(installed, "MainPID") != pid, installed)
    missed = ask(installed, 2)
    wait_for(lambda: output_tokens(installed) == before + missed, installed)


class out_of_memory:  # noqa: N801 -- reads as what it does
    """Gives the agent less memory than it holds: by its unit, or where that is not kept to, from outside."""

    def __init__(self, host, pid):
        self._host, self._pid = host, pid
        controllers = host.container.says("cat /sys/fs/cgroup/cgroup.controllers").split()
        self._outside = None if "memory" in controllers else Path("/sys/fs/cgroup/memory/evenwatt-test")

    def __enter__(self):
        if self._outside is None:
            self._host.container.run("systemctl set-property --runtime evenwatt MemoryMax=1M MemorySwapMax=0")
            return
        self._outside.mkdir()
        (self._outside / "memory.limit_in_bytes").write_text("65536")
        (self._outside / "cgroup.procs").write_text(str(self._host.container.host_pid(self._pid)))

    def __exit__(self, *_):
        if self._outside is None:
            self._host.container.run("systemctl revert evenwatt; systemctl daemon-reload", check=False)
        else:
            assert "oom_kill 0" not in (self._outside / "memory.oom_control").read_text()
            self._outside.rmdir()


def test_reload_keeps_what_was_counted(installed):
    """The same process goes on with the new configuration."""
    before, pid = counted(installed), shown(installed, "MainPID")
    installed.configure(electricity={"price_per_kwh": 0.55})
    installed.container.run("systemctl reload evenwatt")
    wait_for(lambda: metric(installed, "evenwatt_electricity_price_per_kwh") == 0.55, installed)

    assert shown(installed, "MainPID") == pid
    assert output_tokens(installed) == before
    counted(installed)


def test_a_wrong_configuration_is_told_and_not_tried_for_ever(installed):
    """On reload the old one stays; at a start the unit fails with the line, and is not begun again."""
    installed.container.write("/etc/evenwatt/config.yaml", "currncy: EUR\n")
    installed.container.run("systemctl reload evenwatt")
    wait_for(lambda: "did you mean currency" in journal(installed, "-p warning").lower(), installed)
    assert shown(installed, "ActiveState") == "active"

    installed.container.run("systemctl restart evenwatt", check=False)
    time.sleep(6)
    assert shown(installed, "ActiveState") == "failed"
    assert shown(installed, "ExecMainStatus") == "2"
    installed.configure()
    installed.container.run("systemctl restart evenwatt")


def test_levels_come_into_the_journal(installed):
    """A warning is one for journalctl, without its number in the text."""
    installed.configure(
        server={"listen": f"127.0.0.1:{installed.port}"}, history={"path": "/var/lib/evenwatt/b.db"}
    )
    installed.container.run("systemctl reload evenwatt")
    wait_for(lambda: "history.path changed" in journal(installed, "-p warning..warning"), installed)
    installed.configure()
    installed.container.run("systemctl restart evenwatt")

    assert not re.search(r"^<\d>", journal(installed), re.MULTILINE)


def test_counters_of_the_processor_are_read_without_root(installed):
    """The shipped rule gives its group the energy counters of RAPL, and the agent takes them."""
    installed.container.run(
        "mount -t tmpfs none /sys/class && cd /sys/class && mkdir -p zones/intel-rapl:0 powercap"
        " && ln -s ../zones/intel-rapl:0 powercap/intel-rapl:0 && cd zones/intel-rapl:0"
        " && echo package-0 > name && echo 262143328850 > max_energy_range_uj && echo 1000000 > energy_uj"
        " && chmod 400 energy_uj"
    )
    installed.container.run("systemd-tmpfiles --create evenwatt.conf")
    assert installed.container.says("stat -Lc '%a %U %G' /sys/class/powercap/intel-rapl:0/energy_uj") == (
        "440 root evenwatt"
    )
    installed.container.run("systemctl restart evenwatt")

    assert wait_for(lambda: metric(installed, "evenwatt_host_info", source="rapl"), installed) == 1
    installed.container.run("systemctl stop evenwatt; umount -l /sys/class; systemctl start evenwatt")


def test_an_upgrade_keeps_the_history(machines, older_package, package, tmp_path):
    """The new version runs, on what the old one counted; what was stopped is not started."""
    for built in (older_package, package):
        (tmp_path / built.name).write_bytes(built.read_bytes())
    tmp_path.chmod(0o755)
    host = machines(tmp_path)
    host.container.run(f"dpkg -i /opt/packages/{older_package.name}")
    wait_for(lambda: metric(host, "evenwatt_engine_up", engine="chat") == 1, host)
    before, pid = counted(host), shown(host, "MainPID")
    host.container.run(f"dpkg -i /opt/packages/{package.name}")

    wait_for(lambda: output_tokens(host) == before, host)
    assert shown(host, "MainPID") not in {"0", pid}
    assert shown(host, "ActiveState", "evenwatt-proxy") == "inactive"
    counted(host)

    host.container.run(f"systemctl stop evenwatt && dpkg -i /opt/packages/{package.name}")
    assert shown(host, "ActiveState") == "inactive"


def test_removal_leaves_the_history_and_purge_leaves_nothing(machines, package):
    """What was counted is the owner's until he says otherwise."""
    host = machines(package.parent)
    host.container.run(f"dpkg -i /opt/packages/{package.name}")
    wait_for(lambda: metric(host, "evenwatt_engine_up", engine="chat") == 1, host)
    counted(host)
    host.container.run("dpkg -r evenwatt")

    assert page(host) == ""
    assert host.container.run("command -v evenwatt", check=False).returncode != 0
    assert host.container.says("ls /var/lib/evenwatt/history.db /etc/evenwatt/config.yaml")

    host.container.run("dpkg -P evenwatt")
    left = host.container.says(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /opt \\) -prune -o -name '*evenwatt*' -print"
    )
    assert left == ""
    assert host.container.run("getent passwd evenwatt; getent group evenwatt", check=False).stdout == ""


def test_the_service_can_be_installed_without_the_package(machines, package):
    """Out of an environment of its own: installed, running, shown, and gone again, with the history kept."""
    host = machines(package.parent)
    program = "/usr/lib/evenwatt/bin/evenwatt"
    host.container.run(
        f"dpkg-deb -x /opt/packages/{package.name} /srv/x && mv /srv/x/usr/lib/evenwatt /usr/lib"
    )
    refused = host.container.run(f"runuser -u nobody -- {program} service install", check=False)
    assert refused.returncode == 1
    assert "try again with sudo" in refused.stderr

    said = host.container.says(f"{program} service install")
    assert "evenwatt.service runs, and will at each boot" in said
    wait_for(lambda: metric(host, "evenwatt_engine_up", engine="chat") == 1, host)
    counted(host)
    assert host.container.run("systemd-analyze verify --man=no evenwatt.service 2>&1").stdout == ""
    assert "evenwatt.service: active (running), enabled" in host.container.says(f"{program} service status")

    host.container.run(f"{program} service uninstall")
    assert page(host) == ""
    assert "not installed" in host.container.run(f"{program} service status", check=False).stdout
    assert host.container.says("ls /var/lib/evenwatt/history.db /etc/evenwatt/config.yaml")
    assert not host.container.run("ls /etc/systemd/system/evenwatt.service", check=False).stdout


def test_the_proxy_is_a_service_too(installed):
    """Started by whoever wants it: notified, with a state of its own, and counting what the agent counts."""
    before = counted(installed)
    installed.configure(
        proxy=[
            {
                "name": "front",
                "upstream": f"http://127.0.0.1:{installed.llama_port}",
                "listen": f"127.0.0.1:{installed.port + 1}",
                "metrics_listen": f"127.0.0.1:{installed.port + 2}",
            }
        ]
    )
    installed.container.run("systemctl start evenwatt-proxy")
    assert shown(installed, "ActiveState", "evenwatt-proxy") == "active"
    assert shown(installed, "StatusText", "evenwatt-proxy") == "counts before front"
    with loopback_session() as session:
        answer = session.post(
            f"http://127.0.0.1:{installed.port + 1}/v1/completions",
            json={"prompt": "the watt hour", "max_tokens": 4},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=60,
        )
        text = session.get(f"http://127.0.0.1:{installed.port + 2}/metrics", timeout=5).text
    assert re.search(r"^evenwatt_proxy_requests_total{.*} 1", text, re.MULTILINE)
    after = before + answer.json()["usage"]["completion_tokens"]
    wait_for(lambda: output_tokens(installed) == after, installed)

    pid = shown(installed, "MainPID", "evenwatt-proxy")
    installed.container.run(f"kill -KILL {pid}")
    wait_for(lambda: shown(installed, "MainPID", "evenwatt-proxy") not in {"0", pid}, installed)
    installed.container.run("systemctl stop evenwatt-proxy")
    installed.configure()
    assert shown(installed, "Result", "evenwatt-proxy") == "success"


def test_the_documented_installation_is_what_works(machines, package):
    """The commands of docs/service.md as they stand, but for those of an environment: they need a network."""
    host = machines(package.parent)
    host.container.write("/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n', mode=0o755)
    host.container.run("mkdir /root/clone && ln -s /opt/packages /root/clone/dist")
    typed = [
        command.typed
        for piece in pieces()
        if (piece.page, piece.language) == ("docs/service.md", "console")
        for command in commands_of(piece.text)
        if command.typed.startswith(("sudo apt", "evenwatt", "journalctl"))
    ]
    said = [host.container.run(f"cd /root/clone && {command}", check=False) for command in typed]

    assert [command.split()[:2] for command in typed] == [
        ["sudo", "apt"],
        ["evenwatt", "service"],
        ["evenwatt", "doctor"],
        ["journalctl", "-u"],
    ]
    assert said[0].returncode == 0, said[0].stdout + said[0].stderr
    assert "evenwatt.service: active (running), enabled" in said[1].stdout
    assert "llama" in said[2].stdout
    assert "evenwatt.service" in said[3].stdout


def test_another_build_is_the_same_bytes(package, tmp_path):
    """In another folder, with another umask, time zone and language, all that is released is the same."""
    clone = tmp_path / "elsewhere" / "clone"
    for name in said_by_git("ls-files").splitlines():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, clone / name)
    environment = os.environ | {
        "SOURCE_DATE_EPOCH": said_by_git("log", "-1", "--format=%ct"),
        "TZ": "Asia/Tokyo",
        "LC_ALL": "C",
        "HOME": str(tmp_path),
    }
    script = f"umask 077; exec {clone}/scripts/package {sys.prefix}"
    subprocess.run(["bash", "-c", script], check=True, env=environment)

    assert (clone / "dist" / "SHA256SUMS").read_text() == (package.parent / "SHA256SUMS").read_text()


def said_by_git(*words):
    """Return what git says of the project."""
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
