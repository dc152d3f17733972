"""SGLang's words, translated.

Everything is added when a request ends. `sglang:realtime_tokens_total` moves while one runs, but counts
retracted work again and health checks too, so it is not used. Series begin with the first request: one that
is missing is 0. A request with n choices adds its prompt n + 1 times, all but the first as cached.
"""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.dynamo import DYNAMO_WORKER
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["SGLANG"]

_SIDES = {"engine_type": frozenset({"", "unified", "decode", "dynamic"})}
"""With prefill and decode on engines of their own, the prompt is on both pages: the decode side's counts."""

_ONE_RANK = {"tp_rank": frozenset({"", "0"}), "moe_ep_rank": frozenset({"", "0"})}
"""Every rank of a tensor-parallel engine may repeat what rank 0 says."""

_TABLE = CounterTable(
    input=(Series("sglang:prompt_tokens_total", _SIDES),),
    input_means="logical",
    cached_input=(Series("sglang:cached_tokens_total", _SIDES),),
    cached_when_absent=0,
    output=(Series("sglang:generation_tokens_total", _SIDES),),
    begins_apart=True,
    model_label="model_name",
    requests={"completed": (Series("sglang:num_requests_total", _SIDES),)},
)

SGLANG = Adapter(
    kind="sglang",
    prefixes=("sglang:",),
    wanted=_TABLE.names | {"sglang:num_running_reqs", "sglang:num_queue_reqs", DYNAMO_WORKER},
    running=Series("sglang:num_running_reqs", _ONE_RANK),
    waiting=Series("sglang:num_queue_reqs", _ONE_RANK),
    models=_TABLE.models,
    signals=start_time,
    unmetered="is up but unmetered: its page has no `sglang:` series. Start SGLang with --enable-metrics",
    status_advice={404: "start SGLang with --enable-metrics, which it does not do by itself"},
    counted="input, cached input and output at the end of a request; aborted ones that ran are in",
    counts_late=True,
)
"""SGLang, with one engine or with prefill and decode apart."""
