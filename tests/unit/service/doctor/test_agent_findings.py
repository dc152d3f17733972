"""What the running agent's status comes to, link by link."""

import json

import pytest
from msgspec.structs import replace

from evenwatt.service.doctor.agent import agent_findings
from evenwatt.sinks.status import render_status
from evenwatt.snapshot import HistoryHealth, Scrape
from evenwatt.snapshot.checks import Health
from sink_fixtures import engine_view, gpu, snapshot


def found(**values):
    """Return the findings of a snapshot, by link."""
    return {f.link: f for f in agent_findings(json.loads(render_status(snapshot(**values))))}


def test_sound_chain_has_nothing_to_mend():
    """An agent that counts tokens, meters its GPU and is scraped gets no advice."""
    now = snapshot().moment.utc_seconds
    links = found(last_scrape=Scrape(utc_seconds=now - 15, user_agent="Prometheus/3.5"))

    assert {finding.health for finding in links.values()} == {Health.GOOD}
    assert links["prometheus"].text == "/metrics was last read 15 s ago by Prometheus/3.5"
    assert "1,600,000 tokens" in links["engine chat"].text


def test_engine_without_tokens_is_weak():
    """An engine that is up and has counted nothing yet is not proven."""
    finding = found(rows={})["engine chat"]

    assert finding.health is Health.WEAK
    assert "no token counted yet" in finding.text
    assert finding.mend is not None


def test_engine_that_is_down_says_why():
    """The source's own words say what to do."""
    source = replace(snapshot().sources[0], source="chat", up=False, error="start it with --metrics")
    finding = found(engines=(engine_view(up=False),), sources=(source,))["engine chat"]

    assert finding.health is Health.BROKEN
    assert finding.text == "start it with --metrics"


@pytest.mark.parametrize(
    ("values", "link", "health"),
    [
        ({"gpus": ()}, "driver", Health.WEAK),
        ({"gpus": (), "gpus_released": True}, "driver", Health.BROKEN),
        ({"gpus": (gpu(fault="lost"),)}, "GPU 0", Health.BROKEN),
        ({"counter_power_ratios": {gpu().uuid: 1.7}}, "GPU 0", Health.WEAK),
        ({"engines": ()}, "engines", Health.BROKEN),
        ({"simulated": True}, "agent", Health.WEAK),
        ({"config_reload_ok": False}, "configuration", Health.BROKEN),
        ({"history": HistoryHealth(path="/h.db", up=False, error="disk full")}, "history", Health.BROKEN),
        ({"last_scrape": None}, "prometheus", Health.WEAK),
        ({"last_scrape": Scrape(utc_seconds=0.0, user_agent="Prometheus")}, "prometheus", Health.WEAK),
    ],
)
def test_each_fault_is_found_on_its_link(values, link, health):
    """What is wrong is told where it is wrong, and how bad that is."""
    assert found(**values)[link].health is health
