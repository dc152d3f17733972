"""Whatever a file holds, the answer is settings or finished sentences."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from config_fixtures import fields_of
from evenwatt.config import Settings, parse_settings
from evenwatt.errors import ConfigError

WORDS = ("pydantic", "Input should", "validator", "Traceback", "type=", "NoneType", "function-plain")

KEYS = sorted({part.strip("[]") for key, _ in fields_of() for part in key.split(".")})
LIKELY = [
    "0",
    "1",
    "-1",
    "730",
    "0.5",
    "1e9",
    "nan",
    "true",
    "EUR",
    "USD",
    "UTC",
    "owned",
    "sunk",
    "rented_active",
    "vllm",
    "chat",
    "24h",
    "month",
    "2026-01-01",
    "http://a",
    "/a",
    "127.0.0.1:1",
    "openai:gpt-4o-mini",
    "${HOME}",
    "$${",
    "credential:a",
    "GPU-01234567-89ab-cdef-0123-456789abcdef",
]
TEXTS = st.text(max_size=20) | st.sampled_from(LIKELY)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.binary(max_size=4) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | TEXTS, inner, max_size=6)
    ),
    max_leaves=30,
)
FILES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)


def answered_well(content):
    """Say whether a file is answered by settings, or by faults that a person can read."""
    try:
        return isinstance(parse_settings(content, "config.yaml"), Settings)
    except ConfigError as error:
        faults = error.faults
        assert faults
        assert all(fault.startswith("config.yaml:") and fault.isprintable() for fault in faults)
        assert not any(word in fault for fault in faults for word in WORDS)
        return True


@given(FILES)
def test_any_structure_is_answered_by_settings_or_faults(values):
    """Any value under any key, in any shape, is taken or refused in words."""
    assert answered_well(yaml.safe_dump(values, allow_unicode=True).encode())


@given(st.text(max_size=200))
def test_any_text_is_answered_by_settings_or_faults(text):
    """Any text at all is taken or refused in words."""
    assert answered_well(text.encode("utf-8", "surrogatepass"))


@given(
    st.lists(
        st.sampled_from([*"[]{}:,-?&*!|>'\"%@`#~ \n\t", "a", "1", "- ", ": ", "<<", "---\n", "\\x", "\\U"])
    )
)
def test_any_soup_of_yaml_marks_is_answered_by_settings_or_faults(marks):
    """Marks of YAML in any order are taken or refused in words."""
    assert answered_well("".join(marks).encode())


@given(st.binary(max_size=100))
def test_any_bytes_are_answered_by_settings_or_faults(content):
    """What is no text at all is refused in words."""
    assert answered_well(content)
