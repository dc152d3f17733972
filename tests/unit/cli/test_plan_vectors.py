"""The acceptance vectors that are a plan, end to end: a configuration file in, `evenwatt plan --json` out.

Ids are those of tests/unit/economics/test_acceptance_vectors.py. Each row reads: the file, then where in the
document which number has to be. Tolerance 0.5 %.
"""

import json
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from evenwatt.cli.whole import app

TOLERANCE = 5e-3

A1 = """
    hardware: {mode: rented_always_on, rent_per_hour: 3.20}
    plan: {capacity_tokens_per_second: 1975.3056, input_share: %s, loads: [1, 0.6, 0.2, 0.1]%s}
    references:
      - {name: flat, input: 0.80, output: 0.80}
      - {name: haiku-3.5, input: 0.80, output: 4.00}
      - {name: mini, input: 0.15, output: 0.60}
"""
HOME = """
    hardware: {purchase_price: 2800, lifetime_years: 3%s}
    electricity: {price_per_kwh: 0.30}
    plan: {capacity_tokens_per_second: 1000, input_share: 0.75, loads: [1], idle_watts: %s, full_watts: 700%s}
    references:
      - {name: half, input: 0.50, output: 0.50}
      - {name: haiku-3, input: 0.25, output: 1.25}
"""
HAIKU_4_5 = """
    hardware: {mode: sunk}
    month_hours: 720
    plan: {capacity_tokens_per_second: 1000, input_share: %s, loads: [1], tokens_per_day: %s}
    references: [{name: haiku, input: 1, output: 5}]
"""
CARD = """
    hardware: {mode: rented_always_on, rent_per_hour: %s}
    plan: {capacity_tokens_per_second: %s, input_share: 0, loads: %s}
    references: [{name: three, input: 3, output: 3}]
"""
D10 = """
    hardware: {purchase_price: 15000, lifetime_years: 3}
    electricity: {price_per_kwh: 0.12}
    other: [{name: overhead, per_month: 500}]
    plan:
      capacity_tokens_per_second: 1000
      input_share: 0
      loads: [1]
      idle_watts: 0
      full_watts: 400
      tokens_per_day: 43.2e6
      month_hours: %s
    references: [{name: half, input: 0.50, output: 0.50}]
"""
D14 = """
    hardware: {purchase_price: 280000, lifetime_years: 3, maintenance_per_year: 0.10}
    electricity: {price_per_kwh: 0.12, pue: 1.4}
    plan: {capacity_tokens_per_second: 1000, input_share: 0, loads: [1], idle_watts: 2400, full_watts: 2400}
    references: [{name: half, input: 0.50, output: 0.50}]
"""

LABOUR = """
    labour: {fte: %s, salary_per_year: 150000}
"""


def planned(file, folder):
    """Return the document that the command prints for a configuration file."""
    path = folder / "config.yaml"
    path.write_text(dedent(file))
    told = CliRunner().invoke(app, ["plan", "--json", "--config", str(path)], catch_exceptions=False)
    return json.loads(told.stdout)


def costs(plan):
    """Return the cost per Mtok at each load."""
    return [point["cost_per_mtok"] for point in plan["curve"]]


def against(plan, name):
    """Return the break-even against one reference."""
    (found,) = [entry for entry in plan["break_even"] if entry["reference"] == name]
    return found


def idle_month(plan):
    """Return what a month costs by component while nobody asks."""
    return plan["cost_per_month"]["no_load"]


# fmt: off
PLANS = [
    ("A1", A1 % (0.75, ""), costs, [0.45, 0.75, 2.25, 4.50]),
    ("A2", A1 % (0.75, ""), lambda plan: against(plan, "flat")["load"], 0.5625),
    ("A2 ratio", A1 % (0.75, ", tokens_per_day: 102.4e6"),
     lambda plan: 1 / against(plan, "flat")["ratio"], 0.9375),
    ("A3 3:1", A1 % (0.75, ""),
     lambda plan: [against(plan, "haiku-3.5")[key] for key in ("price_per_mtok", "load")], [1.60, 0.28125]),
    ("A3 1:1", A1 % (0.50, ""),
     lambda plan: [against(plan, "haiku-3.5")[key] for key in ("price_per_mtok", "load")], [2.40, 0.1875]),
    ("A3 30/70", A1 % (0.30, ""),
     lambda plan: [against(plan, "haiku-3.5")[key] for key in ("price_per_mtok", "load")], [3.04, 0.1480]),
    ("A4 price", A1 % (0.75, ""), lambda plan: against(plan, "mini")["price_per_mtok"], 0.2625),
    ("A5 730", A1 % (0.75, ""), lambda plan: idle_month(plan)["hardware"], 2_336),
    ("A5 720", A1 % (0.75, ", month_hours: 720"),
     lambda plan: idle_month(plan)["hardware"], 2_304),
    ("A6", A1 % (0.75, ", tokens_per_day: 50e6"),
     lambda plan: [plan["planned"][key] for key in ("load", "cost_per_mtok")], [0.29297, 1.536]),
    ("A7 0.15", A1 % (0.75, "") + LABOUR % 0.15, lambda plan: idle_month(plan)["known"], 4_211),
    ("A7 0.25", A1 % (0.75, "") + LABOUR % 0.25, lambda plan: idle_month(plan)["known"], 5_461),
    ("B1", HOME % ("", 100, ""), lambda plan: plan["cost_per_hour"]["full_load"]["energy"], 0.21),
    ("B2", HOME % ("", 100, ""),
     lambda plan: [idle_month(plan)["hardware"], plan["cost_per_hour"]["no_load"]["hardware"]],
     [77.78, 0.10654]),
    # A third of full load all day draws what full load draws for 8 hours, above idle: 0 W, then 100 W for B4.
    ("B3", HOME % ("", 0, ", tokens_per_day: 28.8e6, month_hours: 720"),
     lambda plan: plan["planned"]["month"]["energy"], 50.40),
    ("B4", HOME % ("", 100, ", tokens_per_day: 28.8e6, month_hours: 720"),
     lambda plan: plan["planned"]["month"]["energy"], 50.40 + 14.40),
    ("B5", HOME % ("", 0, ""), lambda plan: against(plan, "haiku-3")["price_per_mtok"], 0.50),
    ("B6", HOME % ("", 100, ""), lambda plan: against(plan, "half")["load"], 0.08429),
    ("B7", HOME % (", residual_value: 900, maintenance_per_year: 0.03", 100, ""),
     lambda plan: plan["cost_per_hour"]["no_load"]["hardware"], 0.08189),
    *[(f"C1 {tokens:g}", HAIKU_4_5 % (0.30, tokens), lambda plan: plan["planned"]["api_month"]["haiku"], bill)
      for tokens, bill in ((1e4, 1.14), (1e5, 11.40), (5e5, 57), (1e6, 114), (5e6, 570), (1e7, 1_140))],
    *[(f"C2 {tokens:g}", HAIKU_4_5 % (0.50, tokens), lambda plan: plan["planned"]["api_month"]["haiku"], bill)
      for tokens, bill in ((1e4, 0.90), (1e5, 9), (5e5, 45), (1e6, 90), (5e6, 450), (1e7, 900))],
    ("C3", CARD % (15 / 730, 1_000, [1]), lambda plan: against(plan, "three")["mtok_per_month"], 5),
    *[(f"C4 {price}", f"hardware: {{purchase_price: {price}, lifetime_years: 3}}\nreferences: []",
       lambda plan: idle_month(plan)["hardware"], month)
      for price, month in ((1_200, 33.33), (2_500, 69.44), (4_500, 125.00), (6_000, 166.67))],
    ("C5", CARD % (0.10, 80, "[1], tokens_per_day: 10e6, month_hours: 720"),
     lambda plan: [plan["planned"]["tokens_per_second"], plan["planned"]["machines"],
                   plan["machine"]["most_mtok_per_month"]], [115.7, 2, 207.36]),
    ("D10 hardware", D10 % 730, lambda plan: plan["planned"]["month"]["hardware"], 416.67),
    ("D10 energy", D10 % 720, lambda plan: plan["planned"]["month"]["energy"], 17.28),
    ("D10 other", D10 % 720, lambda plan: plan["planned"]["month"]["other"], 500),
    ("D11", CARD % (320 / 730, 2_000, [1]), lambda plan: against(plan, "three")["mtok_per_month"], 106.7),
    ("D11 cost", CARD % (1.50, 2_000, [1]), costs, [0.2083]),
    ("D12", CARD % (2.00, 2_000, [1, 0.2]), costs, [0.2778, 1.389]),
    ("D13", CARD % (2.50, 700, [1, 0.1]), costs, [0.992, 9.92]),
    ("D14", D14,
     lambda plan: [plan["cost_per_hour"]["full_load"][key] for key in ("hardware", "energy", "known")],
     [10.654 + 3.196, 0.403, 14.254]),
]
# fmt: on


@pytest.mark.parametrize(
    ("file", "found", "expected"), [row[1:] for row in PLANS], ids=[row[0] for row in PLANS]
)
def test_plan_of_an_acceptance_vector(file, found, expected, tmp_path):
    """The file of a vector gives its number in the document of `evenwatt plan --json`."""
    assert found(planned(file, tmp_path)) == pytest.approx(expected, rel=TOLERANCE)


def test_a_break_even_that_is_never_reached_is_null(tmp_path):
    """A4 end to end: no load, no volume and no payback, and the word that says so."""
    never = against(planned(A1 % (0.75, ", tokens_per_day: 50e6"), tmp_path), "mini")

    assert (never["load"], never["mtok_per_month"], never["payback_months"]) == (None, None, None)
    assert (never["outcome"], never["payback"]) == ("never", "nothing bought")
