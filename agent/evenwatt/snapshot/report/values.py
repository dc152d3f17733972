"""What `evenwatt report` says about a window of the history: one frozen value that every renderer reads.

Values only: `service.report` gathers them, `sinks.report` renders them as text, Markdown, HTML and JSON. All
sums are of the whole machine, with what no engine used, unless a name says otherwise. None is not known, and
never 0; `math.inf` is never. Every string that comes from an engine is hostile text to a renderer.
"""

from collections.abc import Mapping

from msgspec import Struct

from evenwatt.economics.cost import Costs
from evenwatt.economics.scenarios import Scenario
from evenwatt.economics.tokens import Tokens
from evenwatt.model import Assumption, State
from evenwatt.snapshot.report.comparison import Comparison, CostCurve, Decision, IdlePower
from evenwatt.snapshot.report.traffic import ReportDay, WeekMap
from evenwatt.snapshot.report.verdict import Verdict
from evenwatt.snapshot.windows import ReferenceView

__all__ = [
    "EngineCapacity",
    "Report",
    "ReportHead",
    "ReportRow",
    "ReportTotals",
    "ReportWindow",
    "StateShare",
    "UnitCosts",
]


class ReportWindow(Struct, frozen=True, kw_only=True):
    """The span that was asked about.

    Attributes:
        label: As a person says it: `30d`, `2026-10`, `2026-10-01 to 2026-10-07`, `all`.
        zone_name: Of the site, as in `Europe/Berlin`; all local hours and days are in it.
    """

    label: str
    start_utc_seconds: float
    end_utc_seconds: float
    zone_name: str

    @property
    def seconds(self) -> float:
        """How long it is, also where the history is younger."""
        return self.end_utc_seconds - self.start_utc_seconds


class EngineCapacity(Struct, frozen=True, kw_only=True):
    """What an engine can sustain, and how much of it was used.

    Attributes:
        tokens_per_second: Computed input and output together, at the usual mix.
        source: `configured`, `calibrated`, `learned`, `peak_seen` or `simulated`.
        load_ratio: Of the engine over the window, idle time included.
        measured_utc_seconds: When it was measured, where it was.
        is_lower_bound: Only the most that was seen, so that the load is an upper bound.
    """

    engine: str
    tokens_per_second: float | None
    source: str
    load_ratio: float | None
    prefill_tokens_per_second: float | None = None
    decode_tokens_per_second: float | None = None
    measured_utc_seconds: float | None = None
    is_lower_bound: bool = False


class ReportHead(Struct, frozen=True, kw_only=True):
    """What the numbers stand on.

    Attributes:
        machine: Its host name, or what its owner calls it.
        generated_utc_seconds: When the report was made.
        simulated: Readings are not of real hardware; every rendering says so.
        month_hours: Hours of a month, wherever something is given per month.
        accounted_seconds: Of the window, what the history accounts for.
        coverage_ratio: The share of the window in which the agent looked.
        estimated_ratio: The share of the accounted time in which it did not, and what was counted is spread.
        down_seconds: The accounted time in which the machine was off, as far as is known.
        gaps: How often the agent or a source was away.
        restarts: How often an engine restarted.
        first_utc_seconds: Where the history begins within the window; None: it holds nothing of it.
        assumptions: Settings that nobody wrote.
        notes: Sentences that a reader must know: stale prices, hardware written off, the load as a bound.
        capacities: Of all engines of which one is known.
    """

    window: ReportWindow
    currency: str
    version: str
    machine: str
    generated_utc_seconds: float
    simulated: bool
    month_hours: float
    accounted_seconds: float
    coverage_ratio: float
    estimated_ratio: float
    down_seconds: float
    gaps: int
    restarts: int
    first_utc_seconds: float | None = None
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()
    capacities: tuple[EngineCapacity, ...] = ()


class UnitCosts(Struct, frozen=True, kw_only=True):
    """Cost of a million tokens by basis (full, energy) and token base; None where it cannot be known.

    Total counts all input, cached or not, and output; computed leaves cached input out; output is alone.
    """

    full_total: float | None = None
    full_output: float | None = None
    full_computed: float | None = None
    energy_total: float | None = None
    energy_output: float | None = None
    energy_computed: float | None = None


class StateShare(Struct, frozen=True, kw_only=True):
    """What was spent in one state: with requests running, idle with a model in memory, idle without.

    Attributes:
        seconds: Of the machine's time; the three add up to all of it.
        kwh: The three add up to all energy; None: nothing was measured in this state.
        cost: The three add up to the full cost; None where that is not known.
        watts: Mean power while the machine was on.
    """

    state: State
    seconds: float
    kwh: float | None
    cost: float | None
    watts: float | None


class ReportTotals(Struct, frozen=True, kw_only=True):
    """What the machine did and cost.

    Attributes:
        requests: By outcome (`completed`, `aborted`, `failed`), as far as engines count them.
        kwh: That was priced: GPUs and, where it is measured, the rest of the machine.
        gpu_kwh: As the GPUs counted it.
        host_kwh: Everything that is not GPU; None: not measured, and then `kwh` is of the GPUs alone.
        costs: By component; hardware and energy are None where a price was not known for all of the window.
        unpriced_seconds: The machine's time for which no hardware price was known; None: there was none.
        unpriced_kwh: The energy for which no electricity price was known; None: there was none.
        states: Active, idle with a model, idle without, in this order.
        input_cost_per_mtok: Cost of prefill over computed input, and below of decode over output: an
            allocation by the time that requests spent in each phase, where the one engine that served tells
            it, of its part of the cost.
    """

    tokens: Tokens
    requests: Mapping[str, int]
    kwh: float | None
    gpu_kwh: float | None
    host_kwh: float | None
    costs: Costs
    unpriced_seconds: float | None
    cost_per_mtok: UnitCosts
    states: tuple[StateShare, ...]
    input_cost_per_mtok: float | None = None
    output_cost_per_mtok: float | None = None
    unpriced_kwh: float | None = None

    @property
    def idle_cost(self) -> float | None:
        """What the machine cost while no request ran; None where not known."""
        idle = [share.cost for share in self.states if share.state is not State.ACTIVE]
        known = [cost for cost in idle if cost is not None]
        return sum(known) if known and len(known) == len(idle) else None


class ReportRow(Struct, frozen=True, kw_only=True):
    """One model of one engine, or what no engine used (`engine` is `evenwatt.model.UNALLOCATED`).

    Attributes:
        engine: Its name.
        model: Empty where no model is known.
        requests: By outcome.
        kwh: Its share; an allocation where engines share a GPU or models an engine.
        costs: Likewise.
        idle_cost: The part of them in which none of its requests ran; None where not known.
        load_ratio: Of the engine, where this is the only model that it served.
        token_share: Of all tokens; None without any.
        cost_share: Of the full cost of the machine; None where not known.
        references: Against each API that all of its tokens were priced at.
        input_cost_per_mtok: Cost of prefill over computed input, and below of decode over output: an
            allocation by the time that requests spent in each phase; None where the engine does not tell.
    """

    engine: str
    model: str
    tokens: Tokens
    requests: Mapping[str, int]
    kwh: float | None
    costs: Costs
    idle_cost: float | None
    cost_per_mtok: UnitCosts
    load_ratio: float | None
    token_share: float | None
    cost_share: float | None
    references: tuple[ReferenceView, ...] = ()
    input_cost_per_mtok: float | None = None
    output_cost_per_mtok: float | None = None


class Report(Struct, frozen=True, kw_only=True):
    """A window of the history, worked out.

    Attributes:
        load_ratio: Token load of the machine: that of its busiest engine, which is full first as the mix is.
            None where the capacity of an engine that served is not known.
        rows: Engines by name, models by tokens; what no engine used last. They add up to the totals.
        days: Local days, oldest first. They add up to the totals.
        comparisons: The cheapest API first.
        curve: None where load or full cost are not known.
        scenarios: All of them; one that cannot be told says why.
    """

    head: ReportHead
    verdict: Verdict
    totals: ReportTotals
    load_ratio: float | None
    rows: tuple[ReportRow, ...]
    days: tuple[ReportDay, ...]
    week: WeekMap
    comparisons: tuple[Comparison, ...]
    curve: CostCurve | None
    idle_power: IdlePower
    scenarios: tuple[Scenario, ...]
    decision: Decision
