"""Assumed hardware prices by GPU name: dated, sourced, for a site that has written down none.

An assumption covers the card alone, not the machine around it, and is labelled as assumed wherever it shows.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

__all__ = ["Preset", "preset_for", "presets"]

_FILE = "hardware_presets.yaml"

_BRANDS = frozenset({"nvidia", "geforce", "quadro", "tesla"})
"""Words that one driver says and another leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What one kind of GPU is assumed to have cost.

    Attributes:
        name: The words of NVML's name that tell the product; brands may be left out.
        purchase_price_usd: Of one GPU.
        lifetime_years: Over which the price is spread.
        dated: Month of the price: `2022-10`.
        source: Where the price comes from, and what it covers.
    """

    name: str
    purchase_price_usd: float
    lifetime_years: float
    dated: str
    source: str


@cache
def presets() -> tuple[Preset, ...]:
    """Return all presets, in the order of the file."""
    document = yaml.safe_load(files(__package__).joinpath(_FILE).read_text(encoding="utf-8"))
    return tuple(Preset(**{**document["defaults"], **entry}) for entry in document["presets"])


def preset_for(gpu_name: str) -> Preset | None:
    """Return the preset for a GPU by the name that NVML gives it; None where there is none.

    Case and brands do not matter, every other word does: what stands beside a number ("Ti", "SUPER",
    "Laptop GPU", a memory size) makes it another product at another price.
    """
    words = _product_words(gpu_name)
    return next((preset for preset in presets() if _product_words(preset.name) == words), None)


def _product_words(name: str) -> tuple[str, ...]:
    words = re.split(r"[\s_-]+", name.strip().casefold())
    return tuple(word for word in words if word not in _BRANDS)
