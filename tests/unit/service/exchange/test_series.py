"""Time series with time stamps: the real programs take them in, and no counter seems to fall."""

import signal
import subprocess
import time
from contextlib import closing, contextmanager
from itertools import pairwise

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from engine_process import free_port
from evenwatt.errors import OptionError
from evenwatt.service.exchange.exporting import Export
from evenwatt.sinks.history import History
from evenwatt.sinks.metrics import METRICS
from exported_history import DAY, FIRST_DAY, OWNER, settings_for, write_days, write_kept
from sink_fixtures import idle, served, tick

READY_SECONDS = 30.0
MINUTE = 60
LIVE_LABELS = ("instance=gpu1:9787", "job=evenwatt")


@pytest.fixture
def path(tmp_path):
    """A history of which days, hours and minutes are kept, one after the other."""
    path = tmp_path / "history.db"
    write_kept(path)
    return path


def export(path, **asked):
    """Export time series and return the file."""
    output = path.with_suffix(".om")
    values = {"first": None, "last": None, "finest": None, "table": "usage", "labels": (), "account": None}
    Export(form="openmetrics", **{**values, **asked}).write(settings_for(path), path, output, lambda _: None)
    return output


def samples(path, **asked):
    """Export, parse as the reference parser of OpenMetrics does, and return the samples by series."""
    found = {}
    for family in text_string_to_metric_families(export(path, **asked).read_text()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            found.setdefault(key, []).append((int(float(sample.timestamp)), sample.value))
    return found


def series(found, name, **labels):
    """Return the samples of one series."""
    return found[f"evenwatt_{name}", tuple(sorted(labels.items()))]


def test_counters_stand_where_they_stood(path):
    """At the end of each minute a counter is what was added up by then, and it never falls."""
    found = samples(path)

    tokens = series(found, "tokens_total", engine="chat", model="small", type="output")
    assert tokens[0] == (FIRST_DAY + DAY, 300_000)
    assert tokens[1] == (FIRST_DAY + DAY + 3_600, 400_000)
    assert tokens[-1] == (FIRST_DAY + 2 * DAY + 23 * 3_600 + MINUTE, 900_000)
    for (name, _), points in found.items():
        assert all(a[0] < b[0] for a, b in pairwise(points)), name
        if name.endswith("_total"):
            assert all(a[1] <= b[1] for a, b in pairwise(points)), name


def test_every_series_is_named_as_on_metrics(path):
    """Names, types and labels are those of the page, so that both are one series in the store."""
    by_name = {spec.name: spec for spec in METRICS.values()}
    names = set()
    for family in text_string_to_metric_families(export(path).read_text()):
        for sample in family.samples:
            names.add(sample.name)
            assert set(sample.labels) == set(by_name[sample.name].labels)
        assert family.type == ("counter" if by_name[sample.name].is_counter else "gauge")

    assert names >= {
        f"evenwatt_{name}"
        for name in (
            "tokens_total",
            "energy_joules_total",
            "cost_total",
            "api_cost_total",
            "gpu_energy_joules_total",
            "host_energy_joules_total",
            "seconds_total",
            "money_info",
            "simulated",
        )
    }


def test_a_counter_joins_what_was_scraped(path):
    """From the middle of a life on, a counter goes on from what it was, and ends at most where it is now."""
    found = samples(path, first="2026-01-18")
    with closing(History(path, currency="EUR")) as history:
        totals = history.totals()
    joules = series(found, "energy_joules_total", engine="chat", model="small", state="active")
    output = series(found, "tokens_total", engine="chat", model="small", type="output")
    seconds = series(found, "seconds_total")

    assert output[0] == (FIRST_DAY + 2 * DAY + MINUTE, 700_000)
    assert joules[0][1] == pytest.approx(7 * 6_000.0)
    assert 0 <= totals.usage[OWNER].active_joules - joules[-1][1] < 1e-6
    assert 0 <= totals.host.seconds - seconds[-1][1] < 1e-6


def test_a_counter_that_has_not_risen_yet_is_left_out(tmp_path):
    """What a store has of it is right; a value that differs in its last digit would be a restart to it."""
    path = tmp_path / "history.db"
    write_days(path, 0)
    begin = FIRST_DAY + DAY
    with closing(History(path, currency="EUR")) as history:
        for minute in range(3):
            history.write(tick({(begin + minute * MINUTE, *OWNER): idle()}))
        history.write(tick({(begin + 3 * MINUTE, *OWNER): served()}))
    found = samples(path, first="2026-01-17")

    active = series(found, "energy_joules_total", engine="chat", model="small", state="active")
    assert active == [(begin + 4 * MINUTE, pytest.approx(4 * 6_000.0))]
    idling = series(found, "energy_joules_total", engine="chat", model="small", state="idle_loaded")
    assert [at for at, _ in idling] == [begin + minute * MINUTE for minute in (1, 2, 3)]


def test_names_of_engines_are_hostile(tmp_path):
    """Whatever an engine calls its model comes back as it was."""
    path = tmp_path / "history.db"
    name = 'a"b\\n\n{} 1\nevenwatt_fake 1'
    with closing(History(path, currency="EUR")) as history:
        history.write(tick({(FIRST_DAY, "chat", name): served()}))

    assert series(samples(path), "tokens_total", engine="chat", model=name, type="output")


def test_labels_of_the_store_are_added(path):
    """The series of a scrape have those of the scrape as well."""
    found = samples(path, labels=LIVE_LABELS)

    assert series(found, "seconds_total", instance="gpu1:9787", job="evenwatt")


@pytest.mark.parametrize("label", ["instance", "9lives=1", "=x", "a-b=c"])
def test_a_label_that_is_none_is_told(label):
    """With what is expected."""
    asked = Export(
        form="openmetrics", first=None, last=None, finest=None, table="usage", labels=(label,), account=None
    )
    with pytest.raises(OptionError, match="expected NAME=VALUE, such as instance=gpu1:9787"):
        asked.check(None)


def test_a_label_of_the_metrics_is_not_overwritten():
    """Two series would become one."""
    asked = Export(
        form="openmetrics",
        first=None,
        last=None,
        finest=None,
        table="usage",
        labels=("engine=x",),
        account=None,
    )
    with pytest.raises(OptionError, match="--label: engine is a label of the metrics themselves"):
        asked.check(None)


@contextmanager
def running(command, url):
    """Run a server until its page answers, and to the end of the block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + READY_SECONDS
            while True:
                assert process.poll() is None
                try:
                    if requests.get(url, timeout=5).ok:
                        break
                except requests.ConnectionError:
                    pass
                assert time.monotonic() < until
                time.sleep(0.1)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def asked_for(url, query, at):
    """Return the values that a store has of a query at a moment, by their labels."""
    answer = requests.get(
        f"{url}/api/v1/query", params={"query": query, "time": at, "nocache": "1"}, timeout=30
    ).json()
    return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in answer["data"]["result"]}


END = FIRST_DAY + 3 * DAY
"""After the last minute of the history."""


def test_prometheus_takes_it(path, tmp_path):
    """Promtool makes blocks of it, and a real Prometheus answers from them with the labels of the scrape."""
    blocks = tmp_path / "blocks"
    made = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", export(path, labels=LIVE_LABELS), blocks],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    config = tmp_path / "prometheus.yml"
    config.write_text("")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={blocks}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with running(command, f"{url}/-/ready"):
        last = asked_for(url, "last_over_time(evenwatt_seconds_total[1d])", END)
        risen = asked_for(url, "max_over_time(evenwatt_tokens_total{type='output'}[1d])", END)

    ((labels, seconds),) = last.items()
    assert labels[1:] == (("instance", "gpu1:9787"), ("job", "evenwatt"))
    assert seconds == pytest.approx(27 * 60)
    assert list(risen.values()) == [900_000]


def test_victoriametrics_takes_it(path, tmp_path):
    """Its import of Prometheus text knows seconds, and answers the same."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "victoria-metrics",
        f"-storageDataPath={tmp_path / 'store'}",
        f"-httpListenAddr={url.removeprefix('http://')}",
        "-retentionPeriod=100y",
    ]
    with running(command, f"{url}/health"):
        with export(path, labels=LIVE_LABELS).open("rb") as file:
            sent = requests.post(f"{url}/api/v1/import/prometheus", data=file, timeout=30)
        assert sent.status_code == requests.codes.no_content
        requests.get(f"{url}/internal/force_flush", timeout=30)
        risen = asked_for(url, "max_over_time(evenwatt_tokens_total{type='output'}[1d])", END)
        last = asked_for(url, "last_over_time(evenwatt_seconds_total[1d])", END)

    assert list(risen.values()) == [900_000]
    assert list(last.values()) == [pytest.approx(27 * 60)]
