"""What each key takes, and which of them can hold together."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from config_fixtures import faults_in, settings_of
from evenwatt.config import Address, CatalogueReference, PricedReference, Window
from evenwatt.config.refusals import Refused

RENTED = "hardware: {mode: rented_active, %s}"


def test_the_defaults_are_those_of_the_design():
    """Without a file: 0.30 per kWh, owned hardware, three references and windows, loopback, found engines."""
    settings = settings_of("")

    assert (settings.currency, settings.usd_rate, settings.month_hours) == ("USD", None, 730)
    assert (settings.electricity.price_per_kwh, settings.electricity.pue) == (0.30, 1.0)
    assert (settings.hardware.mode, settings.hardware.purchase_price) == ("owned", None)
    assert [reference.name for reference in settings.references] == [
        "anthropic:claude-haiku-4-5",
        "openai:gpt-4o-mini",
        "google:gemini-2.5-flash",
    ]
    assert [(window.label, window.seconds) for window in settings.windows] == [
        ("1h", 3_600),
        ("24h", 86_400),
        ("7d", 604_800),
    ]
    assert str(settings.server.listen) == "127.0.0.1:9787"
    assert settings.engines is None


def test_a_whole_file_becomes_typed_values():
    """Dates, addresses, windows, paths and references arrive as values of their own types."""
    settings = settings_of(
        """\
        currency: EUR
        usd_rate: {rate: 0.92, date: 2026-11-01}
        timezone: Europe/Berlin
        month_hours: 720
        hardware: {purchase_price: 2800, residual_value: 900, purchased: 2025-01-15}
        engines:
          - name: chat
            kind: vllm
            url: http://127.0.0.1:8000/
            gpus: [0, GPU-01234567-89ab-cdef-0123-456789abcdef]
        references:
          - aws:amazon.nova-lite-v1:0
          - {name: negotiated, input: 0.50, cached_input: 0.05, output: 2.00}
        models: {"llama-*": {references: [negotiated], token_ratio: 1.1}}
        windows: [30d, month]
        server: {listen: "[::1]:9787"}
        history: {path: /srv/evenwatt/history.db}
        """
    )

    assert settings.usd_rate.date == date(2026, 11, 1)
    assert settings.timezone == ZoneInfo("Europe/Berlin")
    assert settings.month_hours == 720
    assert settings.engines[0].gpus == (0, "GPU-01234567-89ab-cdef-0123-456789abcdef")
    assert settings.engines[0].url == "http://127.0.0.1:8000"
    assert settings.references == (
        CatalogueReference(name="aws:amazon.nova-lite-v1:0"),
        PricedReference.parsed({"name": "negotiated", "input": 0.5, "cached_input": 0.05, "output": 2}),
    )
    assert (settings.references[0].provider, settings.references[0].model) == ("aws", "amazon.nova-lite-v1:0")
    assert settings.models["llama-*"].references == ("negotiated",)
    assert settings.windows == (Window(label="30d", seconds=2_592_000), Window(label="month", seconds=None))
    assert settings.server.listen == Address(host="::1", port=9787)
    assert str(settings.server.listen) == "[::1]:9787"
    assert settings.history.path == Path("/srv/evenwatt/history.db")


def test_settings_never_change():
    """A value that was validated stays as it is."""
    settings = settings_of("")

    with pytest.raises(AttributeError):
        settings.currency = "EUR"


def test_no_engines_is_not_the_same_as_not_written():
    """An empty list reads no engine, without the key they are found."""
    assert settings_of("engines: []").engines == ()
    assert settings_of("engines:").engines is None


DEAR_CACHE = "{valid_from: 2026-01-01, input: 1, output: 1, cached_input: 3}"
TWICE_DATED = "{valid_from: 2026-02-01, input: 1, output: 1}, {valid_from: 2026-02-01, input: 2, output: 2}"


@pytest.mark.parametrize(
    "value", ["nan", ".nan", "inf", "-.inf", "1e400", "true", "on", "0x10", "0,30", "-0.01", '""']
)
def test_money_is_a_finite_number_from_zero(value):
    """What is no number, no finite one, or a truth value is refused where money is expected."""
    (fault,) = faults_in(f"electricity: {{price_per_kwh: {value if value != '0,30' else repr(value)}}}")

    assert "expected a number from 0 to 1,000,000,000,000" in fault


@pytest.mark.parametrize("value", [True, False, float("nan"), float("inf"), 10**400, None, [1]])
def test_a_price_that_was_not_read_from_a_file_is_held_to_the_same(value):
    """Truth values and what is not finite are no numbers on any way in."""
    with pytest.raises(Refused):
        PricedReference.parsed({"name": "a", "input": value, "output": 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("currency", "usd"),
        ("currency", "EURO"),
        ("timezone", "Europe"),
        ("timezone", "Mars/Olympus"),
        ("timezone", "../../etc/passwd"),
        ("timezone", "/etc/localtime"),
        ("month_hours", "744"),
        ("hardware.purchased", "2025-13-01"),
        ("hardware.purchased", "20250115"),
        ("hardware.purchased", "yesterday"),
        ("hardware.lifetime_years", "51"),
        ("hardware.maintenance_per_year", "3"),
        ("attribution.input_token_weight", "-1"),
        ("server.listen", ":9787"),
        ("server.listen", "127.0.0.1"),
        ("server.listen", "127.0.0.1:0"),
        ("server.listen", "127.0.0.1:65536"),
        ("server.listen", "::1:9787"),
        ("server.listen", "[127.0.0.1]:9787"),
        ("history.path", "history.db"),
        ("history.path", "/var/lib/evenwatt/"),
        ("sampling.tick_seconds", "0.05"),
        ("sampling.tick_seconds", "61"),
        ("sampling.gpu_seconds", "0.01"),
        ("windows", [""]),
        ("windows", ["0h"]),
        ("windows", ["1w"]),
        ("windows", ["367d"]),
        ("windows", []),
        ("references", ["gpt-4o"]),
        ("references", ["openai:"]),
        ("references", [":gpt-4o"]),
        ("references", ["open ai:gpt-4o"]),
    ],
)
def test_a_value_that_its_key_cannot_take_is_refused(key, value):
    """Each key says what it expects of the value that it got."""
    text = "".join(f"{{{part}: " for part in key.split("."))

    (fault,) = faults_in(f"{text}{value!r}{'}' * text.count('{')}")

    assert f" {key}" in fault
    assert "got" in fault
    assert "expected" in fault


@pytest.mark.parametrize(
    "engine",
    [
        "name: Chat, url: http://a",
        "name: a/b, url: http://a",
        f"name: {'a' * 65}, url: http://a",
        "name: machine, url: http://a",
        "name: nvml, url: http://a",
        "name: all, url: http://a",
        "name: agent, url: http://a",
        "name: a, url: a",
        "name: a, url: 'http://'",
        "name: a, url: 'http://a:0'",
        "name: a, url: 'http://a:99999'",
        "name: a, url: 'http://[::1'",
        "name: a, url: 'http://a b'",
        "name: a, url: 'http://a#b'",
        'name: a, url: "http://a\\nb"',
        "name: a, url: http://a, gpus: [-1]",
        "name: a, url: http://a, gpus: [0.5]",
        "name: a, url: http://a, gpus: [true]",
        "name: a, url: http://a, gpus: [GPU-1]",
        "name: a, url: http://a, capacity_tokens_per_second: 0",
    ],
)
def test_an_engine_that_could_not_be_read_is_refused(engine):
    """Names fit a metric's label, addresses are plain, GPUs are indexes or UUIDs."""
    (fault,) = faults_in(f"engines: [{{{engine}}}]")

    assert "expected" in fault


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (
            "currency: EUR",
            "usd_rate",
            "missing; with currency EUR, write {rate: what one USD is worth, date: YYYY-MM-DD}",
        ),
        (
            "usd_rate: {rate: 0.92, date: 2026-11-01}",
            "usd_rate.rate",
            "got 0.92, expected 1 while currency is USD",
        ),
        (
            "engines: [{name: a, url: http://a, prefill_tokens_per_second: 9}]",
            "engines[0].decode_tokens_per_second",
            "missing; a load needs it beside prefill_tokens_per_second, or neither of them",
        ),
        (
            "engines: [{name: a, url: http://a, decode_tokens_per_second: 9}]",
            "engines[0].prefill_tokens_per_second",
            "missing; a load needs it beside decode_tokens_per_second",
        ),
        (
            RENTED % "",
            "hardware.mode",
            "rented_active needs rent_per_hour or rent_per_month; write one of them",
        ),
        (
            RENTED % "rent_per_hour: 1, rent_per_month: 1",
            "hardware.rent_per_month",
            "given together with rent_per_hour",
        ),
        (RENTED % "rent_per_hour: 1, purchase_price: 1", "hardware.purchase_price", "a rented machine"),
        (RENTED % "rent_per_hour: 1, purchased: 2025-01-15", "hardware.purchased", "a rented machine"),
        (
            "hardware: {rent_per_hour: 1}",
            "hardware.rent_per_hour",
            "mode owned has no rent; remove it, or set mode to",
        ),
        ("hardware: {mode: sunk, rent_per_month: 1}", "hardware.rent_per_month", "mode sunk has no rent"),
        (
            "hardware: {purchase_price: 800, residual_value: 900}",
            "hardware.residual_value",
            "got 900, expected at most the purchase_price (800)",
        ),
        (
            "hardware: {residual_value: 900}",
            "hardware.residual_value",
            "needs the purchase_price that it is left of",
        ),
        (
            "labour: {fte: 0.2, rate_per_hour: 90}",
            "labour",
            "got fte, rate_per_hour, expected fte with salary_per_year",
        ),
        (
            "labour: {}",
            "labour",
            "got none of its keys, expected fte with salary_per_year, or hours_per_month with",
        ),
        ("attribution: {input_token_weight: 0, output_token_weight: 0}", "attribution", "both weights are 0"),
        (
            "engines: [{name: a, url: http://a, gpus: [1, 1]}]",
            "engines[0].gpus[1]",
            "got 1, the same as an earlier one",
        ),
        (
            "references: [a:b, c:d, a:b]",
            "references[2]",
            "got a:b, the same as an earlier one; keep one of them",
        ),
        (
            "references: [{name: a, input: 1, output: 1, cached_input: 2}]",
            "references[0].cached_input",
            "got 2, expected at most the price of input (1)",
        ),
        (
            "references: [{name: a, input: 1}]",
            "references[0].output",
            "missing; this key has to be written here, or prices with their days",
        ),
        (
            "references: [{name: a, input: 1, output: 1, batch_input: 1}]",
            "references[0].batch_input",
            "needs batch_output; write both",
        ),
        (
            "references: [{name: a, input: 1, output: 1, batch_input: 1, batch_output: 2}]",
            "references[0].batch_output",
            "got 2, expected at most the price of output (1)",
        ),
        (
            "references: [{name: a, output: 1, prices: [{valid_from: 2026-01-01, input: 1, output: 1}]}]",
            "references[0].output",
            "stands beside prices, which have their own; write it there, or remove prices",
        ),
        (
            f"references: [{{name: a, prices: [{TWICE_DATED}]}}]",
            "references[0].prices[1].valid_from",
            "got 2026-02-01, expected a day after 2026-02-01; the earliest first",
        ),
        (
            f"references: [{{name: a, prices: [{DEAR_CACHE}]}}]",
            "references[0].prices[0].cached_input",
            "got 3, expected at most the price of input (1)",
        ),
        (
            "{references: [a:b], models: {x: {references: [c:d]}}}",
            "models.x.references[0]",
            "got c:d, expected a name from references: a:b",
        ),
        ("windows: [24h, 1d]", "windows[1]", "got 1d, the same as 24h; keep one of them"),
        (
            "other: [{name: a, per_month: 1}, {name: a, per_month: 2}]",
            "other[1].name",
            "got a, the same as an earlier",
        ),
    ],
)
def test_values_that_cannot_hold_together_are_refused(text, key, words):
    """What contradicts itself stops the start instead of being ignored, and says how to mend it."""
    (fault,) = faults_in(text)
    line, _, told = fault.partition(": ")

    assert 1 <= int(line) <= text.count("\n") + 1
    assert told.startswith(f"{key}: {words}")


def test_every_contradiction_of_a_section_is_told():
    """Two engines with one name and one address, and two lengths beyond the tick, are four faults."""
    faults = faults_in(
        """\
        engines:
          - {name: a, url: "http://a"}
          - {name: a, url: "http://a/"}
        sampling: {tick_seconds: 2, gpu_seconds: 3, deadline_seconds: 4}
        """
    )

    assert faults == [
        "3: engines[1].name: got a, the same as an earlier one; keep one of them",
        "3: engines[1].url: got http://a, the same as an earlier one; keep one of them",
        "4: sampling.gpu_seconds: got 3, expected at most tick_seconds (2)",
        "4: sampling.deadline_seconds: got 4, expected at most tick_seconds (2)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "usd_rate: {rate: 1, date: 2026-11-01}",
        "hardware: {mode: sunk, purchase_price: 2800}",
        "hardware: {purchase_price: 900, residual_value: 900}",
        "sampling: {deadline_seconds: 10, gpu_seconds: 10}",
        "references: []",
        "engines: [{name: a, url: http://a, gpus: [0]}, {name: b, url: http://b, gpus: [0]}]",
        "engines: [{name: a, url: https://a.example/llm, gpus: []}]",
    ],
)
def test_what_only_looks_like_a_contradiction_is_taken(text):
    """Bounds belong to what they bound, engines may share a GPU, and there may be nothing to compare with."""
    assert settings_of(text).written


def test_a_short_tick_shortens_what_has_to_fit_in_it():
    """With a tick of half a second nobody has to write the two lengths that would not fit any more."""
    sampling = settings_of("sampling: {tick_seconds: 0.5}").sampling

    assert (sampling.gpu_seconds, sampling.deadline_seconds) == (0.5, 0.5)


def test_rules_between_sections_hold_beside_faults_elsewhere():
    """A wrong PUE does not hide that the exchange rate is missing."""
    faults = faults_in("currency: EUR\nelectricity: {pue: 0}\n")

    assert [fault.split(":")[1].strip() for fault in faults] == ["usd_rate", "electricity.pue"]


def test_references_that_are_at_fault_do_not_blame_the_models():
    """Names cannot be looked up among references that are not known yet."""
    faults = faults_in('references: [oops]\nmodels: {"*": {references: [openai:gpt-4o]}}\n')

    assert len(faults) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http://127.0.0.1:8000", "http://localhost:8000"),
        ("http://LOCALHOST:8000", "http://[::1]:8000"),
        ("http://[::1]:8000", "http://[0:0:0:0:0:0:0:1]:8000"),
        ("http://a", "http://a:80"),
        ("https://a", "https://a:443"),
        ("http://a", "http://A/metrics"),
        ("http://a/b/", "http://a/b/metrics/"),
        ("http://[v1.a:b]", "http://[v1.A:b]:80"),
    ],
)
def test_one_engine_under_two_addresses_is_told(first, second):
    """Two ways to write one address would count every token twice; the fault shows both."""
    faults = faults_in(f'engines: [{{name: a, url: "{first}"}}, {{name: b, url: "{second}"}}]')

    (fault,) = faults
    assert f"engines[1].url: got {second.rstrip('/')}, the same as {first.rstrip('/')}; keep one" in fault


@pytest.mark.parametrize("other", ["http://a:8001", "https://a", "http://b:8000", "http://a:8000/b"])
def test_engines_at_different_addresses_are_several(other):
    """Another port, host or path is another engine."""
    settings = settings_of(f'engines: [{{name: a, url: "http://a:8000"}}, {{name: b, url: "{other}"}}]')

    assert [engine.url for engine in settings.engines] == ["http://a:8000", other]
