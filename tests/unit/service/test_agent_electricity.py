"""The running agent on an electricity feed, bands and parts: what it shows, and that nothing waits."""

import json
import time
from contextlib import closing

import pytest

from engine_process import free_port, loopback_session
from evenwatt import clock
from evenwatt.config import load
from evenwatt.errors import SourceError
from evenwatt.service.agent import Agent, Ending
from evenwatt.service.control import Control
from evenwatt.sinks.history import History
from loopback_servers import PageServer
from scripted_sources import ScriptedSource, reading_of

PARTS = """
hardware: {parts: [{name: old server, purchase_price: 9, lifetime_years: 1, purchased: 2001-01-01}]}
references: []
"""


class Site:
    """An agent on one made-up engine, and its configuration."""

    def __init__(self, folder):
        self.port = free_port()
        self.config = folder / "config.yaml"
        self.history = folder / "history.db"

    def configure(self, text):
        """Write the configuration."""
        self.config.write_text(f'server: {{listen: "127.0.0.1:{self.port}"}}\n{text}\n')

    def agent(self):
        """Build an agent."""
        engine = ScriptedSource()
        engine.answer = lambda: reading_of("chat", 100)
        return Agent(
            load(self.config), gpus=None, engines=[engine], history_path=self.history, config_path=self.config
        )

    def get(self, path):
        """Return what the port answers."""
        with loopback_session() as session:
            return session.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)


@pytest.fixture
def site(tmp_path):
    """A site."""
    return Site(tmp_path)


def ended(agent):
    """End an agent in order."""
    control = Control()
    control.stop()
    assert agent.run(control) is Ending.STOPPED


def tick_until(agent, condition):
    """Let ticks go by until something is so."""
    until = time.monotonic() + 30
    while True:
        agent.tick()
        if condition():
            return
        assert time.monotonic() < until


def test_a_feed_is_in_force_shown_and_stored(site):
    """The price of now comes from the feed; the price ends, the feed falls silent, and both are told."""
    minute = int(clock.utc_seconds() // 60 * 60)
    page = {"t": [minute - 600, minute], "p": [410, 320], "end": [minute, minute + 3_600]}
    with PageServer({"/day": (200, {}, json.dumps(page).encode())}) as feed:
        site.configure(
            f"{PARTS}\nelectricity: {{feed: {{url: '{feed.url}/day', start: t, end: end, price: p,"
            " unit: per_mwh, add: 0.01}}"
        )
        agent = site.agent()
        try:
            tick_until(agent, lambda: site.get("/api/v1/status").json()["electricity_price_per_kwh"] == 0.33)
            status = site.get("/api/v1/status").json()
            metrics = site.get("/metrics").text
        finally:
            ended(agent)

    assert status["electricity"] == {"band": None, "is_stale": False, "fees_per_kwh": 0.0}
    assert {source["source"]: source["up"] for source in status["sources"]}["electricity"] is True
    assert [note["text"] for note in status["notes"]] == [
        "old server: written off since 2002-01-01, and its hardware cost is 0 from there on"
    ]
    assert "evenwatt_electricity_price_stale 0.0" in metrics
    assert 'evenwatt_source_up{source="electricity"} 1.0' in metrics
    with closing(History(site.history, currency="USD", simulated=True)) as history:
        assert list(history.electricity_prices().prices_per_kwh) == pytest.approx([0.42, 0.33])


def test_a_feed_that_is_down_at_first_leaves_the_price_unknown(site):
    """Nothing is assumed in place of a price that should come: it is absent and noted, the source down."""
    site.configure(f"{PARTS}\nelectricity: {{feed: {{url: 'http://127.0.0.1:{free_port()}', price: p}}}}")
    agent = site.agent()
    try:
        tick_until(agent, lambda: "cannot be reached" in site.get("/api/v1/status").text)
        status = site.get("/api/v1/status").json()
        metrics = site.get("/metrics").text
    finally:
        ended(agent)

    assert status["electricity_price_per_kwh"] is None
    assert status["cost_per_hour"]["energy"] is None
    assert status["notes"][0]["text"].startswith("no electricity price is known for now")
    assert "evenwatt_electricity_price_per_kwh" not in metrics


def test_a_reload_to_bands_takes_effect_with_the_next_tick(site):
    """A band that holds all day is in force, by name; fees are told apart."""
    site.configure(PARTS)
    agent = site.agent()
    try:
        agent.tick()
        site.configure(
            f"{PARTS}\nother: [{{name: grid fee, per_kwh: 0.05}}]\n"
            "electricity: {prices: [{bands: [{name: all day, price_per_kwh: 0.2}]}]}"
        )
        agent.reload()
        agent.tick()
        status = site.get("/api/v1/status").json()
    finally:
        ended(agent)

    assert status["electricity_price_per_kwh"] == pytest.approx(0.25)
    assert status["electricity"] == {"band": "all day", "is_stale": None, "fees_per_kwh": 0.05}


def test_unknown_holidays_stop_the_start_and_not_the_running_agent(site):
    """A country that nobody knows is refused at a reload, where the old file stays, and at a start."""
    site.configure(PARTS)
    agent = site.agent()
    bands = "[{bands: [{name: a, price_per_kwh: 1}]}]"
    wrong = f"{PARTS}\nelectricity: {{holidays: {{country: XX}}, prices: {bands}}}"
    try:
        agent.tick()
        site.configure(wrong)
        agent.reload()
        agent.tick()
        status = site.get("/api/v1/status").json()
    finally:
        ended(agent)

    assert status["config_reload_ok"] is False
    assert "electricity.holidays: no country 'XX' is known" in status["events"][0]["text"]
    with pytest.raises(SourceError, match="no country 'XX' is known"):
        site.agent()
