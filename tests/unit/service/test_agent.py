"""The running agent, tick by tick: what it shows, what a reload does, and how it ends."""

import os
import shutil
import signal
from contextlib import contextmanager

import pytest
import requests

from captured import CAPTURES
from config_fixtures import settings_of
from engine_process import free_port, loopback_session
from evenwatt.config import load
from evenwatt.errors import EvenwattError, HistoryError
from evenwatt.readings.recording import Recorder, readings_in
from evenwatt.service.agent import Agent, Ending
from evenwatt.service.control import Control
from evenwatt.service.start import demo_agent
from evenwatt.sinks.history import History, writer_pid
from loopback_servers import page_process
from recorded_history import RecordedHistory
from scripted_sources import ScriptedSource, reading_of

WRITTEN = "references: [{name: flat, input: 1, output: 5}]"


class Site:
    """An agent on one made-up engine, and its configuration."""

    def __init__(self, folder):
        self.port = free_port()
        self.config = folder / "config.yaml"
        self.history = folder / "history.db"
        self.engine = ScriptedSource()
        self.tokens = 0
        self.engine.answer = self.count
        self.configure(WRITTEN)

    def configure(self, text):
        """Write the configuration."""
        self.config.write_text(f'server: {{listen: "127.0.0.1:{self.port}"}}\n{text}\n')

    def count(self):
        """Return what the engine says: a hundred tokens more each time."""
        self.tokens += 100
        return reading_of("chat", self.tokens)

    @contextmanager
    def agent(self, **options):
        """Run an agent by hand; it is ended in order."""
        agent = Agent(
            load(self.config),
            gpus=None,
            engines=[self.engine],
            history_path=self.history,
            config_path=self.config,
            **options,
        )
        try:
            yield agent
        finally:
            control = Control()
            control.stop()
            assert agent.run(control) is Ending.STOPPED

    def status(self):
        """Return the status document as the port has it."""
        return status_at(self.port)


def status_at(port):
    """Return the status document of the agent on a port."""
    with loopback_session() as session:
        return session.get(f"http://127.0.0.1:{port}/api/v1/status", timeout=5).json()


@pytest.fixture
def site(tmp_path):
    """A site."""
    return Site(tmp_path)


@pytest.fixture
def vllm_process(tmp_path):
    """A process that is a vLLM server by its command and its page."""
    script = shutil.copy(CAPTURES.parent / "page_process.py", tmp_path / "vllm")
    page = CAPTURES / "vllm" / "single-04-prefix.prom.txt"
    with page_process(page, script=script, arguments=("serve", "org/model")) as (process, _):
        yield process


def kinds(status):
    """Return the kinds of the latest events, newest first."""
    return [event["kind"] for event in status["events"]]


def test_a_tick_is_shown_and_written(site):
    """What an engine counted between two ticks is on the port and in the history."""
    with site.agent() as agent:
        for _ in range(3):
            assert agent.tick() is None
        status = site.status()

        assert agent.address == f"http://127.0.0.1:{site.port}"
        assert agent.history_path == site.history
        assert status["simulated"] is True
        assert status["engines"][0]["models"] == ["small"]
        assert {row["model"]: row["output_tokens"] for row in status["totals"] if row["output_tokens"]} == {
            "small": 200
        }
        assert agent.summary().startswith("SIMULATED  1/1 engines up")

    assert RecordedHistory(site.history).counted("chat")["small"][2] == 300


def test_its_end_takes_a_last_reading_and_lets_all_go(site):
    """After the end the last tokens are written, the engine closed, history and port free."""
    with site.agent() as agent:
        agent.tick()

    assert RecordedHistory(site.history).counted("chat")["small"][2] == 100
    assert site.engine.closed_by == "source chat"
    assert writer_pid(site.history) is None
    with pytest.raises(requests.ConnectionError):
        site.status()


def test_the_next_agent_goes_on(site):
    """Totals are those of the history's life; what was counted in between is booked once."""
    with site.agent() as agent:
        agent.tick()
    site.tokens += 1_000
    with site.agent() as agent:
        agent.tick()

    assert RecordedHistory(site.history).counted("chat")["small"][2] == site.tokens - 100


def test_a_reference_of_the_first_tick_is_compared_with(site):
    """Prices that are written out are in force at once."""
    with site.agent() as agent:
        agent.tick()
        agent.tick()
        rows = {(row["engine"], row["model"]): row for row in site.status()["windows"][0]["rows"]}

    assert [view["reference"] for view in rows["chat", "small"]["references"]] == ["flat"]


def test_a_reload_takes_effect_with_the_next_tick(site):
    """New prices, windows and references hold; tokens so far are compared with the new reference."""
    with site.agent() as agent:
        agent.tick()
        agent.tick()
        site.configure(
            "references: [{name: other, input: 2, output: 10}]\nwindows: [2h]\n"
            "hardware: {mode: rented_always_on, rent_per_hour: 9}"
        )
        agent.reload()
        agent.tick()
        status = site.status()

    rows = {(row["engine"], row["model"]): row for row in status["windows"][0]["rows"]}
    assert status["windows"][0]["window"] == "2h"
    assert status["cost_per_hour"]["hardware"] == pytest.approx(9.0)
    assert status["config_reload_ok"] is True
    assert "config_reloaded" in kinds(status)
    assert [view["reference"] for view in rows["chat", "small"]["references"]] == ["other"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("windows: [24x]", "windows"),
        ("references: {", "config.yaml:"),
        ("currency: EUR\nusd_rate: {rate: 0.5, date: 2026-11-01}", "currency cannot change"),
    ],
)
def test_a_wrong_reload_changes_nothing(site, text, words):
    """The configuration before stays in force, with the reason as an event; a right one puts it right."""
    with site.agent() as agent:
        agent.tick()
        before = site.status()
        site.configure(text)
        agent.reload()
        agent.tick()
        after = site.status()

        assert after["config_reload_ok"] is False
        assert (after["currency"], after["windows"][0]["window"]) == (
            before["currency"],
            before["windows"][0]["window"],
        )
        (refused,) = [event for event in after["events"] if event["kind"] == "config_refused"]
        assert "the old one stays in force" in refused["text"]
        assert words in refused["text"]

        site.configure(WRITTEN)
        agent.reload()
        agent.tick()
        assert site.status()["config_reload_ok"] is True


def test_what_a_reload_cannot_change_is_told(site, caplog):
    """Address, history and the pace of sampling are those of the start until the next one."""
    with site.agent() as agent:
        site.config.write_text("history: {path: /elsewhere/h.db}\nsampling: {gpu_seconds: 2}\n")
        agent.reload()
        agent.tick()

    told = [record.getMessage() for record in caplog.records if "takes effect when" in record.getMessage()]
    assert [text.split()[0] for text in told] == ["server.listen", "history.path", "sampling.gpu_seconds"]


def test_signals_are_obeyed_between_ticks(site):
    """A reload is done and the agent ends, in the order in which it was asked."""
    control = Control()
    ticks = []

    def after_tick(agent):
        ticks.append(agent)
        if len(ticks) == 1:
            site.configure("windows: [3h]")
            control.request(signal.SIGHUP)
        else:
            control.stop()

    agent = Agent(
        load(site.config),
        gpus=None,
        engines=[site.engine],
        history_path=site.history,
        config_path=site.config,
    )
    assert agent.run(control, after_tick=after_tick) is Ending.STOPPED

    assert len(ticks) == 2
    assert len(RecordedHistory(site.history).events("config_reloaded")) == 1


def test_readings_are_recorded_until_that_fails(site, tmp_path):
    """Each reading is kept; a recording that is full is told once, and metering goes on without it."""
    path = tmp_path / "readings.jsonl"
    with site.agent(recorder=Recorder(path, limit_bytes=1_500)) as agent:
        for _ in range(8):
            agent.tick()
        status = site.status()
    kept = [reading.models[0].output_tokens for reading in readings_in(path)]

    assert kept == [100 * number for number in range(1, len(kept) + 1)]
    assert 0 < len(kept) < 8
    assert kinds(status).count("recording_ended") == 1
    assert RecordedHistory(site.history).counted("chat")["small"][2] == 800


def test_a_start_that_fails_leaves_nothing_behind(site):
    """A port in use stops the start; the history is free for the next one."""
    with site.agent():
        other = Site(site.config.parent)
        other.port, other.history = site.port, site.history.with_name("other.db")
        other.configure(WRITTEN)
        with pytest.raises(EvenwattError, match="cannot listen on"), other.agent():
            pytest.fail("two agents on one port")

        assert writer_pid(other.history) is None


def test_made_up_readings_do_not_come_to_measured_ones(site):
    """An agent on simulated readings refuses a history of real ones."""
    History(site.history, currency="USD").close()
    with pytest.raises(HistoryError, match="holds measured readings"), site.agent():
        pytest.fail("simulated readings in a real history")


def test_a_demo_has_a_load(tmp_path):
    """The simulated server says what it can serve, so that a demo shows the whole picture."""
    port = free_port()
    settings = settings_of(
        f'server: {{listen: "127.0.0.1:{port}"}}\nsampling: {{tick_seconds: 0.1}}\n{WRITTEN}'
    )
    control = Control()
    seen = []

    def after_tick(_agent):
        seen.append(status_at(port))
        if len(seen) == 3:
            control.stop()

    with demo_agent(settings, config_path=None, history_path=tmp_path / "demo.db") as agent:
        agent.run(control, after_tick=after_tick)
    engines = {view["engine"]: view for view in seen[-1]["engines"]}
    rows = {(row["engine"], row["model"]): row for row in seen[-1]["windows"][0]["rows"]}

    assert engines["sim-chat"]["capacity"]["tokens_per_second"] == 3_500.0
    assert engines["sim-chat"]["capacity"]["source"] == "simulated"
    assert 0.0 <= rows["sim-chat", "all"]["load_ratio"] <= 1.0
    assert 0.0 <= rows["sim-code", "simulated-code-14b"]["load_ratio"] <= 1.0


def test_a_demo_without_a_name_leaves_nothing(tmp_path, monkeypatch):
    """Its history is gone with it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    settings = settings_of(f'server: {{listen: "127.0.0.1:{free_port()}"}}\n{WRITTEN}')
    control = Control()
    control.stop()
    with demo_agent(settings, config_path=None) as agent:
        path = agent.history_path
        assert path.exists()
        agent.run(control)

    assert not path.exists()
    assert os.getpid() != writer_pid(path)


def test_who_asks_to_stop_as_something_real_is_found_is_obeyed(site, vllm_process):
    """An agent that is to end does not start anew instead."""
    control = Control()
    agent = Agent(
        load(site.config),
        gpus=None,
        engines=[site.engine],
        history_path=site.history,
        looks_for_gpus=True,
        config_path=site.config,
    )

    def answer():
        if agent._roster.found_something_real:
            control.stop()
        return site.count()

    site.engine.answer = answer

    assert agent.run(control) is Ending.STOPPED
    assert control.stopping
