"""What tests of recorded, replayed and simulated readings share: a clock moved by hand, and any reading."""

import builtins
import types
from collections import abc
from dataclasses import dataclass
from enum import EnumType
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from msgspec import Struct

from evenwatt.model import (
    EngineReading,
    Epoch,
    GpuReading,
    GpusReading,
    ModelCounters,
    Moment,
    PowerSample,
    Reading,
)

MONDAY_UTC_SECONDS = 1_798_416_000.0
"""2026-12-28 00:00 UTC."""


@dataclass
class HandClock:
    """A clock that stands still until it is moved."""

    utc_seconds: float = MONDAY_UTC_SECONDS
    boot_seconds: float = 5_000.0
    boot_id: str = "this-boot"

    def __call__(self) -> Moment:
        return Moment(utc_seconds=self.utc_seconds, boot_seconds=self.boot_seconds, boot_id=self.boot_id)

    def advance(self, seconds: float) -> None:
        self.utc_seconds += seconds
        self.boot_seconds += seconds


def moment(seconds: float, boot_id: str = "recorded-boot") -> Moment:
    """Return a moment of a recorded machine, which booted at 1,000,000 UTC."""
    return Moment(utc_seconds=1_000_000.0 + seconds, boot_seconds=seconds, boot_id=boot_id)


def engine_reading(
    at: Moment, output_tokens: int = 0, *, engine: str = "chat", process: str = "one"
) -> EngineReading:
    """Return a reading of an engine that generates only."""
    return EngineReading(
        engine=engine,
        kind="vllm",
        moment=at,
        epoch=Epoch(signals={"process": process}, started_boot_seconds=50.0),
        models=(
            ModelCounters(
                model="m", input_tokens=0, output_tokens=output_tokens, requests={"completed": output_tokens}
            ),
        ),
    )


def gpus_reading(at: Moment, energy_joules: float | None, *watts: float) -> GpusReading:
    """Return a reading of one GPU, its power samples a second apart and the last one at the moment."""
    samples = tuple(
        PowerSample(boot_seconds=at.boot_seconds - age, power_watts=power)
        for age, power in zip(range(len(watts) - 1, -1, -1), watts, strict=True)
    )
    gpu = GpuReading(
        uuid="GPU-1",
        index=0,
        name="card",
        moment=at,
        has_energy_counter=energy_joules is not None,
        energy_joules=energy_joules,
        power_samples=samples,
    )
    return GpusReading(moment=at, gpus=(gpu,))


_PLAIN = {
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    int: st.integers(min_value=0, max_value=2**63 - 1),
    str: st.text(),
    NoneType: st.none(),
}


def _values_of(kind: Any) -> st.SearchStrategy:
    """Return a strategy for any value that a type annotation of the model allows."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, EnumType):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and issubclass(kind, Struct):
        return st.builds(kind, **{name: _values_of(hint) for name, hint in get_type_hints(kind).items()})
    parts = [_values_of(part) for part in get_args(kind) if part is not Ellipsis]
    match get_origin(kind):
        case types.UnionType:
            return st.one_of(parts)
        case builtins.tuple:
            return st.lists(*parts, max_size=3).map(tuple)
        case abc.Mapping:
            return st.dictionaries(*parts, max_size=3)
    raise TypeError(f"no strategy for {kind}; add one")


readings = _values_of(Reading)
"""Any reading that the model can hold; every field of every type is drawn, of later ones too."""
