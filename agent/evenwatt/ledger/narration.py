"""The sentences of events: what happened, with the numbers, for a person who looks it up later."""

from collections.abc import Sequence
from datetime import UTC, datetime

from evenwatt.ledger.cursors import CrossCheck, EngineCursor
from evenwatt.ledger.spans import Span
from evenwatt.ledger.tokens import EngineIncrease
from evenwatt.model import GpuReading, Moment

__all__ = [
    "Told",
    "clock_stepped",
    "counters_in_steps",
    "energy_counter_reset",
    "energy_disagreement",
    "energy_refused",
    "energy_source_changed",
    "engine_renamed",
    "engine_restart",
    "engine_twin",
    "first_sight",
    "gap",
    "gateway_left_out",
    "gpu_fault",
    "models_folded",
    "part_cut_short",
]

Told = tuple[str, str, str]
"""(kind, subject, text) of an event"""


def first_sight(engine: str, cursor: EngineCursor) -> Told:
    """Tell of an engine that counted before anyone watched: its counters are a baseline."""
    tokens = sum(state.logical_input_tokens + state.output_tokens for state in cursor.models.values())
    text = f"first seen with {tokens:,} tokens already counted; they are the baseline and not booked"
    return "first_sight", engine, text


def engine_renamed(engine: str, before: str) -> Told:
    """Tell that a process is counted on under another name."""
    return "engine_renamed", engine, f"was {before} until now; its counters go on under the new name"


def engine_twin(engine: str, other: str) -> Told:
    """Tell of an engine that is read under two names."""
    text = f"is the same process as {other}, which is counted; this name is not, remove one of the two"
    return "engine_twin", engine, text


def engine_restart(engine: str, last: Moment, increase: EngineIncrease) -> Told:
    """Tell of a restart, and of what cannot be known after it."""
    tokens = sum(
        model.input_tokens + (model.cached_input_tokens or 0) + model.output_tokens
        for model in increase.models.values()
    )
    text = (
        f"began counting anew; {tokens:,} tokens since then are booked. What it counted after its last "
        f"reading at {_utc(last.utc_seconds)} and before it ended cannot be known"
    )
    return "engine_restart", engine, text


def gap(source: str, span: Span) -> Told:
    """Tell of time in which nobody looked."""
    text = (
        f"not watched for {span.length_seconds:,.0f} s until {_utc(span.end_utc_seconds)}; what was counted "
        "meanwhile is spread evenly over that time and marked estimated"
    )
    return "gap", source, text


def counters_in_steps(engine: str, step_tokens: int) -> Told:
    """Tell how far the counters of an engine may be off between two readings."""
    text = (
        f"tells its tokens in steps of {step_tokens:,} from now on: totals stay right to a step, what "
        "was counted between two readings is uncertain by one step, and a restart may lose up to one"
    )
    return "counters_in_steps", engine, text


def models_folded(engine: str, names: Sequence[str]) -> Told:
    """Tell that an engine serves more models than there are labels."""
    text = f'{len(names):,} models beyond the bound of labels share model="other"; the first is {names[0]!r}'
    return "models_folded", engine, text


def part_cut_short(engine: str, models: Sequence[str]) -> Told:
    """Tell that the process of a model ended at work, or while nobody looked."""
    text = (
        f"the process that served {', '.join(map(repr, models)) or 'a model'} ended; what it counted after "
        "its last reading cannot be known"
    )
    return "model_cut_short", engine, text


def gateway_left_out(engine: str, behind: Sequence[str]) -> Told:
    """Tell that a gateway counts what engines that are read count too."""
    text = (
        f"passes requests on, and its tokens are not added up: {', '.join(behind)} is read too and counts "
        "them. Where it leads to none of those, set `in_totals: true` for it"
    )
    return "gateway_left_out", engine, text


def clock_stepped(span: Span) -> Told:
    """Tell that somebody set the wall clock."""
    way = "forward" if span.stepped_seconds > 0 else "back"
    text = (
        f"the wall clock was set {way} by {abs(span.stepped_seconds):,.1f} s; lengths are not touched, "
        "minutes from here on have the new time"
    )
    return "clock_step", "clock", text


def gpu_fault(gpu: GpuReading) -> Told:
    """Tell that a GPU stopped answering, or answers again."""
    if gpu.fault is None:
        return "gpu_back", gpu.uuid, f"GPU {gpu.index} ({gpu.name}) answers again"
    return "gpu_lost", gpu.uuid, f"GPU {gpu.index} ({gpu.name}): {gpu.fault}"


def energy_counter_reset(gpu: GpuReading) -> Told:
    """Tell that the driver's energy counter began anew."""
    text = (
        f"the energy counter of GPU {gpu.index} ({gpu.name}) began anew (reboot, driver reload or reset); "
        "its new value is booked, what it counted after the last reading before that is not known"
    )
    return "energy_counter_reset", gpu.uuid, text


def energy_refused(gpu: GpuReading, joules: float) -> Told:
    """Tell of a jump of the energy counter that the card cannot have drawn."""
    text = (
        f"the energy counter of GPU {gpu.index} ({gpu.name}) jumped by {joules:,.0f} J, more than the "
        "card can draw in that time; the jump is not booked"
    )
    return "energy_refused", gpu.uuid, text


def energy_source_changed(gpu: GpuReading) -> Told:
    """Tell that a GPU's energy comes from another source than before."""
    source = "its energy counter" if gpu.has_energy_counter else "integrated power samples"
    return "energy_source", gpu.uuid, f"the energy of GPU {gpu.index} ({gpu.name}) now comes from {source}"


def energy_disagreement(gpu: GpuReading, check: CrossCheck) -> Told:
    """Tell that energy counter and integrated power part on a busy GPU, or agree again."""
    kind, verdict = (
        ("energy_disagreement", "out of bounds")
        if check.is_parted
        else ("energy_agreement", "within bounds again")
    )
    text = (
        f"GPU {gpu.index} ({gpu.name}), busy: energy counter over integrated power is {check.ratio:.3f}, "
        f"{verdict}; the counter is what is booked"
    )
    return kind, gpu.uuid, text


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
