"""What the machine, its engines and its models did and cost in a window: the sums of a report."""

from collections.abc import Mapping

from evenwatt.economics.cost import Costs
from evenwatt.economics.effective import Basis, TokenBase, cost_per_mtok
from evenwatt.economics.sums import known_sum
from evenwatt.economics.tokens import Tokens
from evenwatt.ledger import Usage
from evenwatt.ledger.entries import add_rows
from evenwatt.model import UNALLOCATED, State
from evenwatt.snapshot.report.values import ReportRow, ReportTotals, StateShare, UnitCosts
from evenwatt.snapshot.sums import Money, Sums, tokens_of, total_money
from evenwatt.snapshot.windows import ALL, WindowView
from evenwatt.units import JOULES_PER_KWH

__all__ = ["machine_money", "machine_usage", "rows_of", "totals_of"]


def machine_usage(sums: Sums) -> Usage:
    """Return what all engines and models used, with what no engine did."""
    usage = Usage()
    for row in sums.usage.values():
        add_rows(usage, row)
    return usage


def machine_money(sums: Sums) -> Money:
    """Return what all of it cost."""
    return total_money(sums.money.values())


def totals_of(sums: Sums, view: WindowView, *, gpu_joules: float | None) -> ReportTotals:
    """Return what the machine did and cost.

    Args:
        sums: Of the window.
        view: Of the same.
        gpu_joules: As the GPUs counted them.
    """
    usage, money = machine_usage(sums), machine_money(sums)
    tokens = tokens_of(usage)
    serving = [row for row in view.rows if row.model == ALL != row.engine and row.tokens.total_tokens]
    phases = serving[0] if len(serving) == 1 else None
    return ReportTotals(
        tokens=tokens,
        requests=_requests(usage),
        kwh=_kwh(_joules(usage)),
        gpu_kwh=_kwh(gpu_joules),
        host_kwh=_kwh(known_sum(meter.energy_joules for meter in sums.meters.values())),
        costs=money.whole_costs,
        unpriced_seconds=money.unpriced_seconds,
        unpriced_kwh=_kwh(money.unpriced_joules),
        cost_per_mtok=_unit_costs(money.whole_costs, tokens),
        states=_states(usage, money),
        input_cost_per_mtok=None if phases is None else phases.input_cost_per_mtok,
        output_cost_per_mtok=None if phases is None else phases.output_cost_per_mtok,
    )


def rows_of(sums: Sums, view: WindowView) -> tuple[ReportRow, ...]:
    """Return a row for each engine and model, and last what no engine used.

    Args:
        sums: Of the window.
        view: Of the same, for the loads and the comparisons of each.
    """
    tokens = tokens_of(machine_usage(sums)).total_tokens
    full = machine_money(sums).whole_costs.full
    rows = [_row(key, sums, view, machine_tokens=tokens, machine_full=full) for key in sums.usage]
    return tuple(
        sorted(
            rows,
            key=lambda row: (row.engine == UNALLOCATED, row.engine, -row.tokens.total_tokens, row.model),
        )
    )


def _row(
    key: tuple[str, str],
    sums: Sums,
    view: WindowView,
    *,
    machine_tokens: float,
    machine_full: float | None,
) -> ReportRow:
    usage, money = sums.usage[key], sums.money.get(key, Money())
    tokens, costs = tokens_of(usage), money.whole_costs
    # A model that is named like the sum of its engine has no row of its own in the view.
    seen = None if key[1] == ALL else view.row(*key)
    return ReportRow(
        engine=key[0],
        model=key[1],
        tokens=tokens,
        requests=_requests(usage),
        kwh=_kwh(_joules(usage)),
        costs=costs,
        idle_cost=None if costs.full is None else (money.idle_loaded or 0.0) + (money.idle_empty or 0.0),
        cost_per_mtok=_unit_costs(costs, tokens),
        load_ratio=None if seen is None else seen.load_ratio,
        token_share=tokens.total_tokens / machine_tokens if machine_tokens else None,
        cost_share=costs.full / machine_full if costs.full is not None and machine_full else None,
        references=() if seen is None else seen.references,
        input_cost_per_mtok=None if seen is None else seen.input_cost_per_mtok,
        output_cost_per_mtok=None if seen is None else seen.output_cost_per_mtok,
    )


def _unit_costs(costs: Costs, tokens: Tokens) -> UnitCosts:
    computed = Tokens(input_tokens=tokens.input_tokens, output_tokens=tokens.output_tokens)
    full, energy = (
        {
            "total": cost_per_mtok(costs, tokens, basis=basis),
            "output": cost_per_mtok(costs, tokens, basis=basis, base=TokenBase.OUTPUT),
            "computed": cost_per_mtok(costs, computed, basis=basis),
        }
        for basis in (Basis.FULL, Basis.ENERGY)
    )
    return UnitCosts(
        full_total=full["total"],
        full_output=full["output"],
        full_computed=full["computed"],
        energy_total=energy["total"],
        energy_output=energy["output"],
        energy_computed=energy["computed"],
    )


def _states(usage: Usage, money: Money) -> tuple[StateShare, ...]:
    full = money.whole_costs.full
    loaded, empty = (None, None) if full is None else (money.idle_loaded or 0.0, money.idle_empty or 0.0)
    active = None if full is None else full - (loaded or 0.0) - (empty or 0.0)
    down = usage.down_seconds or 0.0
    return (
        _state(State.ACTIVE, usage.active_seconds, usage.active_joules, active),
        _state(State.IDLE_LOADED, usage.idle_loaded_seconds, usage.idle_loaded_joules, loaded),
        _state(State.IDLE_EMPTY, usage.idle_empty_seconds, usage.idle_empty_joules, empty, down_seconds=down),
    )


def _state(
    state: State,
    seconds: float | None,
    joules: float | None,
    cost: float | None,
    *,
    down_seconds: float = 0.0,
) -> StateShare:
    up_seconds = (seconds or 0.0) - down_seconds
    return StateShare(
        state=state,
        seconds=seconds or 0.0,
        kwh=_kwh(joules),
        cost=cost,
        watts=None if joules is None or up_seconds <= 0 else joules / up_seconds,
    )


def _requests(usage: Usage) -> Mapping[str, int]:
    counted = {
        "completed": usage.requests_completed,
        "aborted": usage.requests_aborted,
        "failed": usage.requests_failed,
    }
    return {outcome: count for outcome, count in counted.items() if count is not None}


def _joules(usage: Usage) -> float | None:
    return known_sum((usage.active_joules, usage.idle_loaded_joules, usage.idle_empty_joules))


def _kwh(joules: float | None) -> float | None:
    return None if joules is None else joules / JOULES_PER_KWH
