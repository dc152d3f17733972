"""YAML as the configuration takes it: text, lists and mappings, within bounds."""

import pytest

from config_fixtures import faults_in, settings_of

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~\n", "null\n", "\ufeff", "{}"])
def test_a_file_that_says_nothing_means_the_defaults(text):
    """An empty file, comments alone or a null are the defaults, with nothing written."""
    assert settings_of(text).written == set()


@pytest.mark.parametrize("text", ["electricity:\n", "engines: ~\nhardware: {purchase_price: null}\n"])
def test_a_key_without_a_value_counts_as_not_written(text):
    """A header whose keys are all commented out is no fault."""
    settings = settings_of(text)

    assert settings.electricity.price_per_kwh == 0.30
    assert settings.engines is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"electricity:\n\tpue: 1\n", "2: a tab where YAML allows none; indent with spaces"),
        (b"currency: USD\n\xff\n", "2: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("currency: USD".encode("utf-16"), "1: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"- a\n", "1: got a list, expected keys with values, such as month_hours: 730"),
        (b"\n\nhello\n", "3: got text, expected keys with values, such as month_hours: 730"),
        (b"a: 1\n---\nb: 1\n", "2: a second document begins here; keep one, without a line of ---"),
        (b"a: 1\nb: \x07\n", "2: a character that no YAML may hold (U+0007)"),
        (b"currency: a: b\n", "1: a colon that cannot stand here; check the indentation and the quotes"),
        (b"a:\n - b: 1\n c: 1\n", "3: not valid YAML"),
        (b"? [a]\n: b\n", "1: a key that is a list or a mapping; expected a name"),
        (
            b"server: {listen: ${A}}\n",
            "1: a brace that cannot stand here; inside braces, put ${NAME} in quotes",
        ),
        (b"currency: !!python/name:os.system USD\n", "1: currency: a YAML tag (!), which nothing here uses"),
        (
            b'currency: "\\UFFFFFFFF"\n',
            "not valid YAML: a number out of range in an escape or in a directive",
        ),
        (b"%YAML 1." + b"9" * 5_000 + b"\n---\n", "not valid YAML: a number out of range"),
        (b"a: &a [*a]\n", "nested too deeply, or an alias that holds itself"),
        (b"[" * 20_000, "nested too deeply, or an alias that holds itself"),
        (BOMB.encode(), "1: more than 20,000 values, aliases counted where they are used"),
        (b"windows: [" + b"1h," * 20_000 + b"]", "1: more than 20,000 values"),
        (b"#" * (2**20 + 1), "larger than 1,048,576 bytes; expected a configuration of evenwatt"),
    ],
)
def test_what_is_no_usable_yaml_is_one_clear_fault(content, fault):
    """Broken, hostile or oversized text is refused with one sentence, and the line where there is one."""
    faults = faults_in(content)

    assert len(faults) == 1
    assert faults[0].startswith(fault)


@pytest.mark.parametrize(
    "text",
    [
        "api_key: *sk-hidden",
        "a: &sk-hidden 1\nb: &sk-hidden 2",
        "api_key: !sk-hidden!x y",
        "api_key: !sk-hidden y",
    ],
)
def test_an_unquoted_secret_that_looks_like_yaml_is_not_repeated(text):
    """Names of anchors, aliases and tags stay out of the faults: they may be a secret without quotes."""
    assert "sk-hidden" not in "".join(faults_in(text))


def test_a_key_that_is_written_twice_is_told_with_both_lines():
    """The second of two equal keys is a fault that names the line of the first."""
    faults = faults_in("electricity:\n  pue: 1.2\n  pue: 1.4\n")

    assert faults == ["3: electricity.pue: written twice, first on line 2; keep one"]


def test_an_alias_stands_for_its_anchor():
    """Anchors and aliases save writing a value twice."""
    settings = settings_of(
        """\
        models:
          "llama-*": &cheap {references: [openai:gpt-4o-mini]}
          "qwen*": *cheap
        """
    )

    assert settings.models["qwen*"] == settings.models["llama-*"]


def test_yaml_does_not_guess_types():
    """A name that looks like a number, a truth value or a time stays the text that was written."""
    settings = settings_of(
        """\
        other:
          - {name: 1_0, per_month: 1_000}
          - {name: on, per_month: 1e3}
          - {name: 2025-01-15, per_month: "010"}
        """
    )

    assert [cost.name for cost in settings.other] == ["1_0", "on", "2025-01-15"]
    assert [cost.per_month for cost in settings.other] == [1_000, 1_000, 10]


def test_environment_variables_are_put_into_values(monkeypatch):
    """${NAME} becomes the variable's text anywhere in a value, also where a number is expected."""
    monkeypatch.setenv("EVENWATT_TEST_PORT", "8000")
    monkeypatch.setenv("EVENWATT_TEST_PRICE", "0.25")

    settings = settings_of(
        """\
        electricity: {price_per_kwh: "${EVENWATT_TEST_PRICE}"}
        engines:
          - name: chat
            url: http://127.0.0.1:${EVENWATT_TEST_PORT}/
        other: [{name: "$${EVENWATT_TEST_PORT}", per_month: 1}]
        """
    )

    assert settings.electricity.price_per_kwh == 0.25
    assert settings.engines[0].url == "http://127.0.0.1:8000"
    assert settings.other[0].name == "${EVENWATT_TEST_PORT}"


@pytest.mark.parametrize("name", ["", "1A", "A:-default", "A B"])
def test_what_names_no_environment_variable_is_a_fault(name):
    """Only plain names are put in: no defaults, no expressions."""
    faults = faults_in(f'timezone: "${{{name}}}"')

    assert faults == [
        f"1: timezone: '${{{name}}}' names no environment variable; $${{ stands for ${{ itself",
    ]
