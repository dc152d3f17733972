"""Any page of Prometheus metrics, with the names of its counters given in the configuration."""

from msgspec import Struct

from evenwatt.readings.adapter import Adapter, Series
from evenwatt.readings.engines.table import CounterTable, InputMeaning, start_time

__all__ = ["CounterNames", "generic_adapter"]


class CounterNames(Struct, frozen=True, kw_only=True):
    """What somebody says the counters of his engine are called and mean; see `CounterTable`."""

    input: str
    output: str | None
    input_means: InputMeaning
    cached_input: str | None = None
    model_label: str | None = None
    requests: str | None = None
    running: str | None = None
    waiting: str | None = None


def generic_adapter(names: CounterNames) -> Adapter:
    """Return the adapter for an engine that its owner describes."""
    table = CounterTable(
        input=_series(names.input),
        input_means=names.input_means,
        cached_input=_series(names.cached_input),
        output=_series(names.output),
        model_label=names.model_label,
        requests={"completed": _series(names.requests)} if names.requests else {},
    )
    gauges = frozenset(name for name in (names.running, names.waiting) if name is not None)
    return Adapter(
        kind="generic",
        prefixes=tuple(name for name in (names.input, names.output) if name is not None),
        wanted=table.names | gauges,
        running=None if names.running is None else Series(names.running),
        waiting=None if names.waiting is None else Series(names.waiting),
        models=table.models,
        signals=start_time,
        unmetered=f"has no series named {names.input} on its page; check `counters` of this engine",
        counted="as its owner knows",
    )


def _series(name: str | None) -> tuple[Series, ...]:
    return () if name is None else (Series(name),)
