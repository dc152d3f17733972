"""The unit of a PromQL expression, worked out from those of the metrics in it.

A value times its unit is a quantity. A number that multiplies a value is taken for a change of its unit, as
`24 * cost_per_hour` is cost per day: that is what numbers in queries are for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose

import promql_parser as promql

__all__ = ["NUMBER", "Unit", "UnitsDiffer", "unit_of"]


class UnitsDiffer(Exception):
    """Two things are added or compared that have not the same unit."""


@dataclass(frozen=True)
class Unit:
    """Powers of basic units, and how many of them one is.

    Attributes:
        powers: By basic unit: J, s, tok, money, B, celsius.
    """

    powers: frozenset[tuple[str, int]] = frozenset()
    scale: float = 1.0

    def times(self, other: "Unit", power: int = 1) -> "Unit":
        """Return the product with another one, or the quotient where the power is -1."""
        powers = dict(self.powers)
        for name, count in other.powers:
            powers[name] = powers.get(name, 0) + power * count
        return Unit(
            frozenset((name, count) for name, count in powers.items() if count),
            self.scale * other.scale**power,
        )

    def fits(self, other: "Unit") -> bool:
        """Whether it is the same unit."""
        return self.powers == other.powers and isclose(self.scale, other.scale)


NUMBER = Unit()


def _unit(scale: float = 1.0, **powers: int) -> Unit:
    return Unit(frozenset(powers.items()), scale)


_BY_NAME = (
    (r"_joules_total", _unit(J=1)),
    (r"tokens_per_second", _unit(tok=1, s=-1)),
    (r"tokens_total", _unit(tok=1)),
    (r"_price_per_kwh", _unit(1 / 3.6e6, money=1, J=-1)),
    (r"cost_per_hour", _unit(1 / 3600, money=1, s=-1)),
    (r"_per_mtok", _unit(1e-6, money=1, tok=-1)),
    (r"cost_total", _unit(money=1)),
    (r"_watts", _unit(J=1, s=-1)),
    (r"_bytes", _unit(B=1)),
    (r"_celsius", _unit(celsius=1)),
    (r"_seconds(_total)?", _unit(s=1)),
    (r"_(ratio|up|info|simulated|released|successful|stale|pending|ticks|running|waiting)", NUMBER),
    (r"_(events|requests|restarts)_total", NUMBER),
    (r"ALERTS", NUMBER),
)
"""By the end of a metric's name; the first that fits."""

_KEEPS = {"increase", "last_over_time", "label_replace", "abs", "round", "max_over_time", "scalar"}
_COUNTS = {"changes", "count_over_time", "resets"}
_COMPARES = {">", "<", ">=", "<=", "==", "!="}


def unit_of(expression: str, rules: Mapping[str, str] | None = None) -> Unit:
    """Return the unit of an expression.

    Args:
        expression: In PromQL.
        rules: The expressions of recording rules, by name.

    Raises:
        UnitsDiffer: It adds or compares what cannot be.
    """
    unit = _of(promql.parse(expression), rules or {})
    return NUMBER if isinstance(unit, float) else unit


def _of(node: promql.Expr, rules: Mapping[str, str]) -> Unit | float:
    """Return the unit; of a bare number the number."""
    match node:
        case promql.NumberLiteral():
            return float(node.val)
        case promql.ParenExpr():
            return _of(node.expr, rules)
        case promql.UnaryExpr():
            return _of(node.expr, rules)
        case promql.VectorSelector():
            return _of_metric(node.name, rules)
        case promql.MatrixSelector():
            return _of(node.vector_selector, rules)
        case promql.AggregateExpr():
            return NUMBER if str(node.op) in {"count", "count_values", "group"} else _of(node.expr, rules)
        case promql.Call():
            return _of_call(node, rules)
        case promql.BinaryExpr():
            return _of_pair(node, rules)
    raise NotImplementedError(f"{type(node)}: {node}")


def _of_metric(name: str, rules: Mapping[str, str]) -> Unit:
    if name in rules:
        return unit_of(rules[name], rules)
    for pattern, unit in _BY_NAME:
        if re.search(f"{pattern}$", name):
            return unit
    raise NotImplementedError(f"no unit is known of {name}")


def _of_call(node: promql.Call, rules: Mapping[str, str]) -> Unit | float:
    name = node.func.name
    if name == "time":
        return _unit(s=1)
    if name in _COUNTS:
        return NUMBER
    if name == "vector":
        return NUMBER
    inner = _of(node.args[0], rules)
    if isinstance(inner, float):
        return inner
    if name in {"rate", "irate"}:
        return inner.times(_unit(s=1), -1)
    if name in _KEEPS:
        return inner
    raise NotImplementedError(f"no unit is known of {name}()")


def _of_pair(node: promql.BinaryExpr, rules: Mapping[str, str]) -> Unit | float:
    left, right, operator = _of(node.lhs, rules), _of(node.rhs, rules), str(node.op)
    if operator in {"and", "unless"}:
        return left
    if operator in {"*", "/"}:
        return _product(left, right, 1 if operator == "*" else -1)
    if operator in _COMPARES:
        if not isinstance(right, float):
            _check_same(node, left, right)
        return NUMBER if node.modifier is not None and node.modifier.return_bool else left
    # +, - and `or`
    if isinstance(left, float) and isinstance(right, float):
        return left
    _check_same(node, left, right)
    return right if isinstance(left, float) else left


def _product(left: Unit | float, right: Unit | float, power: int) -> Unit | float:
    match left, right:
        case float(), float():
            return left * right**power
        case float(), Unit():
            # Nothing of a thing is still of its unit.
            return NUMBER.times(right, power) if left in {0.0, 1.0} else _scaled(right, left, power)
        case Unit(), float():
            return left if right in {0.0, 1.0} else Unit(left.powers, left.scale * right**-power)
    return left.times(right, power)


def _scaled(unit: Unit, number: float, power: int) -> Unit:
    inverted = NUMBER.times(unit, power)
    return Unit(inverted.powers, inverted.scale / number)


def _check_same(node: promql.Expr, left: Unit | float, right: Unit | float) -> None:
    one = NUMBER if isinstance(left, float) else left
    other = NUMBER if isinstance(right, float) else right
    if not one.fits(other):
        raise UnitsDiffer(f"{one} and {other} in {node}")
