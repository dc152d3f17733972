"""What is shipped about the configuration is true: the example file and the reference."""

import re
from pathlib import Path

import pytest
import yaml

from config_fixtures import fields_of, settings_of
from evenwatt.config import Settings
from evenwatt.config.section import keys_of

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "config.example.yaml").read_text()
REFERENCE = (ROOT / "docs" / "configuration-keys.md").read_text()

SETTING_LINE = re.compile(r"#(?! \S)(?=.)")
"""A line that is a setting once its `#` is removed: prose has one space after it."""

CREDENTIALS = ("chat-key", "home-assistant", "hook-token", "plug", "price-key")
"""The secrets that the example and the reference name."""

PLUG = {"source": "http", "kind": "shelly", "url": "http://plug"}
JSON = {**PLUG, "kind": "json"}
BESIDE_HOST_POWER = {
    "kind": {"source": "http", "url": "http://plug"},
    "url": {"source": "http", "kind": "shelly"},
    "token": PLUG,
    "user": {**PLUG, "password": "p"},
    "password": {**PLUG, "user": "u"},
    "channel": PLUG,
    "entity": {**PLUG, "kind": "homeassistant", "token": "t"},
    "power_path": JSON,
    "power_unit": {**JSON, "power_path": "p"},
    "energy_path": {**JSON, "energy_unit": "kWh"},
    "energy_unit": {**JSON, "energy_path": "e"},
    "query": {"source": "prometheus", "url": "http://server"},
    "unit": {"source": "prometheus", "url": "http://server", "query": "q"},
    "watts": {"source": "fixed"},
    "covers": {"source": "ipmi"},
    "rest_watts": {"source": "rapl"},
    "hwmon_chip": {"source": "hwmon"},
}

BESIDE = {
    "currency": {"usd_rate": {"rate": 1, "date": "2026-01-01"}},
    "usd_rate.rate": {"currency": "EUR", "usd_rate": {"date": "2026-01-01"}},
    "usd_rate.date": {"usd_rate": {"rate": 1}},
    "electricity.holidays.subdivision": {"electricity": {"holidays": {"country": "DE"}}},
    "electricity.prices[].bands[].days": {"electricity": {"holidays": {"country": "DE"}}},
    "electricity.feed.list": {"electricity": {"feed": {"url": "http://a", "price": "a", "start": "b"}}},
    "electricity.feed.end": {"electricity": {"feed": {"url": "http://a", "price": "a", "start": "b"}}},
    "hardware.residual_value": {"hardware": {"purchase_price": 2800}},
    "hardware.rent_per_hour": {"hardware": {"mode": "rented_active"}},
    "hardware.rent_per_month": {"hardware": {"mode": "rented_active"}},
    "labour.fte": {"labour": {"salary_per_year": 1}},
    "labour.salary_per_year": {"labour": {"fte": 1}},
    "labour.hours_per_month": {"labour": {"rate_per_hour": 1}},
    "labour.rate_per_hour": {"labour": {"hours_per_month": 1}},
    **{f"host_power.{key}": {"host_power": beside} for key, beside in BESIDE_HOST_POWER.items()},
    "plan.tasks_per_day": {"plan": {"tokens_per_task": {"output": 1}}},
}
"""What a key needs beside itself to make a whole file."""

TLS = {
    "cert_file": "/a",
    "key_file": "/b",
    "client_auth_type": "VerifyClientCertIfGiven",
    "client_ca_file": "/c",
}
FREE_NAMES = {"server.basic_auth_users"}
"""Mappings whose keys are names that the user chose."""

SECTIONS = {
    "server.tls_server_config": TLS,
    "alerts.quiet_hours": {"start": "22:00", "end": "07:00"},
    "electricity.feed": {"url": "http://a", "price": "a"},
    "setup": {"cost": 1, "spread_months": 1, "begins": "2026-01-01"},
}
"""What a section needs to be whole."""

ENTRIES = {
    "alerts.notify": {"name": "a"},
    "electricity.prices": {"price_per_kwh": 1},
    "electricity.prices[].bands": {"name": "a", "price_per_kwh": 1},
    "hardware.parts": {"name": "a", "purchase_price": 2800},
    "other": {"name": "a"},
    "engines": {"name": "a", "url": "http://a"},
    "references": {"name": "a", "input": 1, "output": 2, "batch_input": 0.1, "batch_output": 1},
    "proxy": {"name": "a", "upstream": "http://a"},
    "proxy[].clients": {"name": "a", "header": "X-A"},
}
"""What an entry of each list needs."""


BESIDE_IN_ENTRY = {
    "alerts.notify[].name": {"apprise": "ntfy://a"},
    "alerts.notify[].at_least": {"apprise": "ntfy://a"},
    "alerts.notify[].token": {"webhook": "http://a"},
    "other[].name": {"per_month": 1},
    "engines[].prefill_tokens_per_second": {"decode_tokens_per_second": 1},
    "engines[].decode_tokens_per_second": {"prefill_tokens_per_second": 1},
}
"""What a key of an entry needs beside itself in it."""


def with_value(key, value):
    """Return the smallest whole file that has a value at a key."""
    if key in BESIDE:
        return merged(BESIDE[key], nested(key, value))
    return nested(key, value)


def nested(key, value):
    """Return a value under its key, with what the sections and the entries of lists around it need."""
    section, _, name = key.rpartition(".")
    if section == "engines[].counters":
        counters = {"input": "a_total", "input_means": "logical", name: value}
        return {"engines": [ENTRIES["engines"] | {"kind": "generic", "counters": counters}]}
    if section == "references[].prices[]":
        dated = {"valid_from": "2026-01-01", "input": 1, "output": 2, "batch_input": 0.1, "batch_output": 1}
        return {"references": [{"name": "a", "prices": [dated | {name: value}]}]}
    if section == "plan.tokens_per_task":
        return {"plan": {"tokens_per_task": {"input": 2_500, "output": 1, name: value}}}
    if not section:
        return {name: value}
    if section == "models.*":
        return {"models": {"*": {name: value}}}
    if section.endswith("[]"):
        entries = section.removesuffix("[]")
        beside = BESIDE_IN_ENTRY.get(key, {})
        return nested(entries, [ENTRIES[entries] | beside | {name: value}])
    needed = {"url": "http://a"} if key == "electricity.feed.query" else SECTIONS.get(section, {})
    return nested(section, needed | {name: value})


def merged(one, other):
    """Return two mappings as one; where both have a mapping, that of both."""
    both = {
        key: merged(one[key], other[key])
        for key in one.keys() & other.keys()
        if isinstance(one[key], dict) and isinstance(other[key], dict)
    }
    return one | other | both


def blocks():
    """Return the blocks of the example that a person would uncomment together."""
    paragraphs = re.split(r"\n(?!#(?! \S))", EXAMPLE)
    lines = [[line[1:] for line in part.splitlines() if SETTING_LINE.match(line)] for part in paragraphs]
    return ["\n".join(part) for part in lines if part]


def rows():
    """Return the rows of the reference: key, unit, default, meaning, example."""
    cells = (re.split(r" *\| *", line)[1:6] for line in REFERENCE.splitlines() if line.startswith("| `"))
    return {row[0].strip("`"): row for row in cells}


def keys_in(value, prefix=""):
    """Yield the keys that hold a value in what was loaded, dotted as in the reference."""
    if isinstance(value, dict) and prefix not in FREE_NAMES:
        for key, inner in value.items():
            yield from keys_in(inner, f"{prefix}.{key if prefix != 'models' else '*'}" if prefix else key)
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for entry in value:
            yield from keys_in(entry, f"{prefix}[]")
    else:
        yield prefix


def test_the_example_as_shipped_is_the_defaults():
    """Every line of the example is commented out: using it unchanged changes nothing."""
    assert settings_of(EXAMPLE) == Settings()


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.split("\n")[0])
def test_each_block_of_the_example_can_be_uncommented(block, monkeypatch, tmp_path):
    """Removing the # of one block gives a file that loads and sets what the block names."""
    for name in CREDENTIALS:
        (tmp_path / name).write_text("key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert settings_of(block).written == set(yaml.safe_load(block))


def test_the_first_block_of_each_key_loads_together(monkeypatch, tmp_path):
    """Uncommenting everything but the alternatives gives one whole file."""
    for name in CREDENTIALS:
        (tmp_path / name).write_text("key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    first = {block.split(":")[0]: block for block in reversed(blocks())}

    assert settings_of("\n".join(first.values())).written == set(keys_of(Settings))


def test_the_example_shows_every_key():
    """No key of the schema is missing from the example, and it shows none that there is not."""
    shown = {key for block in blocks() for key in keys_in(yaml.safe_load(block))}

    assert shown - {"engines", "references"} == {key for key, _ in fields_of()}


def test_the_reference_lists_every_key():
    """The tables hold each key of the schema once, and no other."""
    assert sorted(rows()) == sorted(key for key, _ in fields_of())


@pytest.mark.parametrize("key", [key for key, _ in fields_of()])
def test_the_reference_gives_an_example_that_can_be_written(key, monkeypatch, tmp_path):
    """The example of each row is taken by its key."""
    for name in CREDENTIALS:
        (tmp_path / name).write_text("key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    example = yaml.safe_load(f"value: {rows()[key][4].strip('`')}")["value"]
    file = with_value(key, example)

    assert settings_of(yaml.safe_dump(file)).written == set(file)
