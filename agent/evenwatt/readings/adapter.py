"""What has to be known of one kind of engine to read it: a table that its module fills in."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field

from evenwatt.errors import SourceContractError
from evenwatt.model import ClientCounters, ModelCounters
from evenwatt.readings.exposition import LARGEST_COUNT, Sample, token_count, whole_gauge

__all__ = [
    "Adapter",
    "Labels",
    "Series",
    "disjoint_input",
    "is_address",
    "json_of",
    "name_in_json",
    "refuse_sums_too_large",
    "seconds_sum",
    "token_sum",
    "tokens_of_both",
]

Labels = Mapping[str, frozenset[str]]
"""By label, the values that are meant; "" stands for a series without the label."""


class Series(Struct, frozen=True):
    """The series of one name that are meant, to be added up: labels that are not named may be anything.

    Attributes:
        where: Only series with one of these values.
        but_not: Without those with one of these values.
    """

    name: str
    where: Labels = field(default_factory=dict)
    but_not: Labels = field(default_factory=dict)

    def among(self, samples: Iterable[Sample]) -> list[Sample]:
        """Return the samples that are meant."""
        return [sample for sample in samples if sample.name == self.name and self._is_meant(sample)]

    def total(self, samples: Iterable[Sample]) -> int | None:
        """Return a counter summed over its series; None where the page has none of it.

        Raises:
            SourceContractError: One of them is not a count.
        """
        counts = [token_count(sample) for sample in self.among(samples)]
        return sum(counts) if counts else None

    def gauge(self, samples: Iterable[Sample]) -> int | None:
        """Return a gauge of whole things summed over its series; None where it is absent or no count."""
        return whole_gauge(self.among(samples))

    def _is_meant(self, sample: Sample) -> bool:
        labels = sample.labels
        return all(labels.get(name, "") in values for name, values in self.where.items()) and not any(
            labels.get(name, "") in values for name, values in self.but_not.items()
        )


class Adapter(Struct, frozen=True, kw_only=True):
    """One kind of engine.

    Attributes:
        kind: Its name.
        prefixes: How names of its series begin; a page that has one of them is its.
        wanted: The names of the samples that the functions below look at.
        running: The gauge of requests being worked on; None where there is none.
        waiting: The gauge of requests in the queue; None where there is none.
        models: Translates samples, and the model's name where the page has none, into counters.
        signals: Returns what the page and its headers tell of the identity of the counting process.
        name_paths: Where the name of the model is asked for, in this order, and how it is read out of the
            answer; empty where the page has it.
        unmetered: What it means when the page has none of the engine's series, and what to try.
        counted: When which tokens are counted, in words: why a short window may see none of a long request.
        status_advice: What to try, by HTTP status.
        path: Where its page is.
        counts_late: Output is counted when a request ends, however long it took.
        clients: The same counters by client, where the page tells clients apart.
        engine_url: Where the engine is that the page is about, where another process serves the page.
        roles: Of an engine that prefills and decodes in two servers, by the part that one of them plays, how
            its samples are translated, so that each prompt and each answer counts once over both.
        is_gateway: It passes requests on to engines that count the same tokens.
        may_sleep: Its model may sleep, and some versions wake it to answer for their page.
        is_unloaded: Whether the page says that no model is in memory; for engines whose page tells sleep.
        ollama_url: Where the Ollama answers that knows which models are in memory, by the engine's base URL;
            None: there is none.
    """

    kind: str
    prefixes: tuple[str, ...]
    wanted: frozenset[str]
    running: Series | None
    waiting: Series | None
    models: Callable[[Sequence[Sample], str], tuple[ModelCounters, ...]]
    signals: Callable[[Sequence[Sample], Mapping[str, str]], dict[str, str]]
    unmetered: str
    counted: str
    name_paths: Mapping[str, Callable[[bytes], str | None]] = field(default_factory=dict)
    status_advice: Mapping[int, str] = field(default_factory=dict)
    path: str = "/metrics"
    counts_late: bool = False
    clients: Callable[[Sequence[Sample]], tuple[ClientCounters, ...] | None] = field(
        default=lambda _samples: None
    )
    engine_url: Callable[[Sequence[Sample]], str | None] = field(default=lambda _samples: None)
    roles: Mapping[str, Callable[[Sequence[Sample], str], tuple[ModelCounters, ...]]] = field(
        default_factory=dict
    )
    is_gateway: bool = False
    may_sleep: bool = False
    is_unloaded: Callable[[Sequence[Sample]], bool] = field(default=lambda _samples: False)
    ollama_url: Callable[[Sequence[Sample], str], str | None] = field(
        default=lambda _samples, _base_url: None
    )


def token_sum(samples: Sequence[Sample], name: str) -> int | None:
    """Return a counter summed over its series; None where the page has none of it.

    Raises:
        SourceContractError: One of them is not a count.
    """
    counts = [token_count(sample) for sample in samples if sample.name == name]
    return sum(counts) if counts else None


def disjoint_input(tokens: int, cached: int | None, *, is_logical: bool) -> tuple[int, int | None]:
    """Return computed and cached input: the one translation of what engines call prompt tokens.

    Args:
        tokens: As the engine counts them.
        cached: Reused ones; None where the engine does not tell, and then they stay inside.
        is_logical: Whether the reused ones are among `tokens`. The two counters are not read at one instant,
            so that for a moment there may be more reused ones than all.
    """
    if cached is None or not is_logical:
        return tokens, cached
    return max(0, tokens - cached), cached


def is_address(text: str) -> bool:
    """Return whether a text is the address of a web server."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def json_of(body: bytes) -> Any:
    """Return what a JSON body holds; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def name_in_json(key: str) -> Callable[[bytes], str | None]:
    """Return the reader of a model's name that stands under a key of a JSON object."""

    def name(body: bytes) -> str | None:
        match json_of(body):
            case {**found} if isinstance(found.get(key), str) and found[key]:
                return str(found[key])
        return None

    return name


def seconds_sum(samples: Sequence[Sample], name: str) -> float | None:
    """Return a counter of seconds summed over its series; None where the page has none, or no seconds.

    Unlike tokens they only share costs out, so a wrong one makes them unknown and takes no token with it.
    """
    values = [sample.value for sample in samples if sample.name == name]
    if not values or not all(0 <= value <= LARGEST_COUNT for value in values):
        return None
    return sum(values)


def tokens_of_both(input_tokens: int | None, output_tokens: int | None) -> tuple[int, int] | None:
    """Return input and output; None where neither is on the page, as both appear with the first request.

    Raises:
        SourceContractError: One is there without the other: half of the tokens would be missing for ever.
    """
    if input_tokens is None and output_tokens is None:
        return None
    if input_tokens is None or output_tokens is None:
        missing = "input" if input_tokens is None else "output"
        raise SourceContractError(
            f"the page has no counter of {missing} tokens beside the other one; this version of the engine "
            "counts in a way that is not known here"
        )
    return input_tokens, output_tokens


def refuse_sums_too_large(models: Iterable[ModelCounters]) -> None:
    """Hold what all models of a page add up to within what a single counter may say.

    Models may be counted as one further on, so a bound for each of them would not be enough.

    Raises:
        SourceContractError: The sum of a kind of tokens, or of the requests, is above 2**53.
    """
    sums: Counter[str] = Counter()
    for model in models:
        sums["input tokens"] += model.input_tokens
        sums["cached input tokens"] += model.cached_input_tokens or 0
        sums["output tokens"] += model.output_tokens
        sums["requests"] += sum(model.requests.values())
    for what, count in sums.items():
        if count > LARGEST_COUNT:
            raise SourceContractError(
                f"the series of the page add up to {count} {what}; expected at most 2**53. "
                "The engine's page is wrong, and nothing of it is counted"
            )
