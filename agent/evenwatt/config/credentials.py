"""Secrets: text that is never shown, written out or handed over by systemd."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from evenwatt.config.refusals import told, unexpected

__all__ = ["ApiKey", "Secret", "parse_secret"]

_CREDENTIAL = "credential:"
_MAX_CHARACTERS = 65_536
_SERVICE = "evenwatt"
"""The name that the unit gives the folder; systemd calls the files in it `evenwatt_NAME`."""

SYSTEM_CREDENTIALS = Path("/etc/evenwatt/credentials")


class Secret:
    """Text that prints as `<secret>`; `get_secret_value` hands it to whom it is for."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._text

    def __eq__(self, other: object) -> bool:
        """Say whether it is the same text."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """Return the hash of the text."""
        return hash(self._text)

    def __repr__(self) -> str:
        """Return what may be shown."""
        return "<secret>"


def parse_secret(value: Any) -> Secret:
    """Return the secret that a value is, or names.

    Raises:
        Refused: It is none, or what it names cannot be had.
    """
    text = value if isinstance(value, str) else ""
    if text.startswith(_CREDENTIAL):
        text = _read_credential(text.removeprefix(_CREDENTIAL))
    # It goes into an HTTP header, where a line break would begin another one.
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise unexpected("printable ASCII characters without spaces", secret=True)
    return Secret(text)


def _read_credential(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise told("expected credential:NAME, with the name of a systemd credential")
    path = _credential_file(name)
    if path is None:
        raise told(
            f"credential {name} is not there; write it to {SYSTEM_CREDENTIALS / name}, readable by root "
            "alone, and start the service again (commands need sudo), or give it to a service of your own "
            f"with LoadCredential={name}:FILE"
        )
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_MAX_CHARACTERS).rstrip("\r\n")
    except OSError as error:
        raise told(f"credential {name} cannot be read from {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise told(f"credential {name} in {path} is not UTF-8 text") from None


def _credential_file(name: str) -> Path | None:
    """Return where a credential lies: handed over by systemd, by itself or in the folder of all of them.

    A command that root types is handed nothing, but may look where the service gets them from.
    """
    handed_over = os.environ.get("CREDENTIALS_DIRECTORY")
    if handed_over:
        by_itself, among_all = Path(handed_over) / name, Path(handed_over) / f"{_SERVICE}_{name}"
        return among_all if among_all.exists() and not by_itself.exists() else by_itself
    path = SYSTEM_CREDENTIALS / name
    return path if os.access(path, os.R_OK) else None


ApiKey = Annotated[Secret, parse_secret]
