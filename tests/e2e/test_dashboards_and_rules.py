"""Every query of every dashboard and rule, asked of a real Prometheus that has scraped the demo."""

import re
from datetime import UTC, datetime
from pathlib import Path

import promql_parser as promql
import pytest
import yaml

from agent_process import AgentProcess
from dashboard_files import DASHBOARDS, queries_of, with_values
from prometheus_process import PrometheusProcess, rules_evaluated_each

FOLDER = Path(__file__).parents[2] / "dashboards" / "prometheus"
RULE_FILES = sorted(FOLDER.glob("*.yaml"))
QUERIES = [query for name, page in DASHBOARDS.items() for query in queries_of(name, page)]
RULES = [
    rule
    for file in RULE_FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]

SCRAPED_SECONDS = 20
"""Enough for every rate and for rules that build on rules."""

READY = " and on (instance) ".join(
    (
        f"count_over_time(evenwatt_build_info[5m]) >= {SCRAPED_SECONDS}",
        'count by (instance) (evenwatt_cost_per_mtok{engine!="all",model="all",window="24h"}) == 2 * 4',
        "sum by (instance) (evenwatt_idle_cost_total) > 0",
        "sum by (instance) (increase(evenwatt_requests_total[1m])) > 0",
        "evenwatt:instance_cost_per_mtok:1d",
    )
)
"""Both engines served something, one of them idled too, and rules have worked on rules."""


def early_morning() -> str:
    """Return a time zone in which it is past six: people of the demo wake up, and it idles in between."""
    hours_ahead = 6 - datetime.now(UTC).hour
    if hours_ahead < -12:
        hours_ahead += 24
    return f"Etc/GMT{-hours_ahead:+d}"


SETTINGS = {
    "currency": "EUR",
    "timezone": early_morning(),
    "usd_rate": {"rate": 0.92, "date": "2026-11-01"},
    "hardware": {"purchase_price": 2800, "lifetime_years": 3},
    "labour": {"hours_per_month": 2, "rate_per_hour": 60},
    "sampling": {"tick_seconds": 0.5, "gpu_seconds": 0.2},
}

NOT_IN_A_DEMO = {
    "evenwatt_gpu_energy_counter_power_ratio": "known once a GPU with a counter was busy for minutes",
    "evenwatt_electricity_price_stale": "there where electricity comes from a feed",
    "evenwatt_api_price_pending": "there while a changed catalogue price waits",
    "evenwatt:unused_instance_cost:increase1d": "there where a host of several served nothing",
    "evenwatt:threshold:budget_per_month": "there is no budget until somebody writes one",
}
"""Names that a healthy demo has nothing of, and why."""

NOT_WHILE_ALL_IS_WELL = {"annotations", "GPU energy counters over integrated power"}
"""Panels of which a query may give nothing: there was no event, or nothing to compare."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """A Prometheus that has scraped the demo for a while and evaluated all shipped rules."""
    folder = tmp_path_factory.mktemp("demo")
    agent = AgentProcess(folder, SETTINGS, command="demo", arguments=())
    with agent:
        configuration = {
            "global": {"scrape_interval": "1s"},
            "rule_files": rules_evaluated_each(1, RULE_FILES, folder),
            "scrape_configs": [
                {
                    "job_name": "evenwatt",
                    "static_configs": [
                        {"targets": [agent.url.removeprefix("http://")], "labels": {"site": "lab"}}
                    ],
                }
            ],
        }
        with PrometheusProcess(folder, configuration) as running:
            running.wait_for(lambda: running.query(READY), 150)
            yield running


@pytest.fixture(scope="module")
def chosen(prometheus):
    """What a person would have chosen in the drop-downs of a dashboard."""
    ((host,),) = prometheus.values("evenwatt_build_info", "instance")
    return {
        "host": host,
        "currency": "EUR",
        "window": "24h",
        "engine": "sim-code",
        "__range": "30s",
        "__rate_interval": "5s",
    }


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_drop_down_has_something_to_choose(prometheus, chosen, name):
    """Each variable asks for the values of a label that are there."""
    for variable in DASHBOARDS[name]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        expression, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()
        asked = with_values(expression, chosen)
        found = prometheus.answer(f"label/{label}/values", **{"match[]": asked})

        assert found, variable["name"]
        assert variable["name"] not in chosen or chosen[variable["name"]] in found


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_query_of_a_dashboard_gives_data(prometheus, chosen, query):
    """Prometheus takes it as Grafana would ask it, and the labels that name its series are there."""
    found = prometheus.query(query.asked(chosen))

    assert found or query.panel in NOT_WHILE_ALL_IS_WELL
    for series in found:
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) - {"site"} <= series["metric"].keys()
        assert series["value"][1] != "NaN"
    assert len(found) < 60


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_rule_asks_for_what_is_there(prometheus, rule):
    """Prometheus takes it, and each thing that it selects has data: an alert that is silent is not blind."""
    prometheus.query(rule["expr"])

    for selector in selectors(rule["expr"]):
        if selector.name not in NOT_IN_A_DEMO:
            assert prometheus.query(without_values(selector)), str(selector)
    if "record" in rule and rule["record"] not in NOT_IN_A_DEMO:
        assert prometheus.query(rule["record"]), rule["record"]


def without_values(selector):
    """Return a selector that asks for the labels of another one, whatever their values are.

    A state such as `idle_empty` need not have been; what matters is that the metric has such a label.
    """
    labels = [matcher.name for matcher in selector.matchers.matchers]
    return selector.name + "{" + ",".join(f'{label}!=""' for label in labels) + "}"


def selectors(expression):
    """Return everything that an expression selects."""
    found = []

    def visit(node):
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        return True

    promql.walk(promql.parse(expression), visit)
    return found
