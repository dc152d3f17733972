"""The way from a file to settings; everything that is wrong with it is told at once."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from evenwatt.config.document import Unreadable, read_document
from evenwatt.config.faults import Fault, Place
from evenwatt.config.options import Override, lay_over, rendered_faults
from evenwatt.config.places import find_config
from evenwatt.config.proxy import Proxy
from evenwatt.config.refusals import Misfit, Refused
from evenwatt.config.schema import Settings
from evenwatt.config.wording import faults_of, in_words
from evenwatt.errors import ConfigError

__all__ = ["load", "parse_proxy", "parse_settings"]

_MAX_BYTES = 1 << 20
_SWITCH = re.compile(r"\b(\w+): true\b")
"""How faults name a key to write, which is an option on the command line."""


def load(path: Path | None = None, overrides: Sequence[Override] = ()) -> Settings:
    """Return the settings of a file, or of the one that `find_config` finds, or the defaults.

    Args:
        path: The file; None: the usual places.
        overrides: What the command line says instead.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong; it carries all faults.
    """
    path = path or find_config()
    if path is None:
        return parse_settings(b"", "options", overrides) if overrides else Settings()
    return parse_settings(_read(path), str(path), overrides)


def parse_settings(content: bytes, file: str, overrides: Sequence[Override] = ()) -> Settings:
    """Return the settings that the content of a file stands for.

    Args:
        content: What the file holds.
        file: What to call it in a fault.
        overrides: What the command line says instead.

    Raises:
        ConfigError: Something in it is wrong; it carries all faults, in the order of the lines.
    """
    settings, faults = _settings_and_faults(content, overrides)
    if settings is None or faults:
        # Raised here and not where they were found: what was found must not travel along as the cause.
        raise ConfigError(rendered_faults(faults, overrides, file))
    return settings


def parse_proxy(options: Mapping[str, str | None]) -> Proxy:
    """Return the proxy that options of a command stand for, each under the key that it has in the file.

    Raises:
        ConfigError: Something in them is wrong; it carries all faults.
    """
    try:
        return Proxy.parsed(options)
    except Refused as refusal:
        faults = tuple(_option_fault(misfit, options) for misfit in refusal.misfits)
    raise ConfigError(faults)


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _option_fault(misfit: Misfit, options: Mapping[str, str | None]) -> str:
    key = str(misfit.path[0])
    text = in_words(misfit, Place(line=0, found="text", text=options.get(key)))
    return f"{_option(key)}: {_SWITCH.sub(lambda switch: _option(switch[1]), text)}"


def _settings_and_faults(
    content: bytes, overrides: Sequence[Override]
) -> tuple[Settings | None, list[Fault]]:
    try:
        document = read_document(_decoded(content))
    except Unreadable as error:
        return None, [error.fault]
    lay_over(document, overrides)
    faults = document.faults
    try:
        return Settings.parsed(document.values), faults
    except Refused as refusal:
        at_fault = {fault.path for fault in faults}
        return None, [
            *faults,
            *(fault for fault in faults_of(refusal, document.places) if fault.path not in at_fault),
        ]


def _decoded(content: bytes) -> str:
    if len(content) > _MAX_BYTES:
        raise Unreadable(f"larger than {_MAX_BYTES:,} bytes; expected a configuration of evenwatt")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(
            f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8", line
        ) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        reason = "there is no such file; check the path, or leave it out for the defaults"
    except IsADirectoryError:
        reason = "is a folder; name the file in it"
    except PermissionError:
        reason = "may not be read by this user; change its owner or mode"
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise ConfigError((f"{path}: {reason}",))
