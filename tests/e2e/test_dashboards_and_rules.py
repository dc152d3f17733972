"""Every query of every dashboard and rule, asked of a real Prometheus that has scraped the demo.

What the demo has nothing of, as all is well there, two more agents have: one at which all goes wrong, and
one that serves nobody.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import promql_parser as promql
import pytest
import yaml

from agent_process import AgentProcess
from dashboard_files import DASHBOARDS, queries_of, with_values
from fake_nvml import build_library
from prometheus_process import PrometheusProcess, rules_evaluated_each
from troubled_site import troubled_site, unused_machine

FOLDER = Path(__file__).parents[2] / "dashboards" / "prometheus"
RULE_FILES = {file.name: file.read_text() for file in sorted(FOLDER.glob("*.yaml"))}
QUERIES = [query for name, page in DASHBOARDS.items() for query in queries_of(name, page)]
SCRAPED_SECONDS = 20
"""Enough for every rate and for rules that build on rules."""

DEMO, TROUBLED, UNUSED = "demo", "troubled", "unused"
"""Each agent is a site of its own."""

READY = " and on (site) ".join(
    (
        f'count_over_time(evenwatt_build_info{{site="{DEMO}"}}[5m]) >= {SCRAPED_SECONDS}',
        'count by (site) (evenwatt_cost_per_mtok{engine!="all",model="all",window="24h"}) == 2 * 4',
        "sum by (site) (evenwatt_idle_cost_total) > 0",
        "sum by (site) (increase(evenwatt_requests_total[1m])) > 0",
        "evenwatt:instance_cost_per_mtok:1d",
    )
)
"""Both engines of the demo served something, one of them idled too, and rules have worked on rules."""


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

WHERE_THINGS_GO_WRONG = {"annotations", "GPU energy counters over integrated power"}
"""Panels of which a query may have nothing to show of a machine at which all is well."""


def prepared_rules(folder):
    """Write the shipped rules, with the budget set and alerts that fire at once; return where they are."""
    thresholds = RULE_FILES["thresholds.yaml"]
    with_budget = re.sub(
        r"^( *)# (- record: .*:budget_per_month|  expr: )", r"\1\2", thresholds, flags=re.MULTILINE
    )
    assert with_budget.count("budget_per_month") == thresholds.count("budget_per_month")
    files = []
    for name, text in {**RULE_FILES, "thresholds.yaml": with_budget}.items():
        document = yaml.safe_load(text)
        for rule in rules_in(document):
            rule.pop("for", None)
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False))
        files.append(folder / name)
    return files


def rules_in(document):
    """Yield the rules of a file."""
    for group in document["groups"]:
        yield from group["rules"]


RULES = [rule for text in RULE_FILES.values() for rule in rules_in(yaml.safe_load(text))]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """A Prometheus that has scraped the agents for a while and evaluated all shipped rules."""
    folders = {name: tmp_path_factory.mktemp(name) for name in (DEMO, TROUBLED, UNUSED, "prometheus", "nvml")}
    library = build_library(folders["nvml"])
    with (
        AgentProcess(folders[DEMO], SETTINGS, command="demo", arguments=()) as demo,
        troubled_site(folders[TROUBLED], library, SETTINGS) as troubled,
        unused_machine(folders[UNUSED], library, SETTINGS) as unused,
    ):
        agents = {DEMO: demo, TROUBLED: troubled.agent, UNUSED: unused}
        folder = folders["prometheus"]
        configuration = {
            "global": {"scrape_interval": "1s"},
            "rule_files": rules_evaluated_each(1, prepared_rules(folder), folder),
            "scrape_configs": [
                {
                    "job_name": "evenwatt",
                    "static_configs": [
                        {"targets": [agent.url.removeprefix("http://")], "labels": {"site": site}}
                        for site, agent in agents.items()
                    ],
                }
            ],
        }
        with PrometheusProcess(folder, configuration) as running:
            before = f'evenwatt_tokens_total{{site="{TROUBLED}"}}'
            running.wait_for(lambda: running.query(before), 30)
            troubled.go_wrong()
            running.wait_for(lambda: running.query(READY), 150)
            yield running


@pytest.fixture(scope="module")
def hosts(prometheus):
    """The agents, by their sites."""
    return dict(key for key in prometheus.values("evenwatt_build_info", "site", "instance"))


@pytest.fixture(scope="module")
def chosen(hosts):
    """What a person would have chosen in the drop-downs of a dashboard."""
    return {
        "host": hosts[DEMO],
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
def test_every_query_of_a_dashboard_gives_data(prometheus, chosen, hosts, query):
    """Prometheus takes it as Grafana would ask it, and the labels that name its series are there."""
    site = TROUBLED if query.panel in WHERE_THINGS_GO_WRONG else DEMO
    found = prometheus.query(query.asked({**chosen, "host": hosts[site]}))

    assert found
    for series in found:
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) - {"site"} <= series["metric"].keys()
        assert series["value"][1] != "NaN"
    assert len(found) < 60


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_rule_asks_for_what_is_there(prometheus, rule):
    """Prometheus takes it, and each thing that it selects has data: an alert that is silent is not blind."""
    prometheus.query(rule["expr"])

    for selector in selectors(rule["expr"]):
        assert prometheus.query(without_values(selector)), str(selector)
    if "record" in rule:
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
