"""Who tells host power: named, found, changed by a reload, or nobody."""

import time

import pytest

from config_fixtures import settings_of
from evenwatt.ledger import HostRules
from evenwatt.model import Coverage, HostReading
from evenwatt.readings.host.source import HOST_SOURCE
from evenwatt.readings.simulated import simulated_server
from evenwatt.service.host.keeper import GPU_POWER, HostKeeper, host_meters
from evenwatt.service.workers import Crew
from evenwatt.sinks.history import CalibrationRow

SAMPLING = "sampling: {tick_seconds: 10, deadline_seconds: 2, discovery_seconds: 1}"
CALIBRATION = CalibrationRow(
    utc_seconds=1_000.0,
    kind=GPU_POWER,
    subject="http",
    result={"factor": 1.08, "standard_error": 0.01, "r_squared": 0.99},
    settings={},
)


@pytest.fixture
def crew():
    """Workers, let go at the end."""
    crew = Crew()
    yield crew
    crew.close(patience_seconds=2.0)


@pytest.fixture
def keeper(crew, tmp_path, monkeypatch):
    """Return a function that makes the keeper of a host_power section."""
    monkeypatch.setenv("PATH", str(tmp_path))
    made = []

    def make(written, *, fixed=None, is_simulated=False):
        keeper = HostKeeper(crew, settings_with(written), fixed=fixed, is_simulated=is_simulated)
        made.append(keeper)
        return keeper

    yield make
    for keeper in made:
        keeper.close()


def settings_with(written):
    """Return settings with a host_power section."""
    return settings_of(f"{SAMPLING}\nhost_power: {written}")


def rapl(sysfs, joules=5.0):
    """Write a tree of one processor."""
    zone = sysfs / "class" / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0")
    (zone / "energy_uj").write_text(str(round(joules * 1e6)))


def follow_until(keeper, crew, condition):
    """Let the keeper follow until something holds."""
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, crew.names
        keeper.follow()
        time.sleep(0.02)


def read(keeper, crew):
    """Read all sources once, and return what the keeper's said."""
    readings = crew.round(5.0)
    keeper.note(readings)
    return next((reading for reading in readings if isinstance(reading, HostReading)), None)


def test_a_named_source_is_read_from_the_first_tick(keeper, crew):
    """What the configuration names needs no search."""
    told = keeper("{source: fixed, watts: 85}")
    reading = read(told, crew)

    assert crew.names == (HOST_SOURCE,)
    assert (reading.source, reading.power_watts) == ("fixed", 85.0)
    assert told.view(None).meter == "85 W as configured"
    assert told.assumptions == ()


def test_none_is_none(keeper, crew):
    """Nobody is asked, and the view says why."""
    told = keeper("{source: none}")
    read(told, crew)

    assert crew.names == ()
    assert told.view(None).reason == "not read: host_power.source is none"


def test_what_the_machine_has_is_found(keeper, crew, tmp_path):
    """RAPL comes up after a look or two; until then no source is down, and the view says why."""
    told = keeper(f"{{sysfs_path: {tmp_path}/sys}}")
    follow_until(told, crew, lambda: "no RAPL zone" in told.view(None).reason)
    assert crew.names == ()
    assert "GPUs alone" in told.assumptions[0].text
    rapl(tmp_path / "sys")
    follow_until(told, crew, lambda: crew.names)
    reading = read(told, crew)

    assert reading.source == "rapl"
    assert "better ones do not work" in told.view(None).reason
    assert "only processors and memory" in told.assumptions[0].text
    told.adopt(settings_with(f"{{sysfs_path: {tmp_path}/sys, rest_watts: 40}}"))
    follow_until(told, crew, lambda: crew.names)
    read(told, crew)
    assert told.assumptions == ()


def test_another_configuration_takes_another_source(keeper, crew):
    """A reload that changes the section lets the old source go; one that does not leaves it alone."""
    told = keeper("{source: fixed, watts: 85}")
    (before,) = crew._workers.values()
    told.adopt(settings_with("{source: fixed, watts: 85}"))
    assert tuple(crew._workers.values()) == (before,)
    told.adopt(settings_with("{source: fixed, watts: 60}"))
    assert read(told, crew).power_watts == 60.0
    told.adopt(settings_with("{source: none}"))

    assert crew.names == ()


def test_made_up_readings_have_a_made_up_meter(keeper, crew):
    """In a demo nothing real is asked, whatever is configured."""
    *_, plug = simulated_server()
    told = keeper("{source: fixed, watts: 85}", fixed=plug, is_simulated=True)
    told.adopt(settings_with("{source: fixed, watts: 60}"))

    assert read(told, crew).source == "simulated"


def test_a_source_that_does_not_answer_is_told(keeper, crew):
    """A named meter that is gone shows no old value as new."""
    told = keeper("{source: http, kind: tasmota, url: 'http://127.0.0.1:9'}")
    assert read(told, crew) is None

    assert told.view(None).source is None
    assert told.view(None).reason == "the source does not answer"
    assert not crew.health[0].up


def test_a_calibration_counts_on_request_alone(keeper):
    """The factor is shown with its date, and goes into the rules only where the configuration says so."""
    shown = keeper("{source: none}")
    applied = keeper("{source: rapl, apply_calibration: true, supply_efficiency: 0.9, rest_watts: 30}")
    for told in (shown, applied):
        told.calibrate((CALIBRATION,))

    assert shown.rules == HostRules()
    assert shown.view(None).calibration.factor == 1.08
    assert not shown.view(None).calibration.is_applied
    assert applied.rules == HostRules(supply_efficiency=0.9, rest_watts=30.0, gpu_factor=1.08)
    assert applied.view(None).calibration.is_applied


@pytest.mark.parametrize(
    ("written", "sources", "covers"),
    [
        ("{}", ["ipmi", "hwmon", "rapl"], [Coverage.BOARD, Coverage.BOARD, Coverage.CPU]),
        ("{source: ipmi, covers: wall}", ["ipmi"], [Coverage.WALL]),
        ("{source: hwmon, hwmon_chip: ina3221}", ["hwmon"], [Coverage.BOARD]),
        ("{source: http, kind: shelly, url: 'http://a'}", ["http"], [Coverage.WALL]),
        ("{source: http, kind: tasmota, url: 'http://a', covers: rest}", ["http"], [Coverage.REST]),
        (
            "{source: http, kind: homeassistant, url: 'http://a', entity: e, token: t}",
            ["http"],
            [Coverage.WALL],
        ),
        ("{source: http, kind: json, url: 'http://a', power_path: p}", ["http"], [Coverage.WALL]),
        ("{source: prometheus, url: 'http://a', query: q, covers: board}", ["prometheus"], [Coverage.BOARD]),
        ("{source: none}", [], []),
    ],
)
def test_each_section_makes_its_meters(written, sources, covers):
    """Every source and kind of the configuration is built, with what it covers."""
    meters = host_meters(settings_with(written).host_power)

    assert [meter.source for meter in meters] == sources
    assert [meter.covers for meter in meters] == covers
