"""Asking for API prices: in this process, in a child whose memory goes back with it, or from a small file.

Run as a module, with the PID of its parent, it answers requests on its standard input and ends with that
parent, which is how `fetch_in_subprocess` uses it. A second argument is the path of what a refresh kept.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import to_builtins

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.api_catalogue import CATALOGUE, bundled_catalogue, catalogue_version, fetched_catalogue
from evenwatt.readings.api_rates import (
    FetchedRates,
    RateRequest,
    Rates,
    ReferenceRates,
    parse_fetched_rates,
    parse_reference_rates,
)

__all__ = [
    "FetchedRates",
    "RateRequest",
    "Rates",
    "ReferenceRates",
    "cached_rates",
    "fetch_in_subprocess",
    "reference_rates",
]

_FETCH_TIMEOUT_SECONDS = 30.0
"""Loading the catalogue takes about a second of CPU; a busy server may need longer."""

_CACHE_FILE = "api-prices.json"
_PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that the kernel sends when the parent dies."""
_WITHOUT_PLUGINS = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""The catalogue is made of pydantic, which would spend a tenth of the child's time on looking for plugins."""


def reference_rates(
    provider: str, model: str, at: datetime, *, fetched: Path | None = None
) -> ReferenceRates:
    """Return what an API model costs at a moment.

    Loads the catalogue into this process for good; the agent goes through `fetch_in_subprocess`.

    Args:
        provider: The catalogue's id of the seller.
        model: The model's name, as the seller's API takes it.
        at: A moment with its time zone.
        fetched: What a refresh kept, for models that the library's own catalogue does not know.

    Raises:
        SourceContractError: No catalogue knows the provider or the model; the nearest ids are named.
    """
    try:
        return bundled_catalogue().rates(provider, model, at)
    except SourceContractError:
        newer = None if fetched is None else fetched_catalogue(fetched)
        if newer is None:
            raise
    return newer.rates(provider, model, at)


def cached_rates(
    references: Iterable[str], *, at: datetime, cache: Path | None = None, fetched: Path | None = None
) -> FetchedRates:
    """Return what API models cost on a day, from a small file where they were looked up on it before.

    Loading the catalogue takes a quarter of a second; the file takes a millisecond. It is kept by the
    library's version, the day and the reference, and passed over where it cannot be read or written.

    Args:
        references: As `provider:model`.
        at: A moment with its time zone.
        cache: The file; None: in the user's cache folder.
        fetched: As for `reference_rates`.
    """
    path = _user_cache() if cache is None else cache
    day = f"{catalogue_version()} {at.astimezone(UTC).date()}"
    known = _read_cache(path, day)
    rates, faults, is_new = [], [], False
    for reference in references:
        found = known.get(reference)
        if found is None:
            try:
                found = reference_rates(*_parts(reference), at, fetched=fetched)
            except SourceContractError as exc:
                faults.append(str(exc))
                continue
            known[reference], is_new = found, True
        rates.append(found)
    if is_new:
        _write_cache(path, day, known)
    return FetchedRates(rates=tuple(rates), faults=tuple(faults))


def _parts(reference: str) -> tuple[str, str]:
    provider, _, model = reference.partition(":")
    return provider, model


def _user_cache() -> Path:
    import platformdirs  # noqa: PLC0415 -- needed where nobody names a file

    return platformdirs.user_cache_path("evenwatt") / _CACHE_FILE


def _read_cache(path: Path, day: str) -> dict[str, ReferenceRates]:
    try:
        kept = json.loads(path.read_bytes())
        return {name: parse_reference_rates(fields) for name, fields in kept[day].items()}
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
        return {}  # none yet, of another day, or spoilt: it is written anew


def _write_cache(path: Path, day: str, known: Mapping[str, ReferenceRates]) -> None:
    # Written aside and put in its place at once: a reader never sees half a file.
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    kept = {day: {name: to_builtins(rates) for name, rates in known.items()}}
    with suppress(OSError):  # a cache that cannot be written costs time, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_text(json.dumps(kept, default=str), encoding="utf-8")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def fetch_in_subprocess(
    requests: Iterable[RateRequest],
    *,
    fetched: Path | None = None,
    timeout_seconds: float = _FETCH_TIMEOUT_SECONDS,
) -> FetchedRates:
    """Look models up in a short-lived child process, whose memory goes back with it.

    Args:
        requests: Any number; one child answers all.
        fetched: As for `reference_rates`.
        timeout_seconds: After which the child is killed.

    Raises:
        SourceUnavailable: The child did not start, did not end in time, or failed.
        SourceContractError: The child's answer cannot be read.
    """
    # -P: a file named like a module in the working directory must not be imported in its place.
    command = [sys.executable, "-P", "-m", "evenwatt.readings.api_prices", str(os.getpid())]
    command += [] if fetched is None else [str(fetched)]
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module, no shell
            command,
            env={**os.environ, **_WITHOUT_PLUGINS},
            input=json.dumps([to_builtins(request) for request in requests], default=str),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=True,
        )
    except subprocess.TimeoutExpired as exc:
        raise SourceUnavailable(
            f"The API price catalogue gave no answer within {timeout_seconds:g} s ({' '.join(command)}); "
            "it is asked again later, and prices accepted before stay in use."
        ) from exc
    except subprocess.CalledProcessError as exc:
        raise SourceUnavailable(
            f"The API price catalogue could not be read: {_last_line(exc.stderr)} (exit status "
            f"{exc.returncode} of {' '.join(command)}); reinstalling {CATALOGUE} may help."
        ) from exc
    except OSError as exc:
        raise SourceUnavailable(
            f"The API price catalogue could not be asked: {command[0]!r} did not start ({exc.strerror}); "
            "see whether this Python still exists and whether the system is out of memory or processes."
        ) from exc
    return _parse_fetched(child.stdout)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _parse_fetched(text: str) -> FetchedRates:
    try:
        return parse_fetched_rates(json.loads(text))
    except (ValueError, TypeError, KeyError, ArithmeticError) as exc:
        raise SourceContractError(
            f"The API price catalogue's answer cannot be read: found {text[:80]!r} where JSON with rates and "
            "faults is expected. Something may write to the output of every Python program here, such as a "
            "sitecustomize module: look for it."
        ) from exc


def _answer(text: str, fetched: Path | None) -> str:
    """Return the JSON answer to the JSON requests of `fetch_in_subprocess`."""
    rates, faults = [], []
    for request in json.loads(text):
        at = datetime.fromisoformat(request["at"])
        try:
            rates.append(reference_rates(request["provider"], request["model"], at, fetched=fetched))
        except SourceContractError as exc:
            faults += [] if request["is_optional"] else [str(exc)]
    return json.dumps(to_builtins(FetchedRates(rates=tuple(rates), faults=tuple(faults))), default=str)


def _end_with_parent(pid: int) -> None:
    """Have the kernel kill this process when its parent dies, however that dies and whatever hangs here."""
    import ctypes  # noqa: PLC0415 -- for the child alone, and half as long as all else here for who reads prices

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != pid:  # it died before it was asked
        sys.exit(f"its parent, PID {pid}, is gone")


if __name__ == "__main__":
    _end_with_parent(int(sys.argv[1]))
    sys.stdout.write(_answer(sys.stdin.read(), next(map(Path, sys.argv[2:]), None)))
