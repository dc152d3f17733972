"""Hardware by name: dated, sourced prices and power, for a site that has written down none.

The agent assumes the price of a card by the name that NVML gives it; `evenwatt plan` takes cards, rents and
whole machines. An assumption is labelled as assumed wherever it shows.
"""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from evenwatt.errors import SourceContractError

__all__ = ["MachinePreset", "Preset", "machine_preset", "machine_presets", "preset_for", "presets"]

_FILE = Path(__file__).with_suffix(".yaml")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C, where PyYAML was built with it: a command waits for this file."""

_BRANDS = frozenset({"nvidia", "geforce", "quadro", "tesla"})
"""Words that one driver says and another leaves out."""

_NAMED_ALTERNATIVES = 5


class Preset(Struct, frozen=True, kw_only=True):
    """What one kind of GPU is assumed to have cost.

    Attributes:
        name: The words of NVML's name that tell the product; brands may be left out.
        purchase_price_usd: Of one GPU.
        lifetime_years: Over which the price is spread.
        dated: Month of the price: `2022-10`.
        source: Where the price comes from, and what it covers.
        idle_watts: As users report it; None where nobody did.
        full_watts: The board power that its maker gives; None where not known.
        is_simulated: Of the demo; nobody plans with it.
    """

    name: str
    purchase_price_usd: float
    lifetime_years: float
    dated: str
    source: str
    idle_watts: float | None = None
    full_watts: float | None = None
    is_simulated: bool = False


class MachinePreset(Struct, frozen=True, kw_only=True):
    """A machine to plan with: bought or rented; what is not known is None.

    Attributes:
        name: As it is typed.
        kind: `card`, `example`, `rent` or `mac`.
        about: What it is, in words.
        dated: Month of the price, or in which it was taken down.
        capacity_tokens_per_second: Computed input and output that a named source measured.
        input_share: The mix of that capacity, where the source says it.
    """

    name: str
    kind: str
    about: str
    dated: str
    source: str
    lifetime_years: float
    purchase_price_usd: float | None = None
    rent_usd_per_hour: float | None = None
    maintenance_per_year: float = 0.0
    idle_watts: float | None = None
    full_watts: float | None = None
    capacity_tokens_per_second: float | None = None
    input_share: float | None = None


@cache
def presets() -> tuple[Preset, ...]:
    """Return all cards, in the order of the file."""
    document = _document()
    return tuple(Preset(**{**document["defaults"], **entry}) for entry in document["presets"])


@cache
def machine_presets() -> tuple[MachinePreset, ...]:
    """Return all that can be planned with: the machines of the file, then its cards, each as a machine."""
    document = _document()
    machines = (MachinePreset(**{**document["machine_defaults"], **entry}) for entry in document["machines"])
    return (*machines, *(_card(preset) for preset in presets() if not preset.is_simulated))


def preset_for(gpu_name: str) -> Preset | None:
    """Return the preset for a GPU by the name that NVML gives it; None where there is none.

    Case and brands do not matter, every other word does: what stands beside a number ("Ti", "SUPER",
    "Laptop GPU", a memory size) makes it another product at another price.
    """
    words = _product_words(gpu_name)
    return next((preset for preset in presets() if _product_words(preset.name) == words), None)


def machine_preset(name: str) -> MachinePreset:
    """Return a machine by its name; case, brands and what stands between words do not matter.

    Raises:
        SourceContractError: There is none of that name; the nearest names are told.
    """
    by_words = {_product_words(preset.name): preset for preset in machine_presets()}
    found = by_words.get(_product_words(name))
    if found is not None:
        return found
    names = [preset.name for preset in machine_presets()]
    begun = [each for each in names if each.startswith(_typed(name) or " ")]
    similar = get_close_matches(_typed(name), names, n=_NAMED_ALTERNATIVES, cutoff=0.5)
    nearest = list(dict.fromkeys((*begun, *similar)))[: max(_NAMED_ALTERNATIVES, len(begun))]
    hint = f"; the nearest are {', '.join(nearest)}" if nearest else ""
    raise SourceContractError(f"got {name}, expected a name from evenwatt plan --list-presets{hint}")


def _card(preset: Preset) -> MachinePreset:
    return MachinePreset(
        name=_typed(preset.name),
        kind="card",
        about=f"{preset.name}, the card alone",
        dated=preset.dated,
        source=preset.source,
        lifetime_years=preset.lifetime_years,
        purchase_price_usd=preset.purchase_price_usd,
        idle_watts=preset.idle_watts,
        full_watts=preset.full_watts,
    )


def _typed(name: str) -> str:
    return "-".join(_product_words(name))


def _product_words(name: str) -> tuple[str, ...]:
    words = re.split(r"[\s_-]+", name.strip().casefold())
    return tuple(word for word in words if word not in _BRANDS)


@cache
def _document() -> dict[str, Any]:
    content = _FILE.read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(content, Loader=_LOADER)  # noqa: S506 -- both are safe loaders
    return document
