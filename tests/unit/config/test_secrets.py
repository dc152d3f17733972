"""Secrets are usable and never seen."""

import pytest

from config_fixtures import faults_in, settings_of
from evenwatt.config import parse_settings
from evenwatt.errors import ConfigError

ENGINE = 'engines: [{name: chat, url: "http://127.0.0.1:8000", api_key: "%s"}]'
HIDDEN = "sk-7f3a"


def test_a_secret_prints_as_such():
    """The settings can be printed: the key is there for whom it is for, and in no text of them."""
    settings = settings_of(ENGINE % HIDDEN)
    key = settings.engines[0].api_key

    assert key.get_secret_value() == HIDDEN
    assert str(key) == f"{key}" == "<secret>"
    assert HIDDEN not in f"{settings!r}{settings}{key!r}"


@pytest.mark.parametrize(
    "text",
    [
        ENGINE % f"{HIDDEN} with spaces",
        f"engines: [{{name: chat, url: http://a, api_key: [{HIDDEN}]}}]",
        f"engines: [{{name: chat, url: http://a, api_keey: {HIDDEN}}}]",
        f"engines: [{{name: chat, url: http://user:{HIDDEN}@a/}}]",
        f"engines: [{{name: chat, url: 'http://a/?key={HIDDEN}'}}]",
        f"engines: [api_key={HIDDEN}]",
        f"api_key: {HIDDEN}",
    ],
)
def test_no_fault_shows_a_secret(text):
    """A secret in the wrong form or place is refused without being repeated."""
    with pytest.raises(ConfigError) as error:
        parse_settings(text.encode(), "config.yaml")

    assert HIDDEN not in str(error.value)
    assert error.value.__context__ is None


def test_no_fault_shows_what_the_environment_holds(monkeypatch):
    """A value from the environment is shown as it is written in the file."""
    monkeypatch.setenv("EVENWATT_TEST_SECRET", HIDDEN)

    (fault,) = faults_in("timezone: ${EVENWATT_TEST_SECRET}")

    assert (
        fault == "1: timezone: got ${EVENWATT_TEST_SECRET}, expected an IANA time zone, such as Europe/Berlin"
    )


def test_a_secret_from_the_environment_may_look_like_a_number(monkeypatch):
    """Digits in a variable stay the text that they are."""
    monkeypatch.setenv("EVENWATT_TEST_SECRET", "0123")

    settings = settings_of(ENGINE % "${EVENWATT_TEST_SECRET}")

    assert settings.engines[0].api_key.get_secret_value() == "0123"


def test_a_credential_is_read_from_the_folder_that_systemd_names(monkeypatch, tmp_path):
    """credential:NAME is the file of that name, without the line break that editors add."""
    (tmp_path / "chat-key").write_text(HIDDEN + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    settings = settings_of(ENGINE % "credential:chat-key")

    assert settings.engines[0].api_key.get_secret_value() == HIDDEN


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", "credential absent cannot be read from"),
        ("binary", "is not UTF-8 text"),
        ("empty", "expected printable ASCII characters"),
        ("../chat-key", "expected credential:NAME, with the name of a systemd credential"),
        ("..", "expected credential:NAME"),
        ("", "expected credential:NAME"),
    ],
)
def test_a_credential_that_cannot_be_used_is_a_fault(monkeypatch, tmp_path, name, words):
    """A credential that is absent, unreadable, empty or outside its folder is told like any other fault."""
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "empty").write_bytes(b"\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    (fault,) = faults_in(ENGINE % f"credential:{name}")

    assert fault.startswith("1: engines[0].api_key: ")
    assert words in fault


def test_a_credential_without_systemd_says_how_to_load_it(monkeypatch):
    """Outside the service there are no credentials; the fault names the line for the unit."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)

    (fault,) = faults_in(ENGINE % "credential:chat-key")

    assert "LoadCredential=chat-key:FILE" in fault


def test_a_credential_is_found_in_the_folder_that_the_unit_hands_over(monkeypatch, tmp_path):
    """The shipped unit hands over a whole folder, whose files systemd calls evenwatt_NAME."""
    (tmp_path / "evenwatt_chat-key").write_text("abc\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    (engine,) = settings_of(ENGINE % "credential:chat-key").engines

    assert engine.api_key.get_secret_value() == "abc"
