"""What a person reads when the file is wrong: all of it, with line, key, found, expected."""

import pytest

from config_fixtures import faults_in
from evenwatt.config import load
from evenwatt.errors import ConfigError

TEN_FAULTS = """\
# ten faults
currency: euro
electricity:
  price_per_kwh: cheap
  pue: 0.8
hardware:
  purchse_price: 2800
  lifetime_years: 0
engines:
  - name: chat
    kind: olama
    url: ftp://127.0.0.1:8000
windows: [1h, 24 hours]
server: {listen: localhost}
sampling: {deadline_seconds: 15}
"""

TEN_LINES = """\
config.yaml:2: currency: got euro, expected an ISO 4217 code of three capital letters, such as EUR
config.yaml:4: electricity.price_per_kwh: got cheap, expected a number from 0 to 1,000,000,000,000
config.yaml:5: electricity.pue: got 0.8, expected a number from 1 to 100
config.yaml:7: hardware.purchse_price: unknown key; did you mean purchase_price?
config.yaml:8: hardware.lifetime_years: got 0, expected a number above 0 and at most 50
config.yaml:11: engines[0].kind: got olama, expected auto, dynamo, generic, lemonade, \
litellm, llama_swap, llamacpp, lmdeploy, localai, nim, ollama, proxy, sglang, tei, tensorrt_llm, tgi, triton \
or vllm
config.yaml:12: engines[0].url: got ftp://127.0.0.1:8000, expected http://host:port or https://host:port, \
without credentials (see api_key), query and fragment
config.yaml:13: windows[1]: got 24 hours, expected hours or days up to 366 days, such as 24h or 7d, or the \
word month
config.yaml:14: server.listen: got localhost, expected host:port with a port from 1 to 65535, such as \
127.0.0.1:9787 or [::1]:9787
config.yaml:15: sampling.deadline_seconds: got 15, expected at most tick_seconds (10)"""


def test_all_faults_are_told_at_once_in_the_order_of_the_lines(tmp_path, monkeypatch):
    """Ten faults in a file are ten lines, each with line, key, what was found and what is expected."""
    monkeypatch.chdir(tmp_path)
    path = (tmp_path / "config.yaml").relative_to(tmp_path)
    path.write_text(TEN_FAULTS)

    with pytest.raises(ConfigError) as error:
        load(path)

    assert str(error.value) == TEN_LINES


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hardwear: {}", "1: hardwear: unknown key; did you mean hardware?"),
        ("engines: [{name: a, url: http://a, gpu: 0}]", "1: engines[0].gpu: unknown key; did you mean gpus?"),
        ('models: {"references": {token_ration: 1}}', "did you mean token_ratio?"),
        ("usd_rate: {rat: 1, date: 2026-01-01}", "1: usd_rate.rat: unknown key; did you mean rate?"),
        (
            "references: [{name: a, input: 1, output_price: 1}]",
            "1: references[0].output_price: unknown key; did you mean output?",
        ),
        ("server: {zzz: 1}", "1: server.zzz: unknown key; known here: listen"),
        ('"a\\nb": 1', r"1: 'a\nb': unknown key"),
        ("electricity: {purchase_price:}", "1: electricity.purchase_price: unknown key"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(text, fault):
    """A key that is not known is told with the one that it looks like, or with those that are known there."""
    faults = faults_in(text)

    assert len(faults) == 1
    assert fault in faults[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("electricity: 0.30", "1: electricity: got text, expected a mapping"),
        ("electricity: [0.30]", "1: electricity: got a list, expected a mapping"),
        ("engines: {name: a}", "1: engines: got a mapping, expected a list"),
        ("engines: [~]", "1: engines[0]: got nothing, expected a mapping"),
        ("windows: 24h", "1: windows: got text, expected a list"),
        ("models: [a]", "1: models: got a list, expected a mapping"),
        ("models: {a: b}", "1: models.a: got text, expected a mapping"),
        ("references: [[a]]", "1: references[0]: got a list, expected a mapping"),
        ("month_hours: [730]", "1: month_hours: got a list, expected 730 or 720"),
        ("currency: {a: b}", "1: currency: got a mapping, expected an ISO 4217 code"),
        ("windows: [~]", "1: windows[0]: got nothing, expected hours or days"),
        ("engines: [{name: a}]", "1: engines[0].url: missing; this key has to be written here"),
    ],
)
def test_a_value_of_the_wrong_shape_is_told_by_its_shape(text, fault):
    """A list, a mapping or nothing in the wrong place is named as such."""
    faults = faults_in(text)

    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_a_long_value_is_cut():
    """A fault stays one readable line however long the value is."""
    (fault,) = faults_in("currency: " + "x" * 5_000)

    assert len(fault) < 200


def test_a_value_with_line_breaks_stays_on_one_line():
    """What was found is shown escaped where it would break the line or hide in it."""
    (fault,) = faults_in('currency: "a\\nb\\e[31m"')

    assert r"got 'a\nb\x1b[31m'" in fault
    assert fault.isprintable()


def test_what_is_missing_is_placed_at_its_section():
    """A key that is not there is told at the line where its section begins."""
    faults = faults_in(
        """\
        currency: USD
        engines:
          - name: a
            url: http://a
          - kind: vllm
        """
    )

    assert faults == [
        "5: engines[1].name: missing; this key has to be written here",
        "5: engines[1].url: missing; this key has to be written here",
    ]


def test_a_fault_causes_no_second_one():
    """A misspelt key is not missing as well, and a faulty tick does not make its deadline faulty."""
    faults = faults_in(
        """\
        references: [{names: a, input: 1, output: 1}]
        sampling: {tick_seconds: soon, gpu_seconds: 1}
        labour: {fte: 0.2, salry_per_year: 1}
        """
    )

    assert [fault.split(":")[0] for fault in faults] == ["1", "2", "3"]


def test_faults_of_the_text_and_of_the_schema_come_together():
    """A variable that is not set does not hide a wrong number further down."""
    faults = faults_in("currency: ${EVENWATT_UNSET}\nelectricity: {pue: 0}\n")

    assert len(faults) == 2
    assert faults[0].startswith("1: currency: environment variable EVENWATT_UNSET is not set")
    assert faults[1].startswith("2: electricity.pue: got 0")
