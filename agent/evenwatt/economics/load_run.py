"""What a load run found: steps of rising concurrency in each phase, and the capacities that they show."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct, to_builtins

from evenwatt.economics.breakeven import token_load

__all__ = [
    "Phase",
    "Step",
    "best_step",
    "calibration_result",
    "is_still_growing",
    "next_concurrency",
    "phases_explain",
]

LEAST_GROWTH = 0.05
"""Twice the requests that bring less than this much more tokens only wait."""

PATIENCE_STEPS = 2
"""How many such steps in a row end a phase: one may be bad luck."""

EXPLAINED_RATIO = 0.1
"""How far from a full load the phases may put the best mixed step."""


class Phase(StrEnum):
    """What a part of a load run asks of the engine."""

    PREFILL = "prefill"
    """Long prompts, each answered with one token."""
    DECODE = "decode"
    """Short prompts, answered at length."""
    MIXED = "mixed"
    """Prompts and answers as the engine usually has them."""


class Step(Struct, frozen=True, kw_only=True):
    """Requests of one phase, so many at once, from an idle engine to an idle one.

    Attributes:
        seconds: From the first request's start to the last one's end. Towards the end fewer and fewer run, so
            the rate is a little low rather than high.
        input_tokens: Computed input, as the engine counted it.
        output_tokens: Likewise.
    """

    phase: Phase
    concurrency: int
    requests: int
    seconds: float
    input_tokens: int
    output_tokens: int

    @property
    def tokens_per_second(self) -> float:
        """The rate of the tokens that the phase is about."""
        counted = {
            Phase.PREFILL: self.input_tokens,
            Phase.DECODE: self.output_tokens,
            Phase.MIXED: self.input_tokens + self.output_tokens,
        }
        return counted[self.phase] / self.seconds


def best_step(steps: Sequence[Step]) -> Step | None:
    """Return the step of the highest rate; None of none."""
    return max(steps, key=lambda step: step.tokens_per_second, default=None)


def is_still_growing(steps: Sequence[Step]) -> bool:
    """Return whether the last of a phase's steps brought more than those before it: the next might too."""
    before = best_step(steps[:-1])
    return before is None or steps[-1].tokens_per_second > (1 + LEAST_GROWTH) * before.tokens_per_second


def _has_settled(steps: Sequence[Step]) -> bool:
    return not any(is_still_growing(steps[: len(steps) - back]) for back in range(PATIENCE_STEPS))


def next_concurrency(steps: Sequence[Step], most: int) -> int | None:
    """Return how many requests a phase's next step has at once: twice as many, while that brings more."""
    if not steps:
        return 1
    last = steps[-1].concurrency
    return None if last >= most or _has_settled(steps) else min(2 * last, most)


def calibration_result(steps: Sequence[Step], *, model: str, others_seen: bool) -> Mapping[str, object]:
    """Return what is kept of a load run, JSON-ready.

    `still_growing` names the phases whose limit was that of the run and not the engine's: they show what it
    can do at least. `mixed_load_by_phases` is what the phases' capacities make of the best mixed step: above
    1 where the engine does prefill and decode side by side better than one after the other.

    Args:
        steps: Of all phases, each phase's in order.
        model: That was asked.
        others_seen: Requests of others ran as well.
    """
    by_phase = {phase: [step for step in steps if step.phase is phase] for phase in Phase}
    best = {phase: best_step(steps) for phase, steps in by_phase.items()}
    rates = {phase: None if step is None else step.tokens_per_second for phase, step in best.items()}
    mixed = best[Phase.MIXED]
    load = None
    if mixed is not None:
        load = token_load(
            input_tokens_per_second=mixed.input_tokens / mixed.seconds,
            output_tokens_per_second=mixed.output_tokens / mixed.seconds,
            prefill_tokens_per_second=rates[Phase.PREFILL],
            decode_tokens_per_second=rates[Phase.DECODE],
        )
    return {
        "model": model,
        "tokens_per_second": rates[Phase.MIXED],
        "prefill_tokens_per_second": rates[Phase.PREFILL],
        "decode_tokens_per_second": rates[Phase.DECODE],
        "still_growing": [phase.value for phase, steps in by_phase.items() if is_still_growing(steps)],
        "mixed_load_by_phases": load,
        "others_seen": others_seen,
        "steps": [{**to_builtins(step), "tokens_per_second": step.tokens_per_second} for step in steps],
    }


def phases_explain(result: Mapping[str, Any]) -> bool:
    """Return whether the capacities of both phases make of the best mixed step about a full load.

    Where no mixed step was through, there is nothing that speaks against them.
    """
    load = result["mixed_load_by_phases"]
    return load is None or bool(abs(load - 1) <= EXPLAINED_RATIO)
