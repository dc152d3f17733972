"""Secrets: text that is never shown, written out or handed over by systemd."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import PlainValidator

from evenwatt.config.refusals import refused, unexpected

__all__ = ["ApiKey", "Secret"]

_CREDENTIAL = "credential:"
_MAX_CHARACTERS = 65_536


class Secret(pydantic.Secret[str]):
    """Text that prints as `<secret>`; `get_secret_value` hands it to whom it is for."""

    def _display(self) -> str:
        return "<secret>"


def _parse_secret(value: Any) -> Secret:
    text = value if isinstance(value, str) else ""
    if text.startswith(_CREDENTIAL):
        text = _read_credential(text.removeprefix(_CREDENTIAL))
    # It goes into an HTTP header, where a line break would begin another one.
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise unexpected("printable ASCII characters without spaces", secret=True)
    return Secret(text)


def _read_credential(name: str) -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise refused({(): "expected credential:NAME, with the name of a systemd credential"})
    if not folder:
        raise refused(
            {(): f"credential {name} is not there; give it to the service with LoadCredential={name}:FILE"}
        )
    path = Path(folder) / name
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_MAX_CHARACTERS).rstrip("\r\n")
    except OSError as error:
        raise refused({(): f"credential {name} cannot be read from {path}: {error.strerror}"}) from None
    except UnicodeDecodeError:
        raise refused({(): f"credential {name} in {path} is not UTF-8 text"}) from None


ApiKey = Annotated[Secret, PlainValidator(_parse_secret)]
