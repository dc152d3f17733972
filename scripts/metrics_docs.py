"""Writes docs/metrics.md from the metrics as the code declares them; with --check, only compares."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from generated import parser, write_or_check

from evenwatt.sinks.metrics import METRICS, MetricSpec

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"

HEAD = """\
# Metrics

The agent serves these at `/metrics` on its port (`server.listen`), in the Prometheus text format. The page is
written once a tick; a scrape reads it and waits for nothing. Names, labels and meanings are a contract: what
was released once keeps its meaning.

* A series whose value is not known is absent. It is never 0 for that reason, and never NaN.
* Counters (`_total`) hold the sum over the life of the history. They go on where they were after a restart of
  the agent, of an engine or of the machine, so `rate()` and `increase()` see no reset.
* Divide sums of increases; never average ratios. What a million tokens cost in a week, over any servers:
  `1e6 * sum(increase(evenwatt_cost_total[7d])) / sum(increase(evenwatt_tokens_total[7d]))`. This adds up the
  components that are known: a server whose `hardware` or `energy` series is absent is missing that part, and
  then `evenwatt_cost_per_mtok{basis="full"}` is absent too.
* Money is in the currency of `evenwatt_money_info`, whatever the metric.
* `process_*` are the agent's own CPU, memory and files, as every Prometheus client gives them.
"""

GROUPS: Mapping[str, str] = {
    "Counters": (
        "Over the life of the history. Summed over all engines and models, with `unallocated`, they are the "
        "machine's."
    ),
    "Host power": (
        "What the machine draws beside its GPUs. Without a source of host power there is none of this."
    ),
    "GPUs": "At the last tick. A GPU that cannot be read has `evenwatt_gpu_up` 0 and no values.",
    "Engines": (
        "At the last tick. An engine that does not answer has `evenwatt_engine_up` 0 and no values; its "
        "costs go on."
    ),
    "Money and windows": (
        "What accrues now, and what each window of the configuration says up to now, from the sums of the "
        "history."
    ),
    "The agent": "How its sources, its history and its configuration fare.",
}

LABELS: Mapping[str, str] = {
    "alert": "as in docs/alerts.md",
    "basis": "`full`: hardware, energy, labour and other; `energy`: electricity alone",
    "cache": "`observed`: with the cache hits that this engine had; `none`: as if an API's cache hit nothing",
    "component": "`hardware`, `energy`, `labour`, `other`",
    "covers": "`wall`, `board`: GPUs are in what is measured and are taken out; `cpu`, `rest`: they are not",
    "currency": "as `currency` in the configuration",
    "energy_source": "`counter`: the GPU's own energy counter; `power`: integrated power samples",
    "engine": (
        "as named in the configuration or found; `unallocated`: what no engine used; `all`, in windows: the "
        "whole machine, with `unallocated`"
    ),
    "gpu": "the driver's index, which may shift; empty for a GPU that is not listed now. `uuid` stays",
    "kind": "`vllm`, `llamacpp`, `simulated`, `replayed`; `engine` until its first good page",
    "model": (
        "as the engine serves it; `other`: all beyond 200 models of one engine; empty: none is known; `all`, "
        "in windows and capacities: all of the engine"
    ),
    "name": "as the driver names the GPU",
    "notifier": "as named in `alerts.notify`",
    "outcome": "`completed`, `aborted`, `failed`",
    "reference": "the API model that is compared with, as in `references`",
    "setting": "the key of the configuration that nobody wrote",
    "severity": "`info`, `warning`, `critical`",
    "source": (
        "`nvml`, `host_power`, `agent` or an engine's name; of host power: `rapl`, `hwmon`, `ipmi`, `http`, "
        "`prometheus`, `fixed`; of a capacity: where it comes from, `configured`, `calibrated`, `learned`, "
        "`peak_seen` (a lower bound) or `simulated`"
    ),
    "state": (
        "`active`: requests ran; `idle_loaded`: none ran, a model was in memory; `idle_empty`: nothing of "
        "the engine was"
    ),
    "subject": "of an alert: the source, setting or GPU (UUID) that it is about, where it is one",
    "tokens": "`total`: input, cached or not, and output; `output`: output alone",
    "type": "`input`: computed; `cached_input`: its KV was reused; `output`: generated. Disjoint",
    "uuid": "the GPU's identity",
    "version": "of evenwatt",
    "window": "as in `windows`: `1h`, `24h`, `7d`, `month`",
}


def main() -> int:
    """Write or check the document; return the exit status."""
    return write_or_check(DOCUMENT, document, check=parser(__doc__).parse_args().check)


def document() -> str:
    """Return the whole document.

    Raises:
        SystemExit: A label is not explained here, or one is that no metric has.
    """
    used = {label for spec in METRICS.values() for label in spec.labels}
    if used != LABELS.keys():
        sys.exit(f"scripts/metrics_docs.py: LABELS has to explain {', '.join(sorted(used ^ LABELS.keys()))}")
    sections = [HEAD]
    for title, text in GROUPS.items():
        rows = [metric_row(spec) for spec in METRICS.values() if group_of(spec) == title]
        sections.append(f"## {title}\n\n{text}\n\n" + table(("name", "type", "labels", "meaning"), rows))
    explained = [(f"`{label}`", meaning) for label, meaning in sorted(LABELS.items())]
    sections.append("## Labels\n\n" + table(("label", "values"), explained))
    return "\n".join(sections)


def group_of(spec: MetricSpec) -> str:
    """Return the title under which a metric stands."""
    name = spec.name.removeprefix("evenwatt_")
    if spec.is_counter:
        return "Counters"
    if name.startswith("host"):
        return "Host power"
    if name.startswith("gpu"):
        return "GPUs"
    if name.startswith(("engine", "capacity")):
        return "Engines"
    if name.startswith(
        ("cost", "api", "load", "break_even", "full_load", "marginal", "window", "electricity", "money")
    ):
        return "Money and windows"
    return "The agent"


def metric_row(spec: MetricSpec) -> tuple[str, ...]:
    """Return a metric's line of its table."""
    kind = "counter" if spec.is_counter else "gauge"
    return f"`{spec.name}`", kind, ", ".join(f"`{label}`" for label in spec.labels), spec.help


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    sys.exit(main())
