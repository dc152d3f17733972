"""The commands about meters: each source once, and GPU sensors against a meter of the history."""

import json
from contextlib import closing

import pytest

from config_fixtures import settings_of
from evenwatt import clock
from evenwatt.errors import HistoryError
from evenwatt.ledger import GpuUse, MeterUse
from evenwatt.service.host.keeper import GPU_POWER
from evenwatt.service.host.meters import NotCalibrated, calibrate_gpu_sensors, read_meters
from evenwatt.sinks.history import History, history_beside
from loopback_servers import PageServer
from sink_fixtures import tick


@pytest.fixture
def settings(tmp_path):
    """Settings with a history of their own and no sensor of this machine."""
    return settings_of(f"""
        history: {{path: {tmp_path}/history.db}}
        host_power: {{sysfs_path: {tmp_path}/sys}}
    """)


def fill(settings, minutes, *, source="http", base=60.0, factor=1.1, **flaws):
    """Write minutes in which GPUs went from 50 to 345 W, behind a meter."""
    now = clock.utc_seconds() // 60 * 60
    with closing(History(settings.history.path, currency=settings.currency)) as history:
        for number in range(minutes):
            minute = int(now - 60 * (minutes - number))
            gpus = 60 * (50.0 + 5 * number)
            host = 60 * base + (factor - 1) * gpus
            meter = MeterUse(**{"energy_joules": host, "measured_seconds": 60.0, **flaws})
            cards = {
                (minute, uuid): GpuUse(energy_joules=gpus / 2, measured_seconds=60.0) for uuid in ("a", "b")
            }
            history.write(tick({}, gpus=cards, meters={(minute, source): meter}))


def test_the_line_of_the_history_is_kept(settings):
    """Wall power over GPU power, minute by minute; the result is found again with its date and stretch."""
    fill(settings, 60)
    found = calibrate_gpu_sensors(settings, last_seconds=7_200)
    with history_beside(settings.history.path) as history:
        (kept,) = history.calibrations(GPU_POWER)

    assert found.fit.factor == pytest.approx(1.1)
    assert found.fit.base_watts == pytest.approx(60.0)
    assert kept.result["factor"] == found.fit.factor
    assert kept.subject == "http"
    assert kept.settings["minutes"] == found.fit.points == 60
    assert kept.utc_seconds == pytest.approx(clock.utc_seconds(), abs=60)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"minutes": 5}, "5 whole minutes"),
        ({"minutes": 60, "source": "rapl"}, "no minute in which a meter had the GPUs behind it"),
        ({"minutes": 60, "estimated": 1}, "no minute in which"),
        ({"minutes": 60, "measured_seconds": 30.0}, "no minute in which"),
        ({"minutes": 60, "factor": 0.0}, "does not follow GPU power"),
    ],
)
def test_what_tells_nothing_is_refused(settings, options, words):
    """Too little, no wall meter, gaps, half minutes, or no relation: a sentence, and nothing is kept."""
    fill(settings, **options)
    with pytest.raises(NotCalibrated, match=words):
        calibrate_gpu_sensors(settings, last_seconds=7_200)
    with history_beside(settings.history.path) as history:
        assert history.calibrations(GPU_POWER) == ()


def test_a_meter_without_gpus_tells_nothing_of_them(tmp_path):
    """covers: rest is a contradiction to what is asked."""
    settings = settings_of("host_power: {source: http, kind: tasmota, url: 'http://plug', covers: rest}")
    with pytest.raises(NotCalibrated, match="without the GPUs behind it"):
        calibrate_gpu_sensors(settings, last_seconds=3_600)


def test_without_a_history_there_is_nothing_to_compare(settings):
    """The command says that the agent has to run first."""
    with pytest.raises(HistoryError, match="there is no history yet"):
        calibrate_gpu_sensors(settings, last_seconds=3_600)


def test_each_source_is_read_once(settings, tmp_path, monkeypatch):
    """The named meter with its watts, those of the machine with theirs or with the reason why not."""
    monkeypatch.setenv("PATH", str(tmp_path))
    body = json.dumps({"watts": 321.0}).encode()
    with PageServer({"/power": (200, {}, body)}) as server:
        named = settings_of(f"""
            host_power: {{source: http, kind: json, url: "{server.url}/power", power_path: watts}}
        """)
        lines = {line.source: line for line in read_meters(named)}

    assert list(lines) == ["http", "ipmi", "hwmon", "rapl"]
    assert (lines["http"].watts, lines["http"].covers, lines["http"].fault) == (321.0, "wall", None)
    assert "not installed" in lines["ipmi"].fault
