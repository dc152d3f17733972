"""The price catalogue of API models: the only importer of `genai_prices`; hands out plain rates in USD.

Rates only: the library's own calculation takes token counts for those of one request, so that sums over many
requests would be billed at the long-context tier.

Run as a module, with the PID of its parent, it answers requests on its standard input and ends with that
parent, which is how `fetch_in_subprocess` uses it.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from evenwatt.errors import SourceContractError, SourceUnavailable

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

__all__ = [
    "FETCH_TIMEOUT_SECONDS",
    "FetchedRates",
    "RateRequest",
    "Rates",
    "ReferenceRates",
    "fetch_in_subprocess",
    "reference_rates",
]

FETCH_TIMEOUT_SECONDS = 30.0
"""Loading the catalogue takes about a second of CPU; a busy server may need longer."""

_CATALOGUE = "genai-prices"
_BATCH = {"processing": "batch"}
_HALF_HOURS = tuple(timedelta(minutes=30 * number) for number in range(48))
_NAMED_ALTERNATIVES = 3
_PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that the kernel sends when the parent dies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRequest:
    """One model to look up.

    Attributes:
        provider: The catalogue's id of who sells it: `anthropic`. Always needed: an open-weight model has as
            many prices as sellers.
        at: When the rates are to hold, with its time zone.
    """

    provider: str
    model: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """USD per million tokens, exact; None where the catalogue has no such rate.

    A rate with tiers is its base: a surcharge on long prompts is a matter of single requests.

    Attributes:
        cached_input_usd_per_mtok: None: cached input is billed as input.
    """

    input_usd_per_mtok: Decimal | None
    cached_input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRates:
    """What one API model costs at a moment.

    Attributes:
        provider: As asked for.
        model: As asked for.
        at: When the rates hold.
        catalogue_model: The catalogue's entry that the name was understood as.
        catalogue_version: Of the library that holds the catalogue.
        batch: None where none are known: the catalogue has batch rates only from 2026-10-14 on, and falls
            back to the standard ones without a word.
        varies_within_day: Whether another hour of that day (UTC) has other standard rates.
    """

    provider: str
    model: str
    at: datetime
    catalogue_model: str
    catalogue_version: str
    standard: Rates
    batch: Rates | None
    varies_within_day: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedRates:
    """The answer to some requests.

    Attributes:
        rates: In the order of the requests, without those that failed.
        faults: A sentence for each request that failed.
    """

    rates: tuple[ReferenceRates, ...]
    faults: tuple[str, ...]


def reference_rates(provider: str, model: str, at: datetime) -> ReferenceRates:
    """Return what an API model costs at a moment.

    Loads the catalogue into this process for good; the agent goes through `fetch_in_subprocess`.

    Args:
        provider: The catalogue's id of the seller.
        model: The model's name, as the seller's API takes it.
        at: A moment with its time zone.

    Raises:
        SourceContractError: The catalogue does not know the provider or the model; the nearest ids are named.
    """
    info = _model_info(provider, model)
    standard = _rates(info.get_prices(at))
    batch = _rates(info.get_prices(at, _BATCH))
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return ReferenceRates(
        provider=provider,
        model=model,
        at=at,
        catalogue_model=info.id,
        catalogue_version=version(_CATALOGUE),
        standard=standard,
        batch=None if batch == standard else batch,
        varies_within_day=any(
            _rates(info.get_prices(midnight + half_hours)) != standard for half_hours in _HALF_HOURS
        ),
    )


def fetch_in_subprocess(
    requests: Iterable[RateRequest], *, timeout_seconds: float = FETCH_TIMEOUT_SECONDS
) -> FetchedRates:
    """Look models up in a short-lived child process, whose memory goes back with it.

    Args:
        requests: Any number; one child answers all.
        timeout_seconds: After which the child is killed.

    Raises:
        SourceUnavailable: The child did not start, did not end in time, or failed.
        SourceContractError: The child's answer cannot be read.
    """
    # -P: a file named like a module in the working directory must not be imported in its place.
    command = [sys.executable, "-P", "-m", "evenwatt.readings.api_prices", str(os.getpid())]
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module, no shell
            command,
            input=json.dumps([asdict(request) for request in requests], default=str),
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
            f"{exc.returncode} of {' '.join(command)}); reinstalling {_CATALOGUE} may help."
        ) from exc
    except OSError as exc:
        raise SourceUnavailable(
            f"The API price catalogue could not be asked: {command[0]!r} did not start ({exc.strerror}); "
            "see whether this Python still exists and whether the system is out of memory or processes."
        ) from exc
    return _parse_fetched(child.stdout)


def _model_info(provider: str, model: str) -> "ModelInfo":
    # Imported here because the catalogue takes some 30 MB, half of what the whole agent may use.
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot  # noqa: PLC0415

    snapshot = get_snapshot()
    try:
        _, info = snapshot.find_provider_model(model, None, provider, None)
    except LookupError as exc:
        known = find_provider_by_id(snapshot.providers, provider)
        if known is None:
            raise _unknown(f"provider {provider!r}", provider, [p.id for p in snapshot.providers]) from exc
        ids = [candidate.id for candidate in known.models]
        raise _unknown(f"model {model!r} of {known.id}", model, ids) from exc
    return info


def _unknown(what: str, name: str, known: Sequence[str]) -> SourceContractError:
    nearest = get_close_matches(name.lower(), known, n=_NAMED_ALTERNATIVES, cutoff=0.5)
    hint = f"; the nearest ids are {', '.join(nearest)}" if nearest else ""
    return SourceContractError(
        f"The API price catalogue ({_CATALOGUE} {version(_CATALOGUE)}) has no {what}{hint}. Name a reference "
        "as provider:model by the catalogue's ids, or write its prices out."
    )


def _rates(price: "ModelPrice") -> Rates:
    return Rates(
        input_usd_per_mtok=_base_rate(price.input_mtok),
        cached_input_usd_per_mtok=_base_rate(price.cache_read_mtok),
        output_usd_per_mtok=_base_rate(price.output_mtok),
    )


def _base_rate(rate: "Decimal | TieredPrices | None") -> Decimal | None:
    return rate if rate is None or isinstance(rate, Decimal) else rate.base


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _parse_fetched(text: str) -> FetchedRates:
    try:
        answer = json.loads(text)
        return FetchedRates(
            rates=tuple(_parse_reference_rates(fields) for fields in answer["rates"]),
            faults=tuple(answer["faults"]),
        )
    except (ValueError, TypeError, KeyError, InvalidOperation) as exc:
        raise SourceContractError(
            f"The API price catalogue's answer cannot be read: found {text[:80]!r} where JSON with rates and "
            "faults is expected. Something may write to the output of every Python program here, such as a "
            "sitecustomize module: look for it."
        ) from exc


def _parse_reference_rates(fields: dict[str, Any]) -> ReferenceRates:
    batch = fields["batch"]
    return ReferenceRates(
        **{
            **fields,
            "at": datetime.fromisoformat(fields["at"]),
            "standard": _parse_rates(fields["standard"]),
            "batch": None if batch is None else _parse_rates(batch),
        }
    )


def _parse_rates(fields: dict[str, Any]) -> Rates:
    return Rates(**{name: None if rate is None else Decimal(rate) for name, rate in fields.items()})


def _answer(text: str) -> str:
    """Return the JSON answer to the JSON requests of `fetch_in_subprocess`."""
    rates, faults = [], []
    for request in json.loads(text):
        at = datetime.fromisoformat(request["at"])
        try:
            rates.append(reference_rates(request["provider"], request["model"], at))
        except SourceContractError as exc:
            faults.append(str(exc))
    return json.dumps(asdict(FetchedRates(rates=tuple(rates), faults=tuple(faults))), default=str)


def _end_with_parent(pid: int) -> None:
    """Have the kernel kill this process when its parent dies, however that dies and whatever hangs here."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != pid:  # it died before it was asked
        sys.exit(f"its parent, PID {pid}, is gone")


if __name__ == "__main__":
    _end_with_parent(int(sys.argv[1]))
    sys.stdout.write(_answer(sys.stdin.read()))
