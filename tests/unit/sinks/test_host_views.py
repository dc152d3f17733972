"""Host power on every surface: metrics, the status document, the terminal."""

import json

import pytest

from evenwatt.sinks.console import print_status
from evenwatt.sinks.metrics import render_metrics
from evenwatt.sinks.status import render_status
from evenwatt.snapshot import CalibrationView, HostView
from sink_fixtures import snapshot

CALIBRATED = HostView(
    source="http",
    meter="http://plug/status",
    covers="wall",
    reason="",
    meter_watts=320.0,
    host_watts=95.5,
    calibration=CalibrationView(
        utc_seconds=1_790_000_000.0, factor=1.083, standard_error=0.004, r_squared=0.998, is_applied=False
    ),
)


def test_metrics_have_energy_and_power_of_the_host():
    """The counter is that of the history, by the source that told it; the gauge is that of now."""
    page = render_metrics(snapshot(host=CALIBRATED)).decode()

    assert 'evenwatt_host_energy_joules_total{source="rapl"} 600.0' in page
    assert 'evenwatt_host_power_watts{source="http"} 95.5' in page
    assert 'evenwatt_host_info{covers="wall",source="http"} 1.0' in page


def test_a_machine_without_a_meter_has_no_host_power():
    """Nothing is shown as 0 where nothing is measured."""
    page = render_metrics(snapshot(host=HostView(reason="no RAPL here"))).decode()

    assert "evenwatt_host_power_watts{" not in page
    assert "evenwatt_host_info{" not in page


def test_the_status_says_who_tells_and_why():
    """Source, reason, calibration and energy by source are in the document."""
    host = json.loads(render_status(snapshot(host=CALIBRATED)))["host"]

    assert (host["source"], host["meter_watts"], host["host_watts"]) == ("http", 320.0, 95.5)
    assert host["calibration"]["factor"] == 1.083
    assert host["energy_joules"] == {"rapl": 600.0}


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (CALIBRATED, ("96 W", "wall", "http://plug/status", "earlier", "GPU sensors x 1.083", "2026-09-21")),
        (HostView(reason="ipmitool is not installed"), ("none", "ipmitool is not installed")),
    ],
)
def test_the_terminal_shows_it(capsys, monkeypatch, host, words):
    """One table: what the host draws, who says so and why, and how the GPU sensors compare."""
    monkeypatch.setenv("COLUMNS", "160")
    print_status(json.loads(render_status(snapshot(host=host))))

    shown = capsys.readouterr().out
    assert all(word in shown for word in words), shown
