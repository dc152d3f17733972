"""Text Embeddings Inference's words, translated: input only, recorded when a text is tokenized."""

from evenwatt.readings.adapter import Adapter, Series, name_in_json
from evenwatt.readings.engines.table import CounterTable, start_time

__all__ = ["TEI"]

_TABLE = CounterTable(
    input=(Series("te_request_input_length_sum"),),
    input_means="logical",
    requests={
        "completed": (Series("te_request_success"), Series("te_request_success_total")),
        "failed": (Series("te_request_failure"), Series("te_request_failure_total")),
    },
)

TEI = Adapter(
    kind="tei",
    prefixes=("te_",),
    wanted=_TABLE.names | {"te_queue_size"},
    running=None,
    waiting=Series("te_queue_size"),
    models=_TABLE.models,
    signals=start_time,
    name_paths={"/info": name_in_json("model_id")},
    unmetered="has no `te_` series on its page; check that this is the port of its API",
    counted="input when it is tokenized, also where the request fails later",
)
"""Text Embeddings Inference: embeddings and reranking, no output."""
