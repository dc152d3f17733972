"""The shipped rules: promtool accepts them, their tests pass, and they ask for exported metrics only."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from evenwatt.sinks.metrics import METRICS

FOLDER = Path(__file__).parents[2] / "dashboards" / "prometheus"
RULES = sorted(FOLDER.glob("*.yaml"))
TESTS = sorted((FOLDER / "tests").glob("*.yaml"))
RUNBOOK = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
ALERTS = [
    rule["alert"]
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]


def promtool(*arguments):
    """Run promtool and return what it came to."""
    command = ["promtool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_promtool_accepts_every_file():
    """Each rule parses."""
    answer = promtool("check", "rules", *RULES)

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_rules_do_what_their_tests_say(file):
    """Each alert fires, does not fire and resolves where it should."""
    answer = promtool("test", "rules", file)

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_rules_ask_for_exported_metrics_only(file):
    """A metric that was renamed would make an alert silent for ever."""
    asked = set(re.findall(r"\bevenwatt_\w+", "\n".join(_expressions(file))))

    assert asked <= {spec.name for spec in METRICS.values()}


ONLY_WHERE_SOMETHING_IS_AMISS = {"evenwatt_assumed_info", "evenwatt_api_price_pending"}


def test_the_test_of_what_is_well_knows_all_that_alerts_go_by():
    """A new rule is tried at a start, while an agent is gone, and after its counters began anew."""
    asked = set(re.findall(r"\bevenwatt_\w+", "\n".join(_expressions(FOLDER / "alerts.yaml"))))
    given = set(re.findall(r"\bevenwatt_\w+", (FOLDER / "tests" / "alerts-quiet.test.yaml").read_text()))

    assert given == asked - ONLY_WHERE_SOMETHING_IS_AMISS


def _expressions(file):
    groups = yaml.safe_load(file.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_runbook_and_tests_of_both_kinds(alert):
    """It is documented; there is a moment in the tests at which it fires, and one at which it does not."""
    cases = [
        case
        for file in TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert
    ]

    assert f"\n### {alert}\n" in RUNBOOK
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}
