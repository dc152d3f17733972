"""The agent's own alerts and the shipped rules for Prometheus agree on the same data, all week long."""

import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from evenwatt.config import Settings
from evenwatt.service.alerts.keeper import thresholds_of
from evenwatt.sinks.metrics import render_metrics
from evenwatt.snapshot.alerts.episodes import advanced, firing_keys
from evenwatt.snapshot.alerts.gaps import RecentGaps
from evenwatt.snapshot.alerts.rules import RULES, Case, observations
from evenwatt.snapshot.alerts.values import ALERTS
from simulated_week import BEGIN, STEP_SECONDS, simulated_week

FOLDER = Path(__file__).parents[2] / "dashboards" / "prometheus"
SHIPPED = (FOLDER / "alerts.yaml").read_text()
ASKED = frozenset(re.findall(r"\bevenwatt_\w+", SHIPPED))
SAMPLE = re.compile(r"^(evenwatt_\w+)(\{.*\})? (\S+)$", re.MULTILINE)
BUDGET = 2_632.0
LABELS = {
    "EvenwattBudgetPace": {"job": "e", "currency": "EUR"},
}
"""Where the rule sums over hosts; all others are of one host."""


def test_every_alert_has_its_twin():
    """The agent and the shipped rules know the same alerts, of the same severity and with the same holds."""
    rules = [rule for group in yaml.safe_load(SHIPPED)["groups"] for rule in group["rules"]]
    usual = thresholds_of(Settings())
    shipped = {
        rule["alert"]: (
            rule["labels"]["severity"],
            seconds_of(rule.get("for", "0s")),
            seconds_of(rule.get("keep_firing_for", "0s")),
        )
        for rule in rules
    }
    own = {
        rule.alert: (rule.severity.value, rule.holds_for(usual), rule.ends_after(usual))
        for rule in RULES.values()
    }

    assert own == shipped
    assert tuple(RULES) == ALERTS


def test_thresholds_are_the_same():
    """What nobody has set is the same number in the shipped thresholds and in the agent."""
    rules = yaml.safe_load((FOLDER / "thresholds.yaml").read_text())["groups"][0]["rules"]
    shipped = {rule["record"].rpartition(":")[2]: float(rule["expr"][len("vector(") : -1]) for rule in rules}
    usual = thresholds_of(Settings())

    assert shipped == {
        "coverage_ratio": usual.minimum_coverage_ratio,
        "hysteresis_ratio": usual.hysteresis_ratio,
        "idle_cost_per_day": usual.idle_cost_per_day,
        "cost_jump_ratio": usual.cost_jump_ratio,
        "gap_seconds": usual.gap_seconds,
        "energy_disagreement_ratio": usual.energy_disagreement_ratio,
    }


@pytest.mark.timeout(900)  # a week is 2,520 evaluations on each side
@pytest.mark.parametrize("window", ["24h", "7d"])
@settings(
    max_examples=1,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.generate],
)
@given(seed=st.integers(0, 10_000))
def test_the_agent_and_prometheus_agree_at_every_evaluation(tmp_path_factory, window, seed):
    """Whatever a week brings, at each of its evaluations the same alerts fire on both sides."""
    folder = tmp_path_factory.mktemp("week")
    series, firing = judged_week(folder, seed, window)

    answer = prometheus_says(folder, window, series, firing)

    fired = Counter(alert for alerts in firing for alert, _ in alerts)
    assert answer.returncode == 0, f"{fired}\n{(answer.stdout + answer.stderr)[:3000]}"
    assert len(fired) > len(RULES) // 3, fired


def judged_week(folder, seed, window):
    """Return each series as Prometheus scrapes it, and the alerts that the agent has firing, step by step."""
    thresholds = replace(thresholds_of(Settings()), window=window, budget_per_month=BUDGET)
    series, firing, episodes, gaps = defaultdict(dict), [], {}, None
    for number, seen in enumerate(simulated_week(folder, seed)):
        gaps = gaps or RecentGaps(seen.source_totals)
        case = Case(
            snapshot=seen,
            thresholds=thresholds,
            firing=firing_keys(episodes),
            gap_seconds=gaps.seconds(seen.source_totals, seen.moment.utc_seconds),
        )
        episodes, _ = advanced(
            episodes, observations(case), now_utc_seconds=seen.moment.utc_seconds, thresholds=thresholds
        )
        firing.append(firing_keys(episodes))
        for name, labels, value in SAMPLE.findall(render_metrics(seen).decode()):
            if name in ASKED:
                series[name, labels][number] = of_the_test_clock(name, value)
    return series, firing


def of_the_test_clock(name, value):
    """Return a value as it would be if the week began when promtool's does, at 1970-01-01."""
    if not name.endswith("_timestamp_seconds"):
        return value
    return repr(float(value) - BEGIN - STEP_SECONDS)


def prometheus_says(folder, window, series, firing):
    """Return what promtool makes of the series, expecting the alerts."""
    # Rules are written for 7d, and a site that wants another window puts it there.
    (folder / "alerts.yaml").write_text(SHIPPED.replace('window="7d"', f'window="{window}"'))
    steps = range(len(firing))
    budget = {"series": "evenwatt:threshold:budget_per_month", "values": f"{BUDGET}x{len(firing)}"}
    inputs = [
        {
            "series": name + host_labels(labels),
            "values": " ".join(scraped(values, number) for number in steps),
        }
        for (name, labels), values in series.items()
    ]
    expected = [
        {
            "expr": 'ALERTS{alertstate="firing"}',
            "eval_time": f"{number * STEP_SECONDS}s",
            "exp_samples": [{"labels": f"ALERTS{labels_of(*alert)}", "value": 1} for alert in firing[number]],
        }
        for number in steps
    ]
    (folder / "week.test.yaml").write_text(
        yaml.dump(
            {
                "rule_files": ["alerts.yaml", str(FOLDER / "thresholds.yaml")],
                "evaluation_interval": f"{STEP_SECONDS}s",
                "group_eval_order": [
                    "evenwatt-thresholds",
                    "evenwatt-verdict",
                    "evenwatt-money",
                    "evenwatt-trust",
                ],
                "tests": [
                    {
                        "interval": f"{STEP_SECONDS}s",
                        "input_series": [*inputs, budget],
                        "promql_expr_test": expected,
                    }
                ],
            },
            Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        )
    )
    command = ["promtool", "test", "rules", str(folder / "week.test.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def scraped(values, number):
    """Return the value of a step; a series that a page no longer has is stale at once."""
    if number in values:
        return values[number].replace("+Inf", "Inf")
    return "stale" if number - 1 in values else "_"


def host_labels(labels):
    """Return labels as Prometheus adds those of the target."""
    inner = labels[1:-1] if labels else ""
    return "{" + ",".join(part for part in ('job="e",instance="a"', inner) if part) + "}"


def labels_of(alert, labels):
    """Return the labels of an alert's ALERTS series."""
    pairs = {
        "alertname": alert,
        "alertstate": "firing",
        "severity": RULES[alert].severity.value,
        **LABELS.get(alert, {"job": "e", "instance": "a"}),
        **dict(labels),
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in pairs.items()) + "}"


def seconds_of(text):
    """Return the seconds of a duration of Prometheus."""
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[text[-1]]
