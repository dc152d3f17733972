"""Measured costs as LiteLLM's map of model prices, so that what it charges on is what tokens really cost.

LiteLLM takes it as `litellm.register_model(path)`, or merged into the file that
`LITELLM_MODEL_COST_MAP_URL` names.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from evenwatt.units import TOKENS_PER_MTOK

__all__ = ["EffectivePrice", "render_price_map"]


_PROVIDERS: Final = (("", "openai"), ("hosted_vllm/", "hosted_vllm"))
"""How LiteLLM calls servers of one's own: by a bare name, or as any server with vLLM's API."""


class EffectivePrice(Struct, frozen=True, kw_only=True):
    """What a million tokens of a model cost over a window, in USD.

    Attributes:
        input_usd_per_mtok: Of input that was computed.
        basis: How it came about, in words.
    """

    model: str
    input_usd_per_mtok: float
    cached_input_usd_per_mtok: float
    output_usd_per_mtok: float
    basis: str


def render_price_map(prices: Iterable[EffectivePrice], facts: Mapping[str, Any]) -> str:
    """Return the map, with facts about where it comes from beside each price."""
    models = {
        f"{prefix}{price.model}": {
            "litellm_provider": provider,
            "mode": "chat",
            "input_cost_per_token": price.input_usd_per_mtok / TOKENS_PER_MTOK,
            "cache_read_input_token_cost": price.cached_input_usd_per_mtok / TOKENS_PER_MTOK,
            "output_cost_per_token": price.output_usd_per_mtok / TOKENS_PER_MTOK,
            "metadata": {"source": "evenwatt", "basis": price.basis, **facts},
        }
        for price in prices
        for prefix, provider in _PROVIDERS
    }
    return json.dumps(models, indent=2, ensure_ascii=False) + "\n"
