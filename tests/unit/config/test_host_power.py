"""The section host_power: what goes together, and what each source needs."""

import pytest

from config_fixtures import faults_in, settings_of


def test_by_default_the_machine_is_looked_at():
    """Nothing written: the best that the machine has."""
    host = settings_of("").host_power

    assert (host.source, host.supply_efficiency, host.apply_calibration) == ("auto", 1.0, False)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("{source: http}", "host_power.kind: missing; source http needs it"),
        ("{source: http, kind: shelly}", "host_power.url: missing; source http needs it"),
        ("{source: prometheus, url: 'http://a'}", "host_power.query: missing; source prometheus needs it"),
        ("{source: fixed}", "host_power.watts: missing; source fixed needs it"),
        ("{source: rapl, url: 'http://a'}", "host_power.url: source rapl has none"),
        ("{source: none, rest_watts: 5}", "host_power.rest_watts: source none has none"),
        ("{source: http, kind: shelly, url: 'http://a', entity: e}", "entity: kind shelly has none"),
        (
            "{source: http, kind: homeassistant, url: 'http://a'}",
            "host_power.entity: missing; Home Assistant",
        ),
        ("{source: http, kind: json, url: 'http://a'}", "host_power.energy_path: missing; write energy_path"),
        (
            "{source: http, kind: json, url: 'http://a', energy_path: e}",
            "host_power.energy_unit: energy_path and energy_unit come together",
        ),
        (
            "{source: http, kind: tasmota, url: 'http://a', supply_efficiency: 0.9}",
            "host_power.supply_efficiency: a meter at the wall contains the losses already",
        ),
        ("{source: ipmi, covers: wall, supply_efficiency: 0.9}", "contains the losses already"),
        ("{source: http, kind: shelly, url: 'http://a', user: me}", "user and password come together"),
        ("{source: fixed, watts: 3, password: abc}", "password: source fixed has none"),
        ("{source: http, kind: shelly, url: 'http://a', energy_unit: Wh}", "energy_unit: kind shelly has"),
        ("{source: smart}", "expected auto, rapl, hwmon, ipmi, http, prometheus, fixed or none"),
        ("{source: rapl, supply_efficiency: 92}", "expected a number from 0.5 to 1"),
        ("{source: fixed, watts: -5}", "expected a number from 0 to 20,000"),
        (
            "{source: http, kind: json, url: 'http://a', power_path: p, power_unit: kWh}",
            "expected mW, W or kW",
        ),
        ("{source: http, kind: shelly, url: 'http://me:pw@a'}", "without credentials (see user)"),
        ("{apply_calibration: maybe}", "expected true or false"),
    ],
)
def test_what_cannot_be_is_told_with_its_key(written, fault):
    """Each fault names its key and what to do."""
    assert any(fault in line for line in faults_in(f"host_power: {written}")), faults_in(
        f"host_power: {written}"
    )


def test_a_secret_is_never_shown():
    """Passwords and tokens print as <secret>."""
    settings = settings_of(
        "host_power: {source: http, kind: tasmota, url: 'http://a', password: hunter2, channel: 1}"
    )

    assert "hunter2" not in repr(settings)
    assert settings.host_power.password.get_secret_value() == "hunter2"
