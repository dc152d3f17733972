"""Where things lie on this machine when nobody says: the file, the history, the time zone."""

import os
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

__all__ = ["SYSTEM_CONFIG", "default_history_path", "find_config", "system_timezone"]

SYSTEM_CONFIG = Path("/etc/evenwatt/config.yaml")

_SYSTEM_STATE = Path("/var/lib/evenwatt")
_LOCALTIME = Path("/etc/localtime")
_HISTORY = "history.db"


def find_config(system: Path = SYSTEM_CONFIG) -> Path | None:
    """Return the configuration file to use when none is named: the machine's, else the user's, else None."""
    return next((path for path in (system, *_user_config()) if _may_exist(path)), None)


def _user_config() -> tuple[Path, ...]:
    from platformdirs import user_config_path  # noqa: PLC0415 -- few ask, and it takes as long as YAML

    try:
        return (user_config_path("evenwatt") / "config.yaml",)
    except RuntimeError:  # a service whose user systemd made up has no home
        return ()


def _may_exist(path: Path) -> bool:
    # What may not be looked at is not passed over in silence: reading it says why it cannot be used.
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def default_history_path() -> Path:
    """Return where the history lies: in systemd's state folder, else the machine's, else the user's."""
    # systemd separates several folders by colons.
    granted = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if granted:
        return Path(granted) / _HISTORY
    if os.geteuid() == 0:
        return _SYSTEM_STATE / _HISTORY
    from platformdirs import user_state_path  # noqa: PLC0415 -- as above

    try:
        return user_state_path("evenwatt") / _HISTORY
    except RuntimeError:  # a user without a home
        return _SYSTEM_STATE / _HISTORY


def system_timezone(localtime: Path = _LOCALTIME) -> tzinfo:
    """Return the zone of $TZ where it names one, else of /etc/localtime, else UTC.

    $TZ as a rule of its own (`CET-1CEST`) is passed over: it has no history and no name.
    """
    target = str(localtime.resolve())
    for name in (os.environ.get("TZ", "").removeprefix(":"), target.partition("/zoneinfo/")[2]):
        try:
            return ZoneInfo(name)
        except (LookupError, OSError, ValueError):
            continue
    try:
        with localtime.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC
