"""vLLM's words, translated.

`vllm:prompt_tokens_total` is the whole prompt, the part whose KV was reused included, so input is taken from
the series that tells where prompt tokens came from. `vllm:prefix_cache_hits_total` is not used: it counts
when a request is admitted, and old versions count again on every try, so it cannot be subtracted from
counters that move when a prompt is done. A request with n choices adds its prompt n times, all but once as
reused.

Its phase times are those of single requests, added up when a request completes: requests that run side by
side add side by side, and one that is cut off adds nothing.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from evenwatt.model import DEFAULT_MODEL, ModelCounters
from evenwatt.readings.adapter import (
    Adapter,
    Series,
    disjoint_input,
    seconds_sum,
    token_sum,
    tokens_of_both,
)
from evenwatt.readings.engines.dynamo import DYNAMO_WORKER
from evenwatt.readings.exposition import Sample, bounded_text, token_count

__all__ = ["VLLM"]

_PROMPT = "vllm:prompt_tokens_total"
_PROMPT_BY_SOURCE = "vllm:prompt_tokens_by_source_total"
_PROMPT_CACHED = "vllm:prompt_tokens_cached_total"
_GENERATION = "vllm:generation_tokens_total"
_FINISHED = "vllm:request_success_total"
_PREFILL_SECONDS = "vllm:request_prefill_time_seconds_sum"
_DECODE_SECONDS = "vllm:request_decode_time_seconds_sum"
_COUNTERS = frozenset(
    {_PROMPT, _PROMPT_BY_SOURCE, _PROMPT_CACHED, _GENERATION, _FINISHED, _PREFILL_SECONDS, _DECODE_SECONDS}
)

_RUNNING = "vllm:num_requests_running"
_WAITING = "vllm:num_requests_waiting"
_SLEEP_STATE = "vllm:engine_sleep_state"
_UNLOADED = frozenset({"weights_offloaded", "discard_all"})

_START_TIME = "process_start_time_seconds"
_CREATED = frozenset({"vllm:prompt_tokens_created", "vllm:generation_tokens_created"})

_COMPUTED_SOURCE = "local_compute"
_OUTCOMES = {"abort": "aborted", "error": "failed"}
"""By `finished_reason`; every other reason (stop, length, repetition) is one way to complete."""


def _models(samples: Sequence[Sample], _served_name: str) -> tuple[ModelCounters, ...]:
    by_model: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.name in _COUNTERS:
            by_model[bounded_text(sample.labels.get("model_name", DEFAULT_MODEL))].append(sample)
    models = (_model(name, counters) for name, counters in by_model.items())
    return tuple(model for model in models if model is not None)


def _model(name: str, counters: Sequence[Sample]) -> ModelCounters | None:
    """Return one model, summed over data-parallel engines; None where it has no token counters yet."""
    computed, cached = _input_tokens(counters)
    tokens = tokens_of_both(computed, token_sum(counters, _GENERATION))
    if tokens is None:
        return None
    requests: Counter[str] = Counter()
    for sample in counters:
        if sample.name == _FINISHED:
            reason = sample.labels.get("finished_reason", "")
            requests[_OUTCOMES.get(reason, "completed")] += token_count(sample)
    return ModelCounters(
        model=name,
        input_tokens=tokens[0],
        cached_input_tokens=cached,
        output_tokens=tokens[1],
        requests=dict(requests),
        prefill_seconds=seconds_sum(counters, _PREFILL_SECONDS),
        decode_seconds=seconds_sum(counters, _DECODE_SECONDS),
    )


def _input_tokens(counters: Sequence[Sample]) -> tuple[int | None, int | None]:
    """Return computed and cached input, each None where the page does not tell."""
    by_source: Counter[bool] = Counter()
    for sample in counters:
        if sample.name == _PROMPT_BY_SOURCE:
            by_source[sample.labels.get("source") == _COMPUTED_SOURCE] += token_count(sample)
    if by_source:
        # Whatever was not computed here came from a cache or another engine, under any name to come.
        return by_source[True], by_source[False]
    prompt = token_sum(counters, _PROMPT)
    cached = token_sum(counters, _PROMPT_CACHED)
    return (None, None) if prompt is None else disjoint_input(prompt, cached, is_logical=True)


def _prefill_models(samples: Sequence[Sample], served_name: str) -> tuple[ModelCounters, ...]:
    """Return what a server that only prefills adds: the prompts.

    It also samples one token for each, which is thrown away, and counts the request, which the other one
    finishes.
    """
    return tuple(
        replace(model, output_tokens=0, requests={}, decode_seconds=None)
        for model in _models(samples, served_name)
    )


def _decode_models(samples: Sequence[Sample], served_name: str) -> tuple[ModelCounters, ...]:
    """Return what a server that only decodes adds: answers, and what it had to compute of prompts itself.

    Prompts whose KV it was handed were counted where they were computed. Without the counter by source
    nobody knows which those are not, and older versions took the handed ones for computed.
    """
    by_source = any(sample.name == _PROMPT_BY_SOURCE for sample in samples)
    return tuple(
        replace(model, input_tokens=model.input_tokens if by_source else 0, cached_input_tokens=0)
        for model in _models(samples, served_name)
    )


def _signals(samples: Sequence[Sample], _headers: Mapping[str, str]) -> dict[str, str]:
    """Return the start of the process, and the age of its oldest token counter.

    A `_created` line appears with each new series, so the set of them grows in a living process while the
    oldest stays. It moves when all counters are made anew, which a change of the number of data-parallel
    engines does without a new process. Counters of which only some are made anew are told by their fall.
    """
    signals = {}
    if started := _times(samples, {_START_TIME}):
        signals["start_time"] = repr(min(started))
    if created := _times(samples, _CREATED):
        signals["created"] = repr(min(created))
    return signals


def _times(samples: Sequence[Sample], names: Collection[str]) -> list[float]:
    return [sample.value for sample in samples if sample.name in names and 0 < sample.value < math.inf]


def _is_unloaded(samples: Sequence[Sample]) -> bool:
    """Return whether every engine of the page has given its weights up.

    One that is put to sleep at level 0 only stops to take requests; it is not awake and keeps its weights.
    """
    unloaded: dict[tuple[str, str], bool] = {}
    for sample in samples:
        if sample.name == _SLEEP_STATE:
            engine = (sample.labels.get("model_name", ""), sample.labels.get("engine", ""))
            is_in_state = sample.value == 1 and sample.labels.get("sleep_state") in _UNLOADED
            unloaded[engine] = unloaded.get(engine, False) or is_in_state
    return bool(unloaded) and all(unloaded.values())


VLLM = Adapter(
    kind="vllm",
    prefixes=("vllm:",),
    wanted=_COUNTERS | _CREATED | {_RUNNING, _WAITING, _START_TIME, _SLEEP_STATE, DYNAMO_WORKER},
    running=Series(_RUNNING),
    waiting=Series(_WAITING),
    models=_models,
    signals=_signals,
    unmetered=(
        "is up but unmetered: its page has no `vllm:` series. Start vLLM without --disable-log-stats, and "
        "check that this is the port of its API"
    ),
    roles={"prefill": _prefill_models, "decode": _decode_models},
    counted="input, cached input too, at the first output token of a request, output at each step",
    is_unloaded=_is_unloaded,
)
"""vLLM from V0 on, with one or several API processes, and with its Rust frontend."""
