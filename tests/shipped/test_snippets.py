"""Every piece of code in the documents is run as it stands, in a machine made for it.

What it is, its language says; a language that nobody knows here fails, and so does a program that is not
listed here.

The machine is a folder: an agent that meters a fake NVIDIA driver and a counting engine, with a history of
October and November 2026 and a person to tell alerts, and a real VictoriaMetrics. Folders of the system, and
what listens on usual ports, are looked up in it (`Sandbox.placed`); all else is typed as the page has it.
"""

import importlib.metadata
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import duckdb
import pytest
import yaml

from agent_process import AgentProcess
from documents import ROOT, commands_of, inline_commands, pieces
from engine_process import free_port
from evenwatt.config import Settings, parse_settings, section
from evenwatt.config.places import SYSTEM_CONFIG
from evenwatt.ledger import ClientUse
from evenwatt.sinks.history import History
from fake_machine import Machine
from message_receiver import MessageReceiver
from sink_fixtures import BOOK, served, tick
from victoria_metrics import VictoriaMetrics

pytest_plugins = ["machine_fixtures"]
pytestmark = pytest.mark.timeout(120)

PIECES = list(pieces())
MINUTES = (1_790_845_200, 1_792_054_800, 1_795_168_800)
"""On 2026-10-01 and 2026-10-15 at 09:00 UTC, and on 2026-11-20 at 10:00."""

PROMETHEUS = {"scrape_configs", "rule_files", "remote_write"}
COMMAND_SECONDS = 60

ANOTHER_MACHINE = {
    "apt": r"install \S*/dist/evenwatt_\S*\.deb",
    "journalctl": r"-u evenwatt( -p warning)?",
    "/opt/evenwatt/bin/evenwatt": "service install",
    "/opt/evenwatt/bin/pip": r"install \S*dist/evenwatt-\S*\.whl",
    "podman": (
        r"build -f packaging/container/Containerfile -t evenwatt \."
        r"|run --network host --pid host --device nvidia.com/gpu=all -v \S+ evenwatt"
    ),
    "python3": r"-m venv \S*/opt/evenwatt",
    "systemctl": (
        r"daemon-reload|(enable --now|disable --now|reload|restart) (evenwatt(-proxy)?|ollama|grafana-server)"
    ),
}
"""Programs that would change this machine, or need one with systemd, or with a container engine and a GPU.

Here they take only what stands behind them. What becomes of it is tried in a real systemd, by tests/systemd;
Grafana's restart and podman with a GPU are tried nowhere.
"""

TOOLS = ("curl", "date", "install", "promtool", "rm", "timeout", "uname")
"""Programs of this machine that commands may run, in folders of the sandbox; no others are found there."""

LASTING = ("evenwatt run", "evenwatt demo", "evenwatt proxy")
"""Commands that go on until they are told to end, which they are here after some seconds."""

ASKING = {"evenwatt reprice": "--yes"}
"""Commands that ask at a terminal, with what answers them where there is none."""

MAY_FIND_FAULTS = {
    "evenwatt doctor": "this machine is no server: it says what is missing",
    "sudo evenwatt doctor": "as above",
    "evenwatt service status": "no service is installed here, and there may be no systemd",
}
"""Commands whose exit status may be 1: a finding, not a failure."""


def of(*languages):
    """Return the pieces in some languages, each as a parameter."""
    return [
        pytest.param(piece, id=f"{piece.page}:{piece.line}")
        for piece in PIECES
        if piece.language in languages
    ]


def keys_of(piece):
    """Return the keys of a piece of YAML at its top."""
    return set(yaml.safe_load(piece.text))


class Sandbox:
    """A machine that commands of the documents are typed on.

    Args:
        folder: All that is in it.
        agent: The one that runs there.
        victoria: Address of a VictoriaMetrics.
    """

    def __init__(self, folder, agent, victoria, environment):
        self.folder, self.programs = folder, folder / "bin"
        self._agent, self._victoria = agent, victoria
        self.home = folder / "home"
        configuration = self.home / ".config" / "evenwatt"
        configuration.mkdir(parents=True)
        (configuration / "config.yaml").symlink_to(agent.config)
        # What a service installs is for another machine, whoever types it.
        evenwatt = f'PATH="{os.environ["PATH"]}" exec "{sys.executable}" -m evenwatt "$@"'
        self._program("evenwatt", f'[ "$1 $2" != "service install" ] && {evenwatt}')
        self._program("sudo", 'exec "$@"')
        self._program("make", f'exec {shutil.which("make")} --dry-run --directory="{ROOT}" "$@" >/dev/null')
        for tool in TOOLS:
            (self.programs / tool).symlink_to(shutil.which(tool))
        for path, known in ANOTHER_MACHINE.items():
            refusal = f"{path} $*: see ANOTHER_MACHINE in {Path(__file__).name}"
            self._program(
                path, f"known='^({known})$'\n[[ $* =~ $known ]] || {{ echo \"{refusal}\" >&2; exit 99; }}"
            )
        self._environment = {
            **os.environ,
            **environment,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "PATH": str(self.programs),
            "COLUMNS": "200",
        }

    def _program(self, name, text):
        path = self.folder / name.removeprefix("/") if name.startswith("/") else self.programs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def placed(self, typed):
        """Return a command with the places of this machine in it."""
        for folder in ("etc", "mnt", "opt", "var"):
            typed = re.sub(rf"(?<=[ =>\"'])/{folder}/", f"{self.folder}/{folder}/", typed)
        typed = typed.replace("http://victoria:8428", self._victoria)
        typed = re.sub(r"127\.0\.0\.1:1143\d", lambda _: f"127.0.0.1:{free_port()}", typed)
        typed = re.sub(r"\bPID\b", str(self._agent.pid), typed)
        for command, option in (
            *ASKING.items(),
            ("evenwatt proxy", f"--metrics-listen 127.0.0.1:{free_port()}"),
        ):
            typed = typed.replace(f"{command} ", f"{command} {option} ")
        if typed.startswith(LASTING):
            return f"timeout --preserve-status --signal=TERM 4 {typed}"
        return typed

    def working_folder(self, name):
        """Return a folder as a person is in: a clone, with files that other steps left there."""
        folder = self.folder / "work" / name
        folder.mkdir(parents=True)
        for shown in ("dashboards", "config.example.yaml"):
            (folder / shown).symlink_to(ROOT / shown)
        for unit in (ROOT / "systemd").iterdir():
            shutil.copy(unit, folder)
        (folder / "dist").mkdir()
        for built in ("evenwatt_1_amd64.deb", "evenwatt-1-py3-none-any.whl"):
            (folder / "dist" / built).touch()
        (folder / ".venv").symlink_to(sys.prefix)
        for file in self._files:
            shutil.copy(file, folder)
        return folder

    @cached_property
    def _files(self):
        """What `evenwatt import` takes, as evenwatt writes it."""
        self.done("evenwatt export --format jsonl --output all.jsonl", self.folder)
        self.done("evenwatt backup old-history.db", self.folder)
        return self.folder / "all.jsonl", self.folder / "old-history.db"

    def done(self, typed, folder):
        """Run a command and return what it said; fail where it failed, or told of a fault in itself."""
        command = typed.partition("  #")[0].strip()
        done = self._run(typed, folder)
        said = f"{typed}\n{done.stdout}{done.stderr}"

        assert done.returncode in ({0, 1} if command in MAY_FIND_FAULTS else {0}), said
        assert "Traceback" not in done.stderr, said
        return done.stdout

    def _run(self, typed, folder):
        return subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", self.placed(typed)],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )


def write_history(path):
    """Write minutes of October and November, with a client."""
    with closing(History(path, currency="EUR")) as history:
        for at in MINUTES:
            clients = {
                (at, "chat", "model-0", "team-a"): ClientUse(output_tokens=60_000, requests_completed=2)
            }
            history.write(
                tick({(at, "chat", "model-0"): served(requests_completed=3)}, book=BOOK, clients=clients)
            )


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory, nvml_library):
    """The machine, at work."""
    if SYSTEM_CONFIG.exists():
        pytest.fail(f"commands here would take {SYSTEM_CONFIG} of this machine; move it away for this test")
    folder = tmp_path_factory.mktemp("sandbox")
    for place in ("mnt/backup", "var/lib/prometheus", "var/lib/evenwatt/proxy", "etc/systemd/system"):
        (folder / place).mkdir(parents=True)
    machine = Machine(folder, nvml_library)
    machine.draw(150.0, 50.0)
    with ExitStack() as running:
        receiver = running.enter_context(MessageReceiver())
        engine = running.enter_context(machine.busy_engine())
        agent = machine.agent(
            {"chat": engine},
            currency="EUR",
            usd_rate={"rate": 0.92, "date": "2026-11-01"},
            alerts={"notify": [{"name": "team", "webhook": f"{receiver.url}/hook"}]},
        )
        write_history(agent.history)
        victoria = running.enter_context(VictoriaMetrics(folder, "victoria"))
        running.enter_context(agent)
        yield Sandbox(folder, agent, victoria.url, machine.environment)


@contextmanager
def demo(folder):
    """A demo with prices in EUR, as the README has it, after some ticks where it is ten in the morning."""
    east = (10 - datetime.now(UTC).hour + 11) % 24 - 11
    settings = {
        "timezone": f"Etc/GMT{-east:+d}",
        "currency": "EUR",
        "usd_rate": {"rate": 0.92, "date": "2026-11-01"},
        "references": ["anthropic:claude-haiku-4-5", "openai:gpt-4o-mini"],
    }
    agent = AgentProcess(folder, settings, command="demo", arguments=())
    with agent:
        for engine in ("sim-chat", "sim-code"):
            agent.wait_for(lambda engine=engine: agent.metric("evenwatt_break_even_ratio", engine=engine))
        yield agent


def shape(text):
    """Return the words of a text by lines without rules, any number or length of time as one sign."""
    lines = (re.sub(r"(?<![\w-])\d+(\.\d+)?( s\b| min\b)?", "#", line) for line in text.splitlines())
    return [" ".join(line.split()) for line in lines if line.strip(" ─")]


WAYS = {
    "console": "test_commands_of_a_page_do_what_it_says",
    "duckdb": "test_duckdb_takes_what_is_typed_into_it",
    "ini": "test_systemd_knows_settings_of_units",
    "nginx": "test_nginx_takes_its_locations",
    "sql": "test_the_history_answers_queries",
    "text": "test_what_is_no_code_has_no_command_in_it",
    "yaml": "test_yaml_is_taken_by_the_agent_or_by_prometheus",
}
"""What tries the pieces in each language."""


@pytest.mark.parametrize("piece", [pytest.param(piece, id=f"{piece.page}:{piece.line}") for piece in PIECES])
def test_every_piece_can_be_tried(piece):
    """None has a language, or no language at all, that no test here knows."""
    assert WAYS[piece.language] in globals()


@pytest.mark.parametrize("page", sorted({piece.page for piece in PIECES if piece.language == "console"}))
def test_commands_of_a_page_do_what_it_says(page, sandbox):
    """All commands of a page one after another, as somebody types who follows it."""
    folder = sandbox.working_folder(page.replace("/", "-"))
    for piece in (piece for piece in PIECES if (piece.page, piece.language) == (page, "console")):
        for typed, output in commands_of(piece.text):
            if not output:
                sandbox.done(typed, folder)
            else:
                assert (page, typed) in SHOWN, f"{page}:{piece.line} shows an output that no test compares"


SHOWN = {("README.md", "evenwatt status"): "test_the_readme_shows_what_status_says"}
"""Commands whose output a page shows, with the test that compares it."""


def test_the_readme_shows_what_status_says(sandbox, tmp_path):
    """Its lines are there, in this order, but for the numbers."""
    (shown,) = [
        output
        for piece in PIECES
        if (piece.page, piece.language) == ("README.md", "console")
        for typed, output in commands_of(piece.text)
        if typed == "evenwatt status"
    ]
    with demo(tmp_path) as agent:
        said = sandbox.done(f"evenwatt status --config {agent.config}", tmp_path)

    lines = iter(shape(said))
    assert all(line in lines for line in shape(shown)), said


@pytest.mark.parametrize("command", inline_commands())
def test_commands_in_the_prose_do_something(command, sandbox):
    """Each that is whole: with its options, and nothing in capitals to put one's own in place of."""
    sandbox.done(command, sandbox.working_folder(re.sub(r"\W+", "-", command)))


@pytest.mark.parametrize("piece", of("yaml"))
def test_yaml_is_taken_by_the_agent_or_by_prometheus(piece, tmp_path, monkeypatch):
    """Each piece of configuration passes by itself the check that a whole file does."""
    if keys_of(piece) <= PROMETHEUS:
        check_by_promtool(piece.text, tmp_path)
        return
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in re.findall(r"credential:([\w-]+)", piece.text):
        (tmp_path / name).write_text("ntfy://secret")  # which is a key as well as an address

    settings = parse_settings(piece.text.encode(), f"{piece.page}:{piece.line}")

    assert settings.written == keys_of(piece) <= set(section.keys_of(Settings))


def check_by_promtool(text, folder):
    """Have Prometheus check a configuration, with our rules where it loads them and files that it names."""
    rules = ROOT / "dashboards" / "prometheus"
    text = text.replace("/etc/prometheus/evenwatt/", f"{rules}/")
    for name in re.findall(r"/etc/prometheus/([\w.-]+)", text):
        (folder / name).write_text("secret")
    (folder / "prometheus.yml").write_text(text.replace("/etc/prometheus", str(folder)))
    said = subprocess.run(
        ["promtool", "check", "config", folder / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A history with something in it."""
    path = tmp_path_factory.mktemp("history") / "history.db"
    write_history(path)
    return path


@pytest.mark.parametrize("piece", of("sql"))
def test_the_history_answers_queries(piece, history):
    """In SQLite, whatever is in it; tests/shipped/test_history_page.py holds the answers of a page's own."""
    with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as database:
        assert database.execute(piece.text).description


@pytest.mark.parametrize("piece", of("duckdb"))
def test_duckdb_takes_what_is_typed_into_it(piece, history, monkeypatch):
    """Its extension comes from where it is installed, not from the network."""
    files = importlib.metadata.files("duckdb-extension-sqlite-scanner")
    (extension,) = [file.locate() for file in files if file.suffix == ".duckdb_extension"]
    monkeypatch.chdir(history.parent)
    text = piece.text.replace("INSTALL sqlite; LOAD sqlite;", f"LOAD '{extension}';")

    assert duckdb.connect().execute(text).fetchall()


@pytest.mark.parametrize("piece", of("nginx"))
def test_nginx_takes_its_locations(piece, tmp_path):
    """In a server of its own."""
    server = f"server {{ listen 127.0.0.1:{free_port()}; {piece.text} }}"
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}} http {{ access_log off; {server} }}"
    )
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    said = subprocess.run(
        [nginx, "-t", "-q", "-p", tmp_path, "-c", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("piece", of("ini"))
def test_systemd_knows_settings_of_units(piece, tmp_path):
    """As a drop-in of a service; `systemd-analyze verify` warns of what it does not know."""
    (tmp_path / "piece.service").write_text(f"[Service]\nExecStart=/bin/true\n{piece.text}")
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "piece.service"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@pytest.mark.parametrize("piece", of("text"))
def test_what_is_no_code_has_no_command_in_it(piece):
    """A formula, a drawing: nothing that somebody could type."""
    words = {words[0] for line in piece.text.splitlines() if (words := shlex.split(line, posix=False))}

    assert not words & {"$", "#", "sudo", "evenwatt", "make", "curl"}
