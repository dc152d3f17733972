"""What has to be known of one kind of engine to read it: a table that its module fills in."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evenwatt.errors import SourceContractError
from evenwatt.model import ClientCounters, ModelCounters
from evenwatt.readings.exposition import LARGEST_COUNT, Sample, token_count

__all__ = ["Adapter", "refuse_sums_too_large", "token_sum", "tokens_of_both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One kind of engine.

    Attributes:
        kind: Its name.
        prefix: What the names of its series begin with.
        wanted: The names of the samples that the functions below look at.
        running: The gauge of requests being worked on.
        waiting: The gauge of requests in the queue.
        models: Translates samples, and the model's name where the page has none, into counters.
        signals: Returns what the page and its headers tell of the identity of the counting process.
        name_paths: Where the name of the model is asked for, in this order, and how it is read out of the
            answer; empty where the page has it.
        unmetered: What it means when the page has none of the engine's series, and what to try.
        status_advice: What to try, by HTTP status.
        clients: The same counters by client, where the page tells clients apart.
        engine_url: Where the engine is that the page is about, where another process serves the page.
    """

    kind: str
    prefix: str
    wanted: frozenset[str]
    running: str
    waiting: str
    models: Callable[[Sequence[Sample], str], tuple[ModelCounters, ...]]
    signals: Callable[[Sequence[Sample], Mapping[str, str]], dict[str, str]]
    unmetered: str
    name_paths: Mapping[str, Callable[[bytes], str | None]] = field(default_factory=dict)
    status_advice: Mapping[int, str] = field(default_factory=dict)
    clients: Callable[[Sequence[Sample]], tuple[ClientCounters, ...] | None] = field(
        default=lambda _samples: None
    )
    engine_url: Callable[[Sequence[Sample]], str | None] = field(default=lambda _samples: None)


def token_sum(samples: Sequence[Sample], name: str) -> int | None:
    """Return a counter summed over its series; None where the page has none of it.

    Raises:
        SourceContractError: One of them is not a count.
    """
    counts = [token_count(sample) for sample in samples if sample.name == name]
    return sum(counts) if counts else None


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
