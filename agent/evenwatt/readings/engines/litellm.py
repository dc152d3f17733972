"""LiteLLM's words, translated: a gateway, so that engines behind it count the same tokens.

`litellm_cached_tokens_metric_total` are answers out of LiteLLM's own store, for which no engine computed
anything; what the engine reused is `litellm_input_cached_tokens_metric_total`.

A client is its team, else its key by the name it was given, else its user: whom a bill is written to. The
hash of a key is nobody's name, and of end users there may be more than anybody can keep counters of.
"""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["LITELLM"]

_TABLE = CounterTable(
    input=(Series("litellm_input_tokens_metric_total"),),
    input_means="logical",
    cached_input=(Series("litellm_input_cached_tokens_metric_total"),),
    output=(Series("litellm_output_tokens_metric_total"),),
    model_label="model",
    client_labels=("team_alias", "team", "api_key_alias", "user"),
)

LITELLM = Adapter(
    kind="litellm",
    prefixes=("litellm_",),
    wanted=_TABLE.names,
    running=None,
    waiting=None,
    models=_TABLE.models,
    signals=start_time,
    unmetered='has no `litellm_` series on its page; set `callbacks: ["prometheus"]` in its litellm_settings',
    counted="at the end of a request",
    path="/metrics/",
    counts_late=True,
    clients=_TABLE.clients,
    is_gateway=True,
)
"""LiteLLM's proxy."""
