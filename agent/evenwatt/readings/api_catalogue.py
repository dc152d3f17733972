"""The price catalogue as a library: the only importer of `genai_prices`; hands out plain rates.

Rates only: the library's own calculation takes token counts for those of one request, so that sums over many
requests would be billed at the long-context tier. What asks here has the whole catalogue in its memory for
good: the agent goes through `api_prices`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from evenwatt.economics.api import RateTier
from evenwatt.errors import SourceContractError
from evenwatt.readings.api_rates import DatedRates, Rates, ReferenceRates

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

__all__ = [
    "CATALOGUE",
    "Catalogue",
    "bundled_catalogue",
    "catalogue_version",
    "fetched_catalogue",
    "parsed_catalogue",
]

CATALOGUE = "genai-prices"

_BATCH = {"processing": "batch"}
_HALF_HOURS = tuple(timedelta(minutes=30 * number) for number in range(48))
_NAMED_ALTERNATIVES = 3
_INPUT_ONLY_WORDS = re.compile(r"embed|rerank|\b(bge|gte)\b", re.IGNORECASE)
"""What the catalogue calls models that give no output tokens; it has no mark of its own for them."""


def catalogue_version() -> str:
    """Return the version of the library that holds the catalogue."""
    from importlib.metadata import version  # noqa: PLC0415 -- longer than all else that most commands read here

    return version(CATALOGUE)


class Catalogue(Struct, frozen=True, kw_only=True):
    """All providers and models of one edition.

    Attributes:
        fetched_on: The day of the refresh that it comes from; None: it came with the library.
    """

    snapshot: "DataSnapshot"
    fetched_on: date | None = None

    def rates(self, provider: str, model: str, at: datetime) -> ReferenceRates:
        """Return what an API model costs at a moment.

        Raises:
            SourceContractError: The catalogue does not know the provider or the model; the nearest ids are
                named.
        """
        seller, info = self._found(provider, model)
        is_input_only = _bills_input_only(seller, info, at)
        entries = tuple(_entries(info, at, is_input_only=is_input_only))
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        within_day = (_standard(info, midnight + half, is_input_only=is_input_only) for half in _HALF_HOURS)
        return ReferenceRates(
            provider=provider,
            model=model,
            at=at,
            catalogue_model=info.id,
            catalogue_version=catalogue_version(),
            fetched_on=self.fetched_on,
            standard=entries[-1].standard,
            batch=entries[-1].batch,
            bills_input_only=is_input_only,
            rates_within_day=tuple(dict.fromkeys(within_day)),
            entries=entries,
        )

    def ids(self) -> Iterator[tuple[str, str]]:
        """Yield each model's id, `provider:model`, with its name in the catalogue."""
        for provider in self.snapshot.providers:
            for info in provider.models:
                yield f"{provider.id}:{info.id}", info.name or ""

    def _found(self, provider: str, model: str) -> "tuple[Provider, ModelInfo]":
        from genai_prices.data_snapshot import find_provider_by_id  # noqa: PLC0415 -- see bundled_catalogue

        try:
            return self.snapshot.find_provider_model(model, None, provider, None)
        except LookupError as exc:
            known = find_provider_by_id(self.snapshot.providers, provider)
            if known is None:
                ids = [p.id for p in self.snapshot.providers]
                raise self._unknown(f"provider {provider!r}", provider, ids) from exc
            models = {candidate.id: candidate for candidate in known.models}
            if model in models:  # the library finds names as APIs answer them; some of its own ids are none
                return known, models[model]
            raise self._unknown(f"model {model!r} of {known.id}", model, list(models)) from exc

    def _unknown(self, what: str, name: str, known: Sequence[str]) -> SourceContractError:
        nearest = get_close_matches(name.lower(), known, n=_NAMED_ALTERNATIVES, cutoff=0.5)
        hint = f"; the nearest ids are {', '.join(nearest)}" if nearest else ""
        fetched = "" if self.fetched_on is None else f", fetched {self.fetched_on}"
        return SourceContractError(
            f"The API price catalogue ({CATALOGUE} {catalogue_version()}{fetched}) has no {what}{hint}. Name "
            "a reference as provider:model by the catalogue's ids (find them with `evenwatt prices search`), "
            "or write its prices out."
        )


@cache
def bundled_catalogue() -> Catalogue:
    """Return the catalogue that came with the library."""
    # Imported here because the catalogue takes some 30 MB, half of what the whole agent may use.
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415

    return Catalogue(snapshot=get_snapshot())


def fetched_catalogue(path: Path) -> Catalogue | None:
    """Return the catalogue that a refresh kept; None where there is none for this version of the library.

    Raises:
        SourceContractError: What is kept cannot be read.
    """
    try:
        kept = json.loads(path.read_bytes())
        if kept["catalogue_version"] != catalogue_version():
            return None  # the library that came since brought a catalogue of its own
        return parsed_catalogue(kept["providers"], fetched_on=date.fromisoformat(kept["fetched_on"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise SourceContractError(
            f"{path}: the API prices that were fetched cannot be read ({exc}); fetch them again with "
            "`evenwatt prices refresh`, or remove the file"
        ) from exc


def parsed_catalogue(providers: Any, *, fetched_on: date) -> Catalogue:
    """Return the catalogue that is served as a list of providers, in the library's format of data.

    Raises:
        SourceContractError: It is something else, or of a format that this version of the library does not
            read.
    """
    from genai_prices.data_snapshot import DataSnapshot  # noqa: PLC0415 -- see bundled_catalogue

    # The library reads a served list only where it fetches it itself, and then keeps no copy to come back to.
    from genai_prices.types import _providers_from_raw  # noqa: PLC0415

    if not isinstance(providers, list) or not providers:
        raise SourceContractError(f"expected a list of providers in the format of {CATALOGUE}")
    try:
        parsed = _providers_from_raw(providers)
    except (ValueError, TypeError, LookupError, AttributeError) as exc:
        said = " ".join(line.strip() for line in str(exc).splitlines()[:3])
        raise SourceContractError(
            f"not in the format of {CATALOGUE} {catalogue_version()}: {said}; a newer library may read it"
        ) from exc
    return Catalogue(snapshot=DataSnapshot(parsed, from_auto_update=True), fetched_on=fetched_on)


def _entries(info: "ModelInfo", at: datetime, *, is_input_only: bool) -> Iterator[DatedRates]:
    """Yield what held until a moment, at its time of day, each entry where it differs from the one before."""
    moment = at.astimezone(UTC)
    before = None
    for day in (None, *sorted(day for day in _change_days(info) if day <= moment.date())):
        when = datetime.combine(day or date.min, moment.time(), UTC)
        standard = _standard(info, when, is_input_only=is_input_only)
        entry = (standard, _batch(info, when, standard, is_input_only=is_input_only))
        if entry != before:
            yield DatedRates(valid_from=day, standard=entry[0], batch=entry[1])
        before = entry


def _change_days(info: "ModelInfo") -> set[date]:
    from genai_prices.types import ModelPrice, StartDateConstraint  # noqa: PLC0415 -- see bundled_catalogue

    prices = () if isinstance(info.prices, ModelPrice) else info.prices
    constraints = [entry.constraint for entry in (*prices, *(info.price_variants or ()))]
    return {each.start_date for each in constraints if isinstance(each, StartDateConstraint)}


def _standard(info: "ModelInfo", when: datetime, *, is_input_only: bool) -> Rates:
    return _rates(info.get_prices(when), is_input_only=is_input_only)


def _batch(info: "ModelInfo", when: datetime, standard: Rates, *, is_input_only: bool) -> Rates | None:
    """Return the batch rates; the library answers with standard ones, one by one, where it has none."""
    found = _rates(info.get_prices(when, _BATCH), is_input_only=is_input_only)
    if (found.input_usd_per_mtok, found.output_usd_per_mtok) == (
        standard.input_usd_per_mtok,
        standard.output_usd_per_mtok,
    ):
        return None

    def own(rate: Decimal | None, standard_rate: Decimal | None) -> Decimal | None:
        return None if rate == standard_rate else rate

    return Rates(
        input_usd_per_mtok=found.input_usd_per_mtok,
        output_usd_per_mtok=found.output_usd_per_mtok,
        cached_input_usd_per_mtok=own(found.cached_input_usd_per_mtok, standard.cached_input_usd_per_mtok),
        cache_write_usd_per_mtok=own(found.cache_write_usd_per_mtok, standard.cache_write_usd_per_mtok),
    )


def _bills_input_only(provider: "Provider", info: "ModelInfo", at: datetime) -> bool:
    """Return whether a model without an output price gives no output, so that its price is whole.

    Where the catalogue merely does not know the price of the output, taking it for free would be a lie.
    """
    price = info.get_prices(at)
    if price.input_mtok is None or any(key.startswith("output_") for key in _priced(price)):
        return False
    words = " ".join(filter(None, (info.id, info.name, info.description)))
    return bool(_INPUT_ONLY_WORDS.search(words)) or not any(
        "output_mtok" in _priced(other.get_prices(at)) for other in provider.models
    )


def _priced(price: "ModelPrice") -> set[str]:
    return {key for key, value in vars(price).items() if value is not None}


def _rates(price: "ModelPrice", *, is_input_only: bool) -> Rates:
    output = Decimal(0) if is_input_only else price.output_mtok
    return Rates(
        input_usd_per_mtok=_rate(price.input_mtok),
        cached_input_usd_per_mtok=_rate(price.cache_read_mtok),
        output_usd_per_mtok=_rate(output),
        cache_write_usd_per_mtok=_rate(price.cache_write_mtok),
        tiers=tuple(_tiers(price, output)),
    )


def _rate(rate: "Decimal | TieredPrices | None", *, input_tokens: int = 0) -> Decimal | None:
    """Return the rate for a request of a size; that of no size is the base."""
    if rate is None or isinstance(rate, Decimal):
        return rate
    begun = [tier.price for tier in rate.tiers if input_tokens > tier.start]
    return begun[-1] if begun else rate.base


def _tiers(price: "ModelPrice", output: "Decimal | TieredPrices | None") -> Iterator[RateTier]:
    """Yield whole tiers, where the catalogue has thresholds at each rate by itself."""
    fields = (price.input_mtok, price.cache_read_mtok, output, price.cache_write_mtok)
    tiered = [rate for rate in fields if rate is not None and not isinstance(rate, Decimal)]
    for start in sorted({tier.start for rate in tiered for tier in rate.tiers}):
        of_input, cached, of_output, cache_write = (_rate(rate, input_tokens=start + 1) for rate in fields)
        if of_input is not None and of_output is not None:
            yield RateTier(
                above_input_tokens=start,
                input_usd_per_mtok=of_input,
                output_usd_per_mtok=of_output,
                cached_input_usd_per_mtok=cached,
                cache_write_usd_per_mtok=cache_write,
            )
