"""Public holidays by country and region: the only importer of `holidays`; hands out plain dates.

The library takes some 20 MB, a third of what the whole agent may use, and is asked once: run as a module it
prints the dates, which is how `holiday_dates` uses it.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches

from evenwatt.errors import SourceContractError, SourceUnavailable

__all__ = ["holiday_dates"]

_TIMEOUT_SECONDS = 30.0
_UNKNOWN_EXIT = 3
"""Exit status where the library does not know the country or the subdivision; stdout then says so."""


def holiday_dates(country: str, subdivision: str | None, years: Iterable[int]) -> frozenset[date]:
    """Return the public holidays of some years; waits for a child process.

    Args:
        country: ISO 3166 code.
        subdivision: Of the country; None: only what is a holiday everywhere in it.
        years: Of the calendar.

    Raises:
        SourceContractError: The library does not know the country or the subdivision.
        SourceUnavailable: It could not be asked.
    """
    # -P: a file named like a module in the working directory must not be imported in its place.
    command = [sys.executable, "-P", "-m", "evenwatt.readings.holiday_dates"]
    request = json.dumps({"country": country, "subdivision": subdivision, "years": sorted(set(years))})
    try:
        child = subprocess.run(  # noqa: S603 -- our own interpreter and module, no shell
            command, input=request, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceUnavailable(f"the public holidays could not be looked up: {error}") from error
    if child.returncode == _UNKNOWN_EXIT:
        raise SourceContractError(child.stdout.strip())
    if child.returncode:
        lines = child.stderr.strip().splitlines() or ["it said nothing"]
        raise SourceUnavailable(
            f"the public holidays could not be looked up: {lines[-1]}; reinstalling holidays may help"
        )
    return frozenset(date.fromisoformat(day) for day in json.loads(child.stdout))


def _dates(country: str, subdivision: str | None, years: list[int]) -> list[str]:
    """Return the dates as ISO 8601.

    Raises:
        LookupError: With a sentence that names what is near.
    """
    from holidays import country_holidays, list_supported_countries  # noqa: PLC0415 -- see above

    known = list_supported_countries()
    if country not in known:
        raise LookupError(f"no country {country!r} is known{_near(country, known)}")
    if subdivision is not None and subdivision not in known[country]:
        raise LookupError(
            f"no subdivision {subdivision!r} of {country} is known{_near(subdivision, known[country])}"
        )
    found = country_holidays(country, subdiv=subdivision, years=years)
    return sorted(day.isoformat() for day in found)


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    nearest = get_close_matches(name.upper(), names, n=3, cutoff=0.5) or names[:20]
    return f"; known are {', '.join(nearest)}" if nearest else "; it has none"


def _answer(text: str) -> int:
    """Print the answer to the JSON request of `holiday_dates`, and return the exit status."""
    request = json.loads(text)
    try:
        answer, status = json.dumps(_dates(**request)), 0
    except LookupError as error:
        answer, status = str(error), _UNKNOWN_EXIT
    sys.stdout.write(answer)
    return status


if __name__ == "__main__":
    sys.exit(_answer(sys.stdin.read()))
