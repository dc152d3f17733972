"""Lemonade's words, translated.

`lemonade_model_prompt_tokens_total` is what its answers' usage said, the whole prompt;
`lemonade_model_input_tokens_total` may be llama.cpp's computed part only and is not used. The series that it
repeats from its llama.cpp children have six digits and are left alone.
"""

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["LEMONADE"]

_TABLE = CounterTable(
    input=(Series("lemonade_model_prompt_tokens_total"),),
    input_means="logical",
    cached_input=(Series("lemonade_model_cache_tokens_total"),),
    output=(Series("lemonade_model_output_tokens_total"),),
    model_label="model",
    requests={"completed": (Series("lemonade_model_requests_total"),)},
)

LEMONADE = Adapter(
    kind="lemonade",
    prefixes=("lemonade_",),
    wanted=_TABLE.names,
    running=None,
    waiting=None,
    models=_TABLE.models,
    signals=start_time,
    unmetered="has no `lemonade_` series on its page; check that this is the port of its API",
    counted="everything at the end of a request",
    counts_late=True,
)
"""Lemonade server."""
