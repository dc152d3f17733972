"""The sections that name inference engines: where each is, what it counts, and what it sustains."""

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import PlainValidator, field_validator, model_validator

from evenwatt.config.credentials import ApiKey
from evenwatt.config.parsers import matching_text, number, one_of
from evenwatt.config.refusals import refuse_any, refused, repeated, unexpected
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
Gpu = Annotated[int | str, PlainValidator(_parse_gpu)]
_TokenRate = Annotated[float, number(above=0, at_most=10**9)]


class CounterNames(Section):
    """What the counters of an engine of kind `generic` are called on its page, and what they mean.

    Attributes:
        output: None: it generates nothing, as an engine for embeddings.
        input_means: `logical`: the whole prompt; `computed`: without what was reused from a cache.
        model_label: The label that holds the model's name; None: the engine serves one model without a name.
    """

    input: SeriesName
    input_means: InputMeaning
    output: SeriesName | None = None
    cached_input: SeriesName | None = None
    model_label: SeriesName | None = None
    requests: SeriesName | None = None
    running: SeriesName | None = None
    waiting: SeriesName | None = None


class Engine(Section):
    """An inference engine to read.

    Attributes:
        gpus: The GPUs that it uses, by index or UUID; None: found. Empty: it uses none.
        counters: For kind `generic`, and for no other.
        role: Of a server that does only one of the two; None: as it says itself, else both.
        in_totals: Whether its tokens are added up; None: yes, but for a gateway beside other engines. Of a
            chain that counts the same tokens twice one has to be left out.
        capacity_tokens_per_second: What it sustains at the usual mix; None: calibrated or learned.
        prefill_tokens_per_second: What it sustains of computed input alone; only with the next.
        decode_tokens_per_second: What it sustains of output alone.
        api_key: For engines that ask for one; sent as a bearer token.
    """

    name: EngineName
    url: EngineUrl
    kind: EngineKind = "auto"
    counters: CounterNames | None = None
    gpus: tuple[Gpu, ...] | None = None
    role: Annotated[_Role, one_of(*get_args(_Role))] | None = None
    in_totals: Flag | None = None
    capacity_tokens_per_second: _TokenRate | None = None
    prefill_tokens_per_second: _TokenRate | None = None
    decode_tokens_per_second: _TokenRate | None = None
    api_key: ApiKey | None = None

    @model_validator(mode="after")
    def _names_counters_where_they_are_not_known(self) -> Self:
        if self.kind == "generic" and self.counters is None:
            text = "missing; kind generic needs the names of its counters: input, input_means, output"
            raise refused({("counters",): text})
        if self.kind != "generic" and self.counters is not None:
            raise refused({("counters",): f"kind {self.kind} knows its own; remove it, or set kind: generic"})
        return self

    @field_validator("gpus")
    @classmethod
    def _names_each_gpu_once(cls, gpus: tuple[int | str, ...] | None) -> tuple[int | str, ...] | None:
        refuse_any(repeated(((index,), gpu, str(gpu)) for index, gpu in enumerate(gpus or ())))
        return gpus

    @model_validator(mode="after")
    def _knows_both_phases(self) -> Self:
        phases = {
            "prefill_tokens_per_second": self.prefill_tokens_per_second,
            "decode_tokens_per_second": self.decode_tokens_per_second,
        }
        missing = [name for name, rate in phases.items() if rate is None]
        if len(missing) == 1:
            (written,) = phases.keys() - missing
            raise refused({(missing[0],): f"missing; a load needs it beside {written}, or neither of them"})
        return self
