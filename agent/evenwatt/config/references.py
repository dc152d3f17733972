"""The API models to compare with: by the catalogue's prices, or with prices written out, by date."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Struct

from evenwatt.config.refusals import KeyPath, unexpected
from evenwatt.config.section import Section
from evenwatt.config.values import Day, Flag, Label, Money

__all__ = ["ApiPrices", "CatalogueReference", "DatedPrices", "PricedReference", "Reference"]

_CATALOGUE_NAME = re.compile(r"[^\s:]+:[\x21-\x7e]+")


class ApiPrices(Section, frozen=True, kw_only=True):
    """How API prices are taken.

    Attributes:
        accept_catalogue (yes or no): `true`: a price that the catalogue changes counts at once; `false`: it
            waits for `evenwatt prices accept`.
        cache_write_surcharge (yes or no): `true`: with the observed cache hits, computed input is billed at
            `cache_write`.
    """

    accept_catalogue: Flag = False
    cache_write_surcharge: Flag = False


class CatalogueReference(Struct, frozen=True, kw_only=True):
    """An API model whose prices are in the price catalogue.

    Attributes:
        name: `provider:model`, as written.
    """

    name: str

    @property
    def provider(self) -> str:
        """What stands before the first colon."""
        return self.name.partition(":")[0]

    @property
    def model(self) -> str:
        """What stands after the first colon; it may hold colons itself."""
        return self.name.partition(":")[2]


class DatedPrices(Section, frozen=True, kw_only=True):
    """The prices of an API from a day on, in USD per Mtok.

    Attributes:
        valid_from (date): First day of these prices, in `timezone`; the earliest first.
        input (USD per Mtok): Price of input tokens.
        output (USD per Mtok): Price of output tokens.
        cached_input (USD per Mtok): Price of cached input tokens. None: the price of `input`.
        cache_write (USD per Mtok): Price of input that is written to the cache. None: the price of `input`.
        batch_input (USD per Mtok): Price of input in batch. None: no batch price.
        batch_output (USD per Mtok): Price of output in batch. None: no batch price.
        batch_cached_input (USD per Mtok): Price of cached input in batch. None: the price of `batch_input`.
    """

    valid_from: Day
    input: Money
    output: Money
    cached_input: Money | None = None
    cache_write: Money | None = None
    batch_input: Money | None = None
    batch_output: Money | None = None
    batch_cached_input: Money | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        return _rate_faults(self)


class PricedReference(Section, frozen=True, kw_only=True):
    """An API model with its prices in USD per Mtok written out, once or with their days.

    With the name of a catalogue's model it goes before the catalogue, from its first day on.

    Attributes:
        name: Name of an API model with your own prices, each its own.
        input (USD per Mtok): Price of input tokens. None: with `prices` alone.
        output (USD per Mtok): Price of output tokens; 0 for an embedding model. None: with `prices` alone.
        cached_input (USD per Mtok): Price of cached input tokens, at most that of `input`. None: the price
            of `input`.
        cache_write (USD per Mtok): Price of input that is written to the API's cache; counts with
            `prices.cache_write_surcharge`. None: the price of `input`.
        batch_input (USD per Mtok): Price of input in batch, at most that of `input`. None: no batch price.
        batch_output (USD per Mtok): Price of output in batch, at most that of `output`. None: no batch
            price.
        batch_cached_input (USD per Mtok): Price of cached input in batch, at most that of `batch_input`.
            None: the price of `batch_input`.
        valid_from (date): First day of the prices, in `timezone`. None: for all time before.
        prices: In place of the rates here: several with their days, the earliest first.
    """

    name: Label
    input: Money | None = None
    output: Money | None = None
    cached_input: Money | None = None
    cache_write: Money | None = None
    batch_input: Money | None = None
    batch_output: Money | None = None
    batch_cached_input: Money | None = None
    valid_from: Day | None = None
    prices: tuple[DatedPrices, ...] = ()

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        return self._list_faults() if self.prices else self._single_faults()

    def _single_faults(self) -> Iterator[tuple[KeyPath, str]]:
        missing = [key for key in ("input", "output") if getattr(self, key) is None]
        for key in missing:
            yield (key,), "missing; this key has to be written here, or prices with their days"
        if not missing:
            yield from _rate_faults(self)

    def _list_faults(self) -> Iterator[tuple[KeyPath, str]]:
        for key in sorted(self.written - {"name", "prices"}):
            yield (key,), "stands beside prices, which have their own; write it there, or remove prices"
        for index, (before, after) in enumerate(zip(self.prices, self.prices[1:], strict=False), start=1):
            if after.valid_from <= before.valid_from:
                text = f"got {after.valid_from}, expected a day after {before.valid_from}; the earliest first"
                yield ("prices", index, "valid_from"), text

    @property
    def catalogue_reference(self) -> CatalogueReference | None:
        """The catalogue's model of that name, for before the first day; None where it cannot be one."""
        return CatalogueReference(name=self.name) if _CATALOGUE_NAME.fullmatch(self.name) else None


def _rate_faults(rates: DatedPrices | PricedReference) -> Iterator[tuple[KeyPath, str]]:
    """Yield what cannot be: a discount above what it is a discount of, and half a batch price."""
    for key, whole in (
        ("cached_input", "input"),
        ("batch_input", "input"),
        ("batch_output", "output"),
        ("batch_cached_input", "batch_input"),
    ):
        rate, limit = getattr(rates, key), getattr(rates, whole)
        if rate is not None and limit is not None and rate > limit:
            yield (key,), f"got {rate:g}, expected at most the price of {whole} ({limit:g})"
    for key, other in (
        ("batch_input", "batch_output"),
        ("batch_output", "batch_input"),
        ("batch_cached_input", "batch_input"),
    ):
        if getattr(rates, key) is not None and getattr(rates, other) is None:
            yield (key,), f"needs {other}; write both"


def _parse_reference(value: Any) -> CatalogueReference | PricedReference:
    if not isinstance(value, str):
        return PricedReference.parsed(value)
    if not _CATALOGUE_NAME.fullmatch(value):
        raise unexpected("provider:model, such as openai:gpt-4o-mini, or name, input and output with prices")
    return CatalogueReference(name=value)


Reference = Annotated[CatalogueReference | PricedReference, _parse_reference]
