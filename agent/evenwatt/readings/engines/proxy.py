"""The page of `evenwatt proxy`, translated.

Its totals live as long as its state folder, over all restarts of the process, so their identity is when they
began. What other machines generated (Ollama's cloud models) took no energy here and is left out.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from evenwatt.model import ClientCounters, ModelCounters
from evenwatt.readings.adapter import Adapter, Series, is_address
from evenwatt.readings.exposition import Sample, bounded_text, token_count
from evenwatt.readings.processes import is_loopback

__all__ = ["PROXY", "counts_itself"]

_TOKENS = "evenwatt_proxy_tokens_total"
_REQUESTS = "evenwatt_proxy_requests_total"
_RUNNING = "evenwatt_proxy_requests_running"
_SINCE = "evenwatt_proxy_counting_since_timestamp_seconds"
_UPSTREAM = "evenwatt_proxy_upstream_info"
_LOCAL = "local"
_TOLD_BY_THEMSELVES = frozenset({"vllm", "sglang", "llamacpp"})


def _counters(samples: Sequence[Sample], *owner: str) -> dict[tuple[str, ...], ModelCounters]:
    """Return what local work adds up to by the labels of its owner, model first; what is 0 is left out."""
    tokens: dict[tuple[str, ...], dict[str, int]] = {}
    requests: dict[tuple[str, ...], dict[str, int]] = {}
    for sample in samples:
        labels = sample.labels
        if labels.get("place") != _LOCAL:
            continue
        added, kind = (tokens, "type") if sample.name == _TOKENS else (requests, "outcome")
        by_kind = added.setdefault(tuple(bounded_text(labels.get(name, "")) for name in owner), {})
        by_kind[labels.get(kind, "")] = by_kind.get(labels.get(kind, ""), 0) + token_count(sample)
    return {
        names: ModelCounters(
            model=names[0],
            input_tokens=counts.get("input", 0),
            cached_input_tokens=counts.get("cached_input"),
            output_tokens=counts.get("output", 0),
            requests=requests.get(names, {}),
        )
        for names, counts in sorted(tokens.items())
        if any(counts.values())
    }


def _models(samples: Sequence[Sample], _served_name: str) -> tuple[ModelCounters, ...]:
    return tuple(_counters(samples, "model").values())


def _clients(samples: Sequence[Sample]) -> tuple[ClientCounters, ...]:
    by_owner = _counters(samples, "model", "client")
    return tuple(
        ClientCounters(client=client, counters=counters) for (_, client), counters in by_owner.items()
    )


def _signals(samples: Sequence[Sample], _headers: Mapping[str, str]) -> dict[str, str]:
    since = next((sample.value for sample in samples if sample.name == _SINCE), None)
    return {} if since is None else {"start_time": repr(since)}


def _engine_url(samples: Sequence[Sample]) -> str | None:
    """Return the engine's address where it is one that this machine can look up."""
    for sample in samples:
        upstream = sample.labels.get("upstream", "") if sample.name == _UPSTREAM else ""
        if is_address(upstream):
            return upstream
    return None


def _ollama_url(samples: Sequence[Sample], base_url: str) -> str | None:
    """Return the address of an Ollama behind a proxy, where both are on this machine.

    What a page says is not asked for anywhere else, and of another machine's loopback nothing is known here.
    """
    is_ollama = any(s.name == _UPSTREAM and s.labels.get("engine") == "ollama" for s in samples)
    upstream = _engine_url(samples) if is_ollama else None
    if upstream is None or not all(is_loopback(urlsplit(url).hostname or "") for url in (base_url, upstream)):
        return None
    parts = urlsplit(upstream)
    return f"{parts.scheme}://{parts.netloc}"


def counts_itself(page: bytes) -> bool:
    """Return whether a proxy's page says that the engine behind it has a page of its own.

    Whoever looks for engines takes that one, and not both.
    """
    return any(f'engine="{kind}"'.encode() in page for kind in _TOLD_BY_THEMSELVES)


PROXY = Adapter(
    kind="proxy",
    prefixes=("evenwatt_proxy_",),
    wanted=frozenset({_TOKENS, _REQUESTS, _RUNNING, _SINCE, _UPSTREAM}),
    running=Series(_RUNNING),
    waiting=None,
    models=_models,
    signals=_signals,
    unmetered="has no `evenwatt_proxy_` series on its page; name the address of its `metrics_listen`",
    counted="when a request has ended, each once",
    counts_late=True,
    clients=_clients,
    engine_url=_engine_url,
    ollama_url=_ollama_url,
)
"""What stands before an engine without counters, or before one whose clients are to be told apart."""
