"""Load falls and rises again: who is to be told is told once of each, by every way that alerts go."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from alertmanager_process import AlertmanagerProcess
from counting_engine import Counts
from evenwatt.snapshot.alerts.values import ALERTS
from fake_nvml import build_library
from message_receiver import MessageReceiver
from metered_site import MeteredSite
from prometheus_process import PrometheusProcess, rules_evaluated_each

FOLDER = Path(__file__).parents[2] / "dashboards" / "prometheus"
ALERT = "EvenwattBelowBreakEven"
SECRET = "Zq8vQ2secretW"  # codespell:ignore
VERY_BUSY = Counts(output_tokens=40_000)
"""One currency unit a second is what the machine costs, and what 1,000 tokens cost at the API."""

SETTINGS = {
    "hardware": {"mode": "rented_always_on", "rent_per_hour": 3_600},
    "electricity": {"price_per_kwh": 0.36},
    "references": [{"name": "dear", "input": 1.0, "output": 1_000.0}],
    "sampling": {"tick_seconds": 0.5, "gpu_seconds": 0.2},
}
ALERT_SETTINGS = {
    "hold": "2s",
    "resolve_after": "1s",
    "minimum_coverage": 0,
    "group_wait": "0s",
    "disabled": [alert for alert in ALERTS if alert != ALERT],
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The fake driver."""
    return build_library(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def receiver():
    """The far end of all ways."""
    with MessageReceiver() as running:
        yield running


@pytest.fixture
def site(tmp_path, library):
    """A machine whose engine pays for it, and an agent that is not started yet."""
    with MeteredSite(tmp_path, library, tick_seconds=0.5) as running:
        running.engine.start()
        yield running


def configure(site, notify, **alerts):
    """Give the agent whom to tell."""
    engines = [{"name": "chat", "kind": "vllm", "url": site.engine.url}]
    site.agent.configure(
        {**SETTINGS, "engines": engines, "alerts": {**ALERT_SETTINGS, "notify": notify, **alerts}}
    )


def ratio(site):
    """Return what the API would have cost over what the machine did."""
    return site.agent.metric(
        "evenwatt_break_even_ratio", engine="all", model="all", reference="dear", window="7d"
    )


def firing(site):
    """Return whether the agent says that the alert fires."""
    return site.agent.metric("evenwatt_alert_active", alert=ALERT) == 1


def begin_above_break_even(site):
    """Start the agent, and wait until what was served has paid for the machine."""
    site.agent.start()
    site.agent.wait_until_ready()
    site.agent.wait_until_read_anew("chat")
    site.engine.set_rates(VERY_BUSY)
    site.agent.wait_for(lambda: (ratio(site) or 0) > 1.3, 60)
    site.engine.set_rates(Counts())


def rise_again(site):
    """Serve until what was served pays for the machine again."""
    site.engine.set_rates(VERY_BUSY)
    site.agent.wait_for(lambda: not firing(site), 90)


def shipped_rules(folder):
    """Return rule files with the one alert, which holds for seconds instead of an hour."""
    files = rules_evaluated_each(1, [FOLDER / "alerts.yaml", FOLDER / "thresholds.yaml"], folder)
    for file in map(Path, files):
        document = yaml.safe_load(file.read_text())
        for group in document["groups"]:
            group["rules"] = [rule for rule in group["rules"] if rule.get("alert", ALERT) == ALERT]
            for rule in group["rules"]:
                if "alert" in rule:
                    rule |= {"for": "2s", "keep_firing_for": "1s"}
                elif rule["record"].endswith(":coverage_ratio"):
                    rule["expr"] = "vector(0)"
        document["groups"] = [group for group in document["groups"] if group["rules"]]
        file.write_text(yaml.safe_dump(document, sort_keys=False))
    return files


def routes(receiver):
    """Return a configuration of Alertmanager that tells alerts of Prometheus from the agent's own."""

    def hook(name):
        return {"name": name, "webhook_configs": [{"url": f"{receiver.url}/{name}", "send_resolved": True}]}

    at_once = {"group_by": ["..."], "group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
    return {
        "route": {
            "receiver": "by-agent",
            **at_once,
            "routes": [{"receiver": "by-prometheus", "matchers": ['job="evenwatt"']}],
        },
        "receivers": [hook("by-agent"), hook("by-prometheus")],
    }


@pytest.mark.timeout(400)
def test_load_that_falls_and_rises_is_told_once_each_on_every_way(site, receiver, tmp_path):
    """Agent, Prometheus and Alertmanager; and the agent to apprise, a webhook and Alertmanager by itself."""
    ways = ("/apprise", "/webhook", "/by-agent", "/by-prometheus")
    with AlertmanagerProcess(tmp_path, routes(receiver)) as alertmanager:
        configure(
            site,
            [
                {"name": "phone", "apprise": f"json://{receiver.place}/apprise"},
                {"name": "hook", "webhook": f"{receiver.url}/webhook", "token": SECRET},
                {"name": "team", "alertmanager": alertmanager.url},
            ],
        )
        target = {"targets": [site.agent.url.removeprefix("http://")]}
        configuration = {
            "global": {"scrape_interval": "1s"},
            "rule_files": shipped_rules(tmp_path),
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.place]}]}]},
            "scrape_configs": [{"job_name": "evenwatt", "static_configs": [target]}],
        }
        begin_above_break_even(site)
        with PrometheusProcess(
            tmp_path, configuration, arguments=["--rules.alert.resend-delay=1s"]
        ) as prometheus:
            prometheus.wait_for(lambda: prometheus.query("evenwatt_break_even_ratio > 1"), 30)
            for way in ways:
                receiver.wait_for(way, 1, 120)
            rise_again(site)
            for way in ways:
                receiver.wait_for(way, 2, 90)
            time.sleep(3)

    said = {way: receiver.at(way) for way in ways}
    assert [message["type"] for message in said["/apprise"]] == ["warning", "success"]
    for way in ways[1:]:
        assert [message["status"] for message in said[way]] == ["firing", "resolved"], way
        alerts = [alert for message in said[way] for alert in message["alerts"]]
        assert [alert["labels"]["alertname"] for alert in alerts] == [ALERT, ALERT]
        assert {alert["labels"]["reference"] for alert in alerts} == {"dear"}
    told = said["/apprise"][0]["message"]
    for part in ("dear would have been cheaper over 7d", "a day.", "Since 20", "To do: "):
        assert part in told
    hooks = [message for message in receiver.received if message.path == "/webhook"]
    assert {message.headers["authorization"] for message in hooks} == {f"Bearer {SECRET}"}
    events = [
        subject for kind in ("alert_firing", "alert_resolved") for _, subject in site.history.events(kind)
    ]
    assert events == [ALERT, ALERT]


@pytest.mark.timeout(300)
def test_an_agent_that_is_killed_tells_nothing_twice_and_forgets_nothing(site, receiver):
    """What fires goes on after a kill without a second message, and ends with one."""
    configure(site, [{"name": "phone", "apprise": f"json://{receiver.place}/apprise"}])
    begin_above_break_even(site)
    receiver.wait_for("/apprise", 1, 120)
    site.agent.wait_for(lambda: site.agent.metric("evenwatt_notifier_waiting", notifier="phone") == 0)
    site.agent.kill()
    site.agent.start()
    site.agent.wait_until_ready()
    site.agent.wait_for(lambda: firing(site))
    time.sleep(5)
    before_the_end = len(receiver.at("/apprise"))
    rise_again(site)
    messages = receiver.wait_for("/apprise", 2, 60)

    assert before_the_end == 1
    assert [message["type"] for message in messages] == ["warning", "success"]


@pytest.mark.timeout(300)
def test_dead_notifiers_harm_nothing_and_no_secret_is_told(site, receiver):
    """One is not there, one refuses; the third is told, ticks go on, and nothing shows an address."""
    with MessageReceiver() as refusing:
        refusing.status = 403
        configure(
            site,
            [
                {"name": "gone", "webhook": f"http://someone:{SECRET}@127.0.0.1:1/{SECRET}?key={SECRET}"},
                {"name": "no", "apprise": f"json://someone:{SECRET}@{refusing.place}/{SECRET}"},
                {"name": "forbidden", "webhook": f"{refusing.url}/{SECRET}", "token": SECRET},
                {"name": "phone", "apprise": f"json://{receiver.place}/apprise"},
            ],
        )
        begin_above_break_even(site)
        receiver.wait_for("/apprise", 1, 120)
        down = {"gone", "no", "forbidden"}
        site.agent.wait_for(
            lambda: down == {n["notifier"] for n in site.agent.status()["notifiers"] if n["up"] is False}, 150
        )
        ticked = site.agent.status()["utc_seconds"]
        site.agent.wait_for(lambda: site.agent.status()["utc_seconds"] > ticked + 1)
        shown = evenwatt(site, "alerts", "--all")
        tested = evenwatt(site, "alerts", "test")

    status = json.dumps(site.agent.status())
    assert {n["notifier"]: n["waiting"] for n in site.agent.status()["notifiers"]} == {
        "gone": 1,
        "no": 1,
        "forbidden": 1,
        "phone": 0,
    }
    assert shown.returncode == 0
    assert "FIRING (warning): dear would have been cheaper over 7d" in shown.stdout
    assert tested.returncode == 1
    assert "phone (apprise): sent" in tested.stdout
    assert "forbidden (webhook): failed: HTTP 403" in tested.stdout
    assert [message["title"] for message in receiver.at("/apprise")][1].endswith("test")
    everything = (status, site.agent.log.read_text(), site.agent.metrics_text())
    for text in (*everything, shown.stdout, shown.stderr, tested.stdout, tested.stderr):
        assert SECRET not in text
    assert site.agent.stop() == 0


def evenwatt(site, *arguments):
    """Run a command with the agent's configuration."""
    command = [sys.executable, "-m", "evenwatt", *arguments, "--config", str(site.agent.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
