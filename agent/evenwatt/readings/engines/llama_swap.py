"""llama-swap: it counts no tokens; the engines behind it do, and it says where they are."""

from collections.abc import Mapping, Sequence

from evenwatt.errors import SourceContractError
from evenwatt.model import ModelCounters
from evenwatt.readings.adapter import Adapter
from evenwatt.readings.exposition import Sample

__all__ = ["LLAMA_SWAP"]


def _models(_samples: Sequence[Sample], _served_name: str) -> tuple[ModelCounters, ...]:
    raise SourceContractError("llama-swap counts no tokens itself, and does not say where its models answer")


def _signals(_samples: Sequence[Sample], _headers: Mapping[str, str]) -> dict[str, str]:
    return {}


LLAMA_SWAP = Adapter(
    kind="llama_swap",
    prefixes=("llamaswap_",),
    wanted=frozenset(),
    running=None,
    waiting=None,
    models=_models,
    signals=_signals,
    unmetered="has no `llamaswap_` series on its page; check that this is the port of llama-swap",
    counted="as the engines behind it do",
)
"""llama-swap, whose models are read where they answer."""
