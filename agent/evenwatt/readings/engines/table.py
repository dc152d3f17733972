"""Engines whose page is a table of counters: what each counter is called, and what it means.

Most engines differ in names and meanings only. An engine is then a `CounterTable`; the one translation into
disjoint kinds of tokens is `disjoint_input`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from evenwatt.model import DEFAULT_MODEL, OTHER_CLIENT, ClientCounters, ModelCounters
from evenwatt.readings.adapter import Series, disjoint_input, tokens_of_both
from evenwatt.readings.exposition import Sample, bounded_text

__all__ = ["CounterTable", "start_time"]

_START_TIME = "process_start_time_seconds"
_NO_NAMES = frozenset({"", "None"})  # as a Python client writes a label that it has no value for

InputMeaning = Literal["logical", "computed"]


class CounterTable(Struct, frozen=True, kw_only=True):
    """What the counters of one kind of engine are called and mean.

    Of several series for one thing the first that a page has is taken: names change between versions, and
    adding them up would count twice.

    Attributes:
        input: Prompt tokens.
        input_means: `logical`: the whole prompt, what was reused included. `computed`: without that.
        output: Generated tokens; empty for engines that generate none (embeddings), and then a known 0.
        cached_input: Prompt tokens that were reused; empty where the engine does not tell.
        cached_when_absent: What it means that a page with input has no cached series: 0 where the engine
            only begins it with the first hit, None where this version does not count it.
        begins_apart: Input and output each begin with the first request that has any, so that one of them
            alone is no sign of a version that is not known, and the other one is 0.
        model_label: The label with the model's name; None where the page has no name.
        client_labels: Who asked, best name first; empty where the page does not tell. A client without any of
            them is `OTHER_CLIENT`.
        requests: By outcome, the series that add up to it.
    """

    input: tuple[Series, ...]
    input_means: InputMeaning
    output: tuple[Series, ...] = ()
    cached_input: tuple[Series, ...] = ()
    cached_when_absent: int | None = None
    begins_apart: bool = False
    model_label: str | None = None
    client_labels: tuple[str, ...] = ()
    requests: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The names of all samples that it looks at, and that of the process' start."""
        outcomes = (series for group in self.requests.values() for series in group)
        wanted = (*self.input, *self.output, *self.cached_input, *outcomes)
        return frozenset({*(series.name for series in wanted), _START_TIME})

    def models(self, samples: Sequence[Sample], served_name: str) -> tuple[ModelCounters, ...]:
        """Return the counters of each model that has any token counter.

        Raises:
            SourceContractError: A counter is no count, or input is there without output.
        """
        by_model: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            if sample.name != _START_TIME:
                by_model[self._model(sample, served_name)].append(sample)
        models = (self._counters(name, counters) for name, counters in by_model.items())
        return tuple(model for model in models if model is not None)

    def clients(self, samples: Sequence[Sample]) -> tuple[ClientCounters, ...] | None:
        """Return the same counters by client; None where no client has a name.

        Raises:
            SourceContractError: A counter is no count.
        """
        by_client: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_client[self._client(sample)].append(sample)
        if by_client.keys() <= {OTHER_CLIENT}:
            return None
        # What all of them have had, a single one need not have had: a prompt, and no answer yet.
        own = replace(self, begins_apart=True)
        return tuple(
            ClientCounters(client=client, counters=counters)
            for client, theirs in by_client.items()
            for counters in own.models(theirs, "")
        )

    def _client(self, sample: Sample) -> str:
        names = (sample.labels.get(label, "") for label in self.client_labels)
        return bounded_text(next((name for name in names if name not in _NO_NAMES), OTHER_CLIENT))

    def _model(self, sample: Sample, served_name: str) -> str:
        name = "" if self.model_label is None else sample.labels.get(self.model_label, "")
        return bounded_text(name) or served_name or DEFAULT_MODEL

    def _counters(self, model: str, samples: Sequence[Sample]) -> ModelCounters | None:
        prompt, output = _first(self.input, samples), _first(self.output, samples)
        if self.begins_apart or not self.output:
            is_there = prompt is not None or output is not None
            prompt, output = (prompt or 0, output or 0) if is_there else (None, None)
        tokens = tokens_of_both(prompt, output)
        if tokens is None:
            return None
        cached = _first(self.cached_input, samples)
        if cached is None and self.cached_input:
            cached = self.cached_when_absent
        computed, cached = disjoint_input(tokens[0], cached, is_logical=self.input_means == "logical")
        return ModelCounters(
            model=model,
            input_tokens=computed,
            cached_input_tokens=cached,
            output_tokens=tokens[1],
            requests=self._outcomes(samples),
        )

    def _outcomes(self, samples: Sequence[Sample]) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for outcome, group in self.requests.items():
            for series in group:
                count = series.total(samples)
                if count is not None:
                    counts[outcome] += count
        return dict(counts)


def _first(alternatives: Iterable[Series], samples: Sequence[Sample]) -> int | None:
    totals = (series.total(samples) for series in alternatives)
    return next((total for total in totals if total is not None), None)


def start_time(samples: Sequence[Sample], _headers: Mapping[str, str]) -> dict[str, str]:
    """Return the start of the process, where the page tells it."""
    started = [s.value for s in samples if s.name == _START_TIME and 0 < s.value < float("inf")]
    return {"start_time": repr(min(started))} if started else {}
