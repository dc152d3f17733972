"""The kinds of engines that are known, each in a module of its own."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from evenwatt.readings.adapter import Adapter
from evenwatt.readings.engines.dynamo import DYNAMO
from evenwatt.readings.engines.lemonade import LEMONADE
from evenwatt.readings.engines.litellm import LITELLM
from evenwatt.readings.engines.llama_swap import LLAMA_SWAP
from evenwatt.readings.engines.llamacpp import LLAMACPP
from evenwatt.readings.engines.lmdeploy import LMDEPLOY
from evenwatt.readings.engines.localai import LOCALAI
from evenwatt.readings.engines.nim import NIM
from evenwatt.readings.engines.ollama import OLLAMA
from evenwatt.readings.engines.proxy import PROXY
from evenwatt.readings.engines.sglang import SGLANG
from evenwatt.readings.engines.tei import TEI
from evenwatt.readings.engines.tensorrt_llm import TENSORRT_LLM
from evenwatt.readings.engines.tgi import TGI
from evenwatt.readings.engines.triton import TRITON
from evenwatt.readings.engines.vllm import VLLM

__all__ = ["ADAPTERS", "counts_late", "fingerprint", "is_page_of"]

_IN_ORDER = (
    # Engines first: their series also pass through the pages of what runs them (Triton, Dynamo's workers).
    VLLM, SGLANG, LMDEPLOY, LLAMACPP, TENSORRT_LLM, TGI, TEI,
    TRITON, DYNAMO, LOCALAI, LEMONADE, LITELLM, LLAMA_SWAP, OLLAMA, PROXY, NIM,
)  # fmt: skip

ADAPTERS: Mapping[str, Adapter] = MappingProxyType({adapter.kind: adapter for adapter in _IN_ORDER})
"""By kind; of several that a page would fit the first one is meant."""


def _line_of(adapter: Adapter) -> re.Pattern[bytes]:
    begins = "|".join(map(re.escape, adapter.prefixes))
    return re.compile(rb"^(?:# (?:HELP|TYPE) )?(?:" + begins.encode() + rb")", re.MULTILINE)


_LINES = {adapter.kind: _line_of(adapter) for adapter in _IN_ORDER}


def is_page_of(adapter: Adapter, page: bytes) -> bool:
    """Return whether a checked page has series of a kind of engine."""
    line = _LINES.get(adapter.kind) or _line_of(adapter)
    return line.search(page) is not None


def fingerprint(page: bytes) -> str | None:
    """Return the kind of engine whose series a checked page has; None where it has none that is known."""
    return next((kind for kind, line in _LINES.items() if line.search(page)), None)


def counts_late(kind: str) -> bool:
    """Return whether a kind of engine counts output only when a request ends."""
    return kind in ADAPTERS and ADAPTERS[kind].counts_late
