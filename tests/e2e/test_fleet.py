"""Fifty hosts in a real Prometheus and in real VictoriaMetrics: fleet rules against sums made by hand."""

import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from engine_process import ChildServer, free_port
from fleet_hosts import HOSTS, served_hosts
from prometheus_process import PrometheusProcess, rules_evaluated_each
from victoria_metrics import VictoriaMetrics

RULES = Path(__file__).parents[2] / "dashboards" / "prometheus" / "fleet.yaml"

STANDING_SECONDS = 8
"""How long the hosts are scraped before they go on."""

SETTLING_SECONDS = 15
"""Until rules of rules stand still: what vmalert records can be asked for only some evaluations later."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A Prometheus and a VictoriaMetrics that scraped all hosts, and one that got all by remote write."""
    folder = tmp_path_factory.mktemp("fleet")
    (rules,) = rules_evaluated_each(1, [RULES], folder)
    with ExitStack() as running:
        fleet = running.enter_context(served_hosts())
        (folder / "scrape.yml").write_text(yaml.safe_dump({"scrape_configs": [fleet.scrape_config]}))
        central = running.enter_context(VictoriaMetrics(folder, "central"))
        scraping = running.enter_context(
            VictoriaMetrics(folder, "scraping", f"-promscrape.config={folder / 'scrape.yml'}")
        )
        port = free_port()
        running.enter_context(
            ChildServer(
                [
                    "vmalert",
                    f"-rule={rules}",
                    f"-datasource.url={scraping.url}",
                    f"-remoteWrite.url={scraping.url}",
                    "-remoteWrite.flushInterval=200ms",
                    f"-httpListenAddr=127.0.0.1:{port}",
                ],
                port=port,
                log=folder / "vmalert.log",
            )
        )
        configuration = {
            "rule_files": [rules],
            "scrape_configs": [fleet.scrape_config],
            "remote_write": [
                {
                    "url": f"{central.url}/api/v1/write",
                    "queue_config": {"batch_send_deadline": "1s"},
                    # Sums are worked out where all hosts come together.
                    "write_relabel_configs": [
                        {"source_labels": ["__name__"], "regex": "evenwatt_.*|up", "action": "keep"}
                    ],
                }
            ],
        }
        prometheus = running.enter_context(PrometheusProcess(folder, configuration))
        for store in (prometheus, scraping, central):
            store.wait_for(lambda store=store: len(store.values("evenwatt_build_info", "instance")) == 50, 60)
        time.sleep(STANDING_SECONDS)
        fleet.reading = 1
        for store in (prometheus, scraping, central):
            store.wait_for(
                lambda store=store: (
                    store.values("count(changes(evenwatt_seconds_total[1h]) > 0)") == {(): 50}
                ),
                60,
            )
        scraping.wait_for(lambda: scraping.values("evenwatt:fleet_break_even_ratio:1d"), 120)
        time.sleep(SETTLING_SECONDS)
        yield {"prometheus": prometheus, "victoria-metrics": scraping, "central": central}


def by(key, hosts, value):
    """Return sums over hosts by what they have in common."""
    sums = defaultdict(float)
    for host in hosts:
        sums[key(host)] += value(host)
    return dict(sums)


def ratio(key, hosts, above, below):
    """Return sums over sums, where there is something below."""
    tops, bottoms = by(key, hosts, above), by(key, hosts, below)
    return {name: tops[name] / bottoms[name] for name in tops if bottoms[name]}


def mtok(host):
    """Return the million tokens that a host serves in a minute."""
    return sum(host.tokens.values()) / 1e6


PRICED = [host for host in HOSTS if host.is_priced]
EXPECTED = {
    "evenwatt:instance_cost_per_mtok:1d": (
        ("instance", "currency"),
        ratio(lambda host: (host.instance, host.currency), PRICED, lambda host: host.cost, mtok),
    ),
    "evenwatt:site_cost_per_mtok:1d": (
        ("site", "currency"),
        ratio(lambda host: (host.site, host.currency), PRICED, lambda host: host.cost, mtok),
    ),
    "evenwatt:model_cost_per_mtok:1d": (
        ("site", "currency", "model"),
        ratio(lambda host: (host.site, host.currency, host.model), PRICED, lambda host: host.cost, mtok),
    ),
    "evenwatt:fleet_cost_per_mtok:1d": (
        ("currency",),
        ratio(lambda host: (host.currency,), PRICED, lambda host: host.cost, mtok),
    ),
    "evenwatt:site_break_even_ratio:1d": (
        ("site", "currency", "reference"),
        ratio(
            lambda host: (host.site, host.currency, "flat"),
            PRICED,
            lambda host: host.api_cost,
            lambda host: host.cost,
        ),
    ),
    "evenwatt:fleet_break_even_ratio:1d": (
        ("currency", "reference"),
        ratio(
            lambda host: (host.currency, "flat"), PRICED, lambda host: host.api_cost, lambda host: host.cost
        ),
    ),
}
"""By rule: the labels of its series, and what each comes to."""


@pytest.mark.parametrize("rule", EXPECTED)
def test_fleet_rules_in_victoria_metrics_are_the_sums_by_hand(stores, rule):
    """MetricsQL's increase() is what a counter rose by: every ratio is exact."""
    labels, expected = EXPECTED[rule]

    assert stores["victoria-metrics"].values(rule, *labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rule", EXPECTED)
def test_fleet_rules_in_prometheus_are_the_sums_by_hand(stores, rule):
    """Prometheus' increase() reckons to the edges of the range, a little differently for each host."""
    labels, expected = EXPECTED[rule]

    assert stores["prometheus"].values(rule, *labels) == pytest.approx(expected, rel=0.05)


def test_fleet_sums_in_prometheus_are_those_of_its_own_samples(stores):
    """The rules add up what increase() gives for each series, and nothing is left out or counted twice."""
    prometheus = stores["prometheus"]
    ((_, at),) = prometheus.values("timestamp(evenwatt:fleet_cost_per_mtok:1d{currency='EUR'})").items()
    currencies = {host.instance: host.currency for host in HOSTS}
    raw = prometheus.values("increase(evenwatt_cost_total[1d])", "instance", "component", time=at)
    sums = defaultdict(float)
    for (instance, _), rise in raw.items():
        sums[currencies[instance],] += rise

    recorded = prometheus.values("sum by (currency) (evenwatt:cost:increase1d)", "currency", time=at)

    # A scrape that was under way as the rule looked is in the samples now.
    assert recorded == pytest.approx(dict(sums), rel=0.01)


def test_remote_write_brings_everything_to_the_central_store(stores):
    """Every series that the site's Prometheus scraped is there, with the same value."""
    local, central = (
        stores[name].values(
            '{__name__=~"evenwatt_.*_total"}',
            "__name__",
            "instance",
            "engine",
            "component",
            "type",
            "cache",
            "state",
        )
        for name in ("prometheus", "central")
    )

    assert len(local) > 50 * 10
    assert central == local
