"""The sections that name inference engines: where each is, what it counts, and what it sustains."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from evenwatt.config.credentials import ApiKey
from evenwatt.config.parsers import matching_text, number, one_of
from evenwatt.config.refusals import KeyPath, unexpected
from evenwatt.config.rules import apart
from evenwatt.config.section import Section
from evenwatt.config.urls import EngineUrl
from evenwatt.config.values import LABEL_CHARACTERS, Flag

__all__ = ["CounterNames", "Engine", "EngineName"]

_RESERVED_NAMES = frozenset({"agent", "all", "electricity", "host_power", "machine", "nvml", "unallocated"})


def _parse_gpu(value: Any) -> int | str:
    text = str(value)
    if re.fullmatch(r"0|[1-9][0-9]{0,2}", text):
        return int(text)
    if re.fullmatch(r"(GPU|MIG)-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return text
    raise unexpected("the index of a GPU or its UUID (GPU-...), as nvidia-smi -L lists them")


_EngineKind = Literal[
    "auto",
    "dynamo",
    "generic",
    "lemonade",
    "litellm",
    "llama_swap",
    "llamacpp",
    "lmdeploy",
    "localai",
    "nim",
    "ollama",
    "proxy",
    "sglang",
    "tei",
    "tensorrt_llm",
    "tgi",
    "triton",
    "vllm",
]
_Role = Literal["prefill", "decode"]
_InputMeaning = Literal["logical", "computed"]

EngineName = Annotated[
    str,
    matching_text(
        rf"[a-z0-9_.-]{{1,{LABEL_CHARACTERS}}}",
        f"up to {LABEL_CHARACTERS} of a-z, 0-9, _, . and -, and none of the names "
        f"{', '.join(sorted(_RESERVED_NAMES))}",
        but_not=_RESERVED_NAMES,
    ),
]
EngineKind = Annotated[_EngineKind, one_of(*get_args(_EngineKind))]
InputMeaning = Annotated[_InputMeaning, one_of(*get_args(_InputMeaning))]
SeriesName = Annotated[
    str,
    matching_text(
        r"[a-zA-Z_:][a-zA-Z0-9_:]*", "the name of a series as it stands on the page, such as app_tokens_total"
    ),
]
Gpu = Annotated[int | str, _parse_gpu]
_TokenRate = Annotated[float, number(above=0, at_most=10**9)]


class CounterNames(Section, frozen=True, kw_only=True):
    """What the counters of an engine of kind `generic` are called on its page, and what they mean.

    Attributes:
        input (series): For kind `generic`: the counter of prompt tokens, as it is named on the page.
        input_means: `logical`: the whole prompt; `computed`: without what was reused from a cache.
        output (series): The counter of generated tokens. None: it generates nothing.
        cached_input (series): The counter of reused prompt tokens. None: not told.
        model_label (label): The label that holds the model's name. None: one model without a name.
        requests (series): The counter of finished requests. None: not told.
        running (series): The gauge of requests being worked on. None: not told.
        waiting (series): The gauge of requests in the queue. None: not told.
    """

    input: SeriesName
    input_means: InputMeaning
    output: SeriesName | None = None
    cached_input: SeriesName | None = None
    model_label: SeriesName | None = None
    requests: SeriesName | None = None
    running: SeriesName | None = None
    waiting: SeriesName | None = None


class Engine(Section, frozen=True, kw_only=True):
    """An inference engine to read.

    Attributes:
        name: Label on every metric: up to 64 of `a-z`, `0-9`, `_`, `.`, `-`; not `agent`, `all`,
            `electricity`, `host_power`, `machine`, `nvml`, `unallocated`.
        url (URL): `http://` or `https://` with host and port, without credentials; each engine its own,
            `localhost`, `127.0.0.1` and `[::1]` being one host.
        kind: One of [engines.md](engines.md), `proxy` (the page of [`evenwatt proxy`](proxy.md)),
            `generic`, or `auto` to find out.
        counters: For kind `generic`, and for no other.
        gpus (index or UUID): GPUs that it uses; an empty list: none. None: found.
        role: `prefill` or `decode`: a vLLM server that does only one of the two, so that prompts and
            answers count once over both. None: as its command line says, else both.
        in_totals (yes or no): Whether its tokens are added up; of two that count the same tokens leave one
            out. None: true, but for a gateway beside other engines.
        capacity_tokens_per_second (tokens per second): What it sustains of computed input and output at the
            usual mix, above 0. None: as calibrated, else as learned
            ([economics.md](economics.md#capacity)).
        prefill_tokens_per_second (tokens per second): What it sustains of computed input with nothing else
            to do, above 0; with `decode_tokens_per_second`, and then the load is worked out by these two.
        decode_tokens_per_second (tokens per second): What it sustains of output alone, above 0.
        api_key (secret): Sent as a bearer token where the engine asks for one.
    """

    name: EngineName
    url: EngineUrl
    kind: EngineKind = "auto"
    counters: CounterNames | None = None
    gpus: Annotated[tuple[Gpu, ...], apart()] | None = None
    role: Annotated[_Role, one_of(*get_args(_Role))] | None = None
    in_totals: Flag | None = None
    capacity_tokens_per_second: _TokenRate | None = None
    prefill_tokens_per_second: _TokenRate | None = None
    decode_tokens_per_second: _TokenRate | None = None
    api_key: ApiKey | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.kind == "generic" and self.counters is None:
            text = "missing; kind generic needs the names of its counters: input, input_means, output"
            yield ("counters",), text
        if self.kind != "generic" and self.counters is not None:
            yield ("counters",), f"kind {self.kind} knows its own; remove it, or set kind: generic"
        phases = {
            "prefill_tokens_per_second": self.prefill_tokens_per_second,
            "decode_tokens_per_second": self.decode_tokens_per_second,
        }
        missing = [name for name, rate in phases.items() if rate is None]
        if len(missing) == 1:
            (written,) = phases.keys() - missing
            yield (missing[0],), f"missing; a load needs it beside {written}, or neither of them"
