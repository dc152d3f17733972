"""After an outage of the central store: an export fills in what it missed, and no counter seems to fall."""

import subprocess
import sys

import pytest

from exported_history import CONFIG, DAY, FIRST_DAY, write_days
from prometheus_process import PrometheusProcess
from victoria_metrics import VictoriaMetrics

LABELS = ("job=evenwatt", "instance=gpu-01:9787", "site=paris")
TOKENS_EACH_DAY = 3 * 1_600_000
"""Three busy minutes."""


@pytest.fixture
def exports(tmp_path):
    """What the store had got of the day before the outage, and the export of the two days that it missed."""
    history, config = tmp_path / "history.db", tmp_path / "config.yaml"
    write_days(history, 0, 1, 2)
    config.write_text(CONFIG.format(history=history))
    return [
        exported(config, tmp_path / name, *span)
        for name, span in (
            ("before.om", ("--to", "2026-01-16")),
            ("missed.om", ("--from", "2026-01-17", "--to", "2026-01-18")),
        )
    ]


def exported(config, output, *span):
    """Run the command as the page on fleets has it; return the file."""
    labels = [word for label in LABELS for word in ("--label", label)]
    command = ["export", "--config", config, "--format", "openmetrics", *labels, *span, "--output", output]
    done = subprocess.run(
        [sys.executable, "-m", "evenwatt", *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return output


def judge(ask):
    """The missed days are there, joined to the first one as one series that never fell."""
    at = FIRST_DAY + 3 * DAY
    (rise,) = ask(f"sum(max_over_time(evenwatt_tokens_total[{3 * DAY}s]))", time=at).values()
    (fell,) = ask(f"sum(resets(evenwatt_tokens_total[{3 * DAY}s]))", time=at).values()
    names = ask(f"count by (instance, site) (last_over_time(evenwatt_tokens_total[{3 * DAY}s]))", time=at)

    assert rise == pytest.approx(3 * TOKENS_EACH_DAY)
    assert fell == 0
    assert len(names) == 1


def test_prometheus_takes_the_export_of_what_it_missed(exports, tmp_path):
    """Its blocks are made by promtool, and it shows them after a new start."""
    for file in exports:
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", file, tmp_path / "tsdb"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
    with PrometheusProcess(tmp_path, {}, arguments=["--storage.tsdb.retention.time=10y"]) as prometheus:
        judge(prometheus.values)


def test_victoria_metrics_takes_the_export_of_what_it_missed(exports, tmp_path):
    """It is sent over HTTP while it runs."""
    with VictoriaMetrics(tmp_path, "store", "-retentionPeriod=10y") as store:
        for file in exports:
            sent = store.session.post(
                f"{store.url}/api/v1/import/prometheus", data=file.read_bytes(), timeout=30
            )
            assert sent.status_code == 204
        at = FIRST_DAY + 3 * DAY
        store.wait_for(lambda: store.values("sum(last_over_time(evenwatt_tokens_total[3d]))", time=at), 30)
        judge(store.values)
