"""Published and derived numbers that the economics must reproduce, and published ones that it must not.

A: a rented server; B: a card at home; C: volumes of an article; D: other publications, by their inputs;
E: API bills and tariffs. S0-S3 are four published articles; *derived* is our own arithmetic on their inputs.

Each row of the table reads: what goes in, what has to come out, who published it; the last column calls the
product's own functions. Money per Mtok is over all tokens unless the row says "of output". Tolerance 0.5 %.
The same vectors as files that `evenwatt plan` reads: tests/unit/cli/test_plan_vectors.py.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from evenwatt.economics.api import ReferencePrice, api_cost
from evenwatt.economics.breakeven import (
    CostLine,
    WindowSums,
    break_even_load,
    break_even_mtok_per_month,
    cost_line,
    cost_per_mtok_at_load,
    payback_months,
    token_load,
)
from evenwatt.economics.cost import Costs, MinuteCosts, PriceBook, StateUse, minute_costs
from evenwatt.economics.effective import (
    TokenBase,
    api_price_per_mtok,
    break_even_ratio,
    cost_per_mtok,
    phase_costs_per_mtok,
)
from evenwatt.economics.ownership import Hardware, Owned, Rented, Sunk, hardware_cost
from evenwatt.economics.planning import (
    Machine,
    Power,
    break_even_against,
    costs_per_mtok,
    demand_on,
    machine_line,
    mix_of_shares,
    most_mtok_per_month,
)
from evenwatt.economics.running import (
    MonthlyCost,
    SalariedLabour,
    labour_cost_per_second,
    other_cost_per_second,
)
from evenwatt.economics.tariffs import DatedPrice, Tariff, energy_cost, flat_tariff
from evenwatt.economics.tokens import Tokens
from evenwatt.model import State

HOUR = 3_600
DAY = 24 * HOUR
MONTH = 730 * HOUR
MONTH_OF_30_DAYS = 30 * DAY
NOW = 1_795_000_000.0
MILLION = 1_000_000
TOLERANCE = 5e-3


def api(input_price: float, output_price: float, cached: float | None = None) -> ReferencePrice:
    """Return a reference with these prices per Mtok."""
    return ReferencePrice(
        name="api",
        valid_from_utc_seconds=0.0,
        input_per_mtok=input_price,
        output_per_mtok=output_price,
        cached_input_per_mtok=cached,
    )


HAIKU_3 = api(0.25, 1.25)
HAIKU_3_5 = api(0.80, 4.00)
HAIKU_4_5 = api(1.00, 5.00, cached=0.10)
GPT_4O_MINI = api(0.15, 0.60)


def bill(price: ReferencePrice, tokens: float, *, mix: tuple[float, float]) -> float:
    """Return the API bill for some tokens, input and output in this proportion."""
    one_part = tokens / sum(mix)
    return api_cost(Tokens(input_tokens=mix[0] * one_part, output_tokens=mix[1] * one_part), price).no_cache


def blend(price: ReferencePrice, *, mix: tuple[float, float]) -> float:
    """Return an API's price per Mtok at a mix of input and output."""
    tokens = Tokens(input_tokens=mix[0], output_tokens=mix[1])
    return api_price_per_mtok(api_cost(tokens, price).no_cache, tokens)


def line(cost_per_hour: float, mtok_per_hour: float) -> CostLine:
    """Return the cost line of a machine whose cost does not depend on load."""
    return CostLine(fixed_cost_per_hour=cost_per_hour, load_cost_per_hour=0.0, mtok_per_hour=mtok_per_hour)


def at_loads(machine: CostLine, *loads: float) -> list[float]:
    """Return the cost per Mtok at some loads."""
    return [cost_per_mtok_at_load(machine, load) for load in loads]


def per_mtok(
    cost: float, tokens_per_second: float, *, seconds: float = HOUR, base: TokenBase = TokenBase.OUTPUT
) -> float:
    """Return the cost per Mtok of a machine that costs this much in some seconds at a rate of output."""
    tokens = Tokens(output_tokens=tokens_per_second * seconds)
    return cost_per_mtok(Costs(hardware=cost, energy=0.0, labour=0.0, other=0.0), tokens, base=base)


def hardware(what: Hardware, seconds: float) -> float:
    """Return what having the hardware costs for some seconds from now on."""
    return hardware_cost(what, utc_seconds=NOW, seconds=seconds)


def electricity(watts: float, hours: float, price: float, *, pue: float = 1.0) -> float:
    """Return what a constant power costs over some hours."""
    tariff = flat_tariff(price, pue=pue)
    return energy_cost(tariff, utc_seconds=NOW, joules=watts * hours * HOUR)


def rent_and_labour_per_month(fte: float) -> float:
    """Return a month of 3.20 an hour and of a share of a salary of 150,000."""
    labour = SalariedLabour(fte=fte, salary_per_year=150_000)
    return hardware(Rented(rent_per_hour=3.20), MONTH) + labour_cost_per_second(labour) * MONTH


S3_MACHINE = line(3.20, 7.1111)
HOME_CARD = Owned(purchase_price=2_800, lifetime_years=3)
HOME_MONTH = hardware(HOME_CARD, MONTH) + electricity(700, 240, 0.30)
EIGHT_H100 = Owned(purchase_price=280_000, lifetime_years=3, maintenance_per_year=0.10)
TOKENWATT = Tokens(input_tokens=6_070_000, output_tokens=53_000)
TOKENWATT_ALL_CACHED = Tokens(cached_input_tokens=6_070_000, output_tokens=53_000)
OPENCOST = Tokens(input_tokens=11_200_000, cached_input_tokens=800_000, output_tokens=3_000_000)
COST_3_20 = Costs(hardware=3.20, energy=0.0, labour=0.0, other=0.0)


def monthly(daily_tokens: list[float], *, mix: tuple[float, float]) -> list[float]:
    """Return Haiku 4.5's bills for 30 days of some daily volumes."""
    return [bill(HAIKU_4_5, 30 * tokens, mix=mix) for tokens in daily_tokens]


S2_VOLUMES = [1e4, 1e5, 5e5, 1e6, 5e6, 1e7]


def volume(cost_per_month: float, price: float) -> float:
    """Return the break-even volume of a machine whose cost does not depend on load."""
    return break_even_mtok_per_month(line(cost_per_month / 730, 1.0), price)


def d14_parts() -> list[float]:
    """Return depreciation, maintenance, electricity and their sum per hour."""
    both = hardware(EIGHT_H100, HOUR)
    depreciation = hardware(Owned(purchase_price=280_000, lifetime_years=3), HOUR)
    power = electricity(2_400, 1, 0.12, pue=1.4)
    return [depreciation, both - depreciation, power, both + power]


def d10_parts() -> list[float]:
    """Return hardware, electricity, overhead and their sum per month."""
    parts = [
        hardware(Owned(purchase_price=15_000, lifetime_years=3), MONTH),
        electricity(400 * 0.5, 720, 0.12),
        other_cost_per_second([MonthlyCost(name="overhead", per_month=500)]) * MONTH,
    ]
    return [*parts, sum(parts)]


def e3_bill() -> float:
    """Return the bill of 500 W through a change of price."""
    tariff = Tariff(
        prices=(
            DatedPrice(price_per_kwh=0.30),
            DatedPrice(price_per_kwh=0.18, valid_from_utc_seconds=NOW + 2 * HOUR),
        )
    )
    hour_joules = 500 * HOUR
    return sum(energy_cost(tariff, utc_seconds=NOW + hour * HOUR, joules=hour_joules) for hour in range(3))


def idle_month() -> MinuteCosts:
    """Return the costs of a rented machine that was active for three tenths of a month."""
    return minute_costs(
        PriceBook(hardware=Rented(rent_per_hour=3.20), tariff=flat_tariff(0.30)),
        utc_seconds=NOW,
        uses={
            State.ACTIVE: StateUse(seconds=0.3 * MONTH, joules=0.0),
            State.IDLE_LOADED: StateUse(seconds=0.7 * MONTH, joules=0.0),
        },
    )


def output_load(rate: float, capacity: float) -> float:
    """Return the load of so many output tokens a second."""
    return token_load(
        input_tokens_per_second=0, output_tokens_per_second=rate, capacity_tokens_per_second=capacity
    )


def observed_volume(load: float) -> float:
    """Return the break-even volume of 4,608 a month against 10 per Mtok, as seen over a month at a load."""
    sums = WindowSums(
        costs=Costs(hardware=4_608, energy=0.0, labour=0.0, other=0.0),
        tokens=Tokens(output_tokens=1e9 * load),
        seconds=MONTH,
    )
    return break_even_mtok_per_month(cost_line(sums, load), 10)


def on_paper(
    what: Hardware, capacity: float, *, power: Power | None = None, month_hours: float = 730
) -> Machine:
    """Return a machine on paper that serves output alone, at 0.30 per kWh."""
    return Machine(
        book=PriceBook(hardware=what, tariff=flat_tariff(0.30), month_hours=month_hours),
        utc_seconds=NOW,
        capacity_tokens_per_second=capacity,
        mix=mix_of_shares(0.0, 0.0),
        power=power or Power(idle_watts=0.0, full_watts=0.0),
    )


S3_ON_PAPER = on_paper(Rented(rent_per_hour=3.20), 7.1111 * MILLION / HOUR)
B6_ON_PAPER = on_paper(HOME_CARD, 1_000, power=Power(idle_watts=100, full_watts=700))
C5_ON_PAPER = on_paper(HOME_CARD, 80, month_hours=720)
C5_DEMAND = demand_on(C5_ON_PAPER, 10 * MILLION)
TOKENWATT_API = api(0.10, 0.40, cached=0.01)
HOME_CARD_KEPT_UP = Owned(
    purchase_price=2_800, residual_value=900, lifetime_years=3, maintenance_per_year=0.03
)


Numbers = float | Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One row: an id, what goes in, what has to come out, who says so, and how the product works it out."""

    id: str
    given: str
    expected: Numbers
    source: str
    computed: Callable[[], Numbers]


def vector(id_: str, given: str, expected: Numbers, source: str, computed: Callable[[], Numbers]) -> Vector:
    """Return a row, in the order in which it reads."""
    return Vector(id=id_, given=given, expected=expected, source=source, computed=computed)


HAIKU_MIXES = ((3, 1), (1, 1), (30, 70))
S3_LOADS = (1, 0.6, 0.2, 0.1)
D2_RATES = (255.15, 1257.02, 2464.45, 6237.59)
NEVER = math.inf

# fmt: off
VECTORS = [
    vector("A1", "3.20/h, 7.1111 Mtok/h at full load; load 1, 0.6, 0.2, 0.1: per Mtok",
           [0.45, 0.75, 2.25, 4.50], "S3",
           lambda: at_loads(S3_MACHINE, *S3_LOADS)),
    vector("A2", "A1 against 0.80: own cost over the API's",
           [0.5625, 0.9375, 2.8125, 5.625], "S3",
           lambda: [1 / break_even_ratio(0.80, cost) for cost in at_loads(S3_MACHINE, *S3_LOADS)]),
    vector("A2 load", "A1 against 0.80: break-even load",
           0.5625, "S3",
           lambda: break_even_load(S3_MACHINE, 0.80)),
    vector("A3 price", "3.5 Haiku 0.80/4.00 at 3:1, 1:1, 30/70: per Mtok",
           [1.60, 2.40, 3.04], "derived",
           lambda: [blend(HAIKU_3_5, mix=mix) for mix in HAIKU_MIXES]),
    vector("A3 load", "A1 against each of them: break-even load",
           [0.28125, 0.1875, 0.1480], "derived",
           lambda: [break_even_load(S3_MACHINE, blend(HAIKU_3_5, mix=mix)) for mix in HAIKU_MIXES]),
    vector("A4 price", "GPT-4o mini 0.15/0.60 at 3:1: per Mtok",
           0.2625, "derived",
           lambda: blend(GPT_4O_MINI, mix=(3, 1))),
    vector("A4 never", "A1 against it: break-even load",
           NEVER, "derived",
           lambda: break_even_load(S3_MACHINE, blend(GPT_4O_MINI, mix=(3, 1)))),
    vector("A4 cost", "A1 at full load over it",
           1.714, "derived",
           lambda: 1 / break_even_ratio(blend(GPT_4O_MINI, mix=(3, 1)), at_loads(S3_MACHINE, 1)[0])),
    vector("A5", "3.20/h for a month of 730 h, of 720 h",
           [2_336, 2_304], "S3",
           lambda: [hardware(Rented(rent_per_hour=3.20), month) for month in (MONTH, MONTH_OF_30_DAYS)]),
    vector("A6 load", "50 Mtok/day on A1's machine: load",
           0.29297, "derived",
           lambda: demand_on(S3_ON_PAPER, 50 * MILLION).load),
    vector("A6 cost", "A1's machine at that load: per Mtok",
           1.536, "derived",
           lambda: costs_per_mtok(S3_ON_PAPER, demand_on(S3_ON_PAPER, 50 * MILLION).load).full),
    vector("A7", "A5 (730 h) and 0.15 / 0.25 of 150,000 per year: per month",
           [4_211, 5_461], "S3 inputs",
           lambda: [rent_and_labour_per_month(fte) for fte in (0.15, 0.25)]),
    vector("B1", "700 W at 0.30/kWh: an hour; 8 h on each of 30 days",
           [0.21, 50.40], "S0",
           lambda: [electricity(700, 1, 0.30), electricity(700, 240, 0.30)]),
    vector("B2", "2,800 over 3 years: a month, an hour",
           [77.78, 0.10654], "S0",
           lambda: [hardware(HOME_CARD, MONTH), hardware(HOME_CARD, HOUR)]),
    vector("B3", "B1 + B2: a month, an active hour",
           [128.18, 0.53407], "S0",
           lambda: [HOME_MONTH, HOME_MONTH / 240]),
    vector("B4", "B3 and 16 idle hours a day at 100 W: a month",
           142.58, "derived",
           lambda: HOME_MONTH + electricity(100, 16 * 30, 0.30)),
    vector("B5", "B3 against Claude 3 Haiku 0.25/1.25 and GPT-4o mini at 3:1: Mtok per month",
           [256.4, 488.3], "derived",
           lambda: [volume(HOME_MONTH, blend(price, mix=(3, 1))) for price in (HAIKU_3, GPT_4O_MINI)]),
    vector("B6 load", "2,800 over 3 years, idle 100 W, full 700 W, 0.30/kWh, 3.6 Mtok/h, against 0.50",
           0.08429, "derived",
           lambda: break_even_load(machine_line(B6_ON_PAPER), 0.50)),
    vector("B6 cost", "B6 at that load: per Mtok",
           0.5000, "derived",
           lambda: costs_per_mtok(B6_ON_PAPER, break_even_load(machine_line(B6_ON_PAPER), 0.50)).full),
    vector("B7", "2,800, residual 900, 3 years, maintenance 3 % of the price per year: an hour",
           0.08189, "derived",
           lambda: hardware(HOME_CARD_KEPT_UP, HOUR)),
    vector("C1", "Haiku 4.5 at 30/70; 10 k, 100 k, 500 k, 1 M, 5 M, 10 M tokens a day: 30 days",
           [1.14, 11.40, 57, 114, 570, 1_140], "S2 corrected",
           lambda: monthly(S2_VOLUMES, mix=(30, 70))),
    vector("C2", "C1 at 1:1",
           [0.90, 9, 45, 90, 450, 900], "S2 as printed",
           lambda: monthly(S2_VOLUMES, mix=(1, 1))),
    vector("C3", "15 and 150 per month against 3.80, against 3.00: Mtok per month",
           [3.947, 39.47, 5, 50], "S2",
           lambda: [volume(cost, price) for price in (3.80, 3.00) for cost in (15, 150)]),
    vector("C4", "1,200; 2,500; 4,500; 6,000 over 36 months: a month",
           [33.33, 69.44, 125.00, 166.67], "S2",
           lambda: [hardware(Owned(purchase_price=price, lifetime_years=3), MONTH)
                    for price in (1_200, 2_500, 4_500, 6_000)]),
    vector("C5 needed", "10 Mtok/day on 80 tok/s: tok/s needed, machines needed",
           [115.7, 2], "derived",
           lambda: [C5_DEMAND.tokens_per_second, C5_DEMAND.machines]),
    vector("C5 most", "80 tok/s for 30 days: Mtok",
           207.36, "derived",
           lambda: most_mtok_per_month(C5_ON_PAPER)),
    vector("C5 never", "a volume that 80 tok/s cannot serve: break-even volume",
           NEVER, "derived",
           lambda: break_even_mtok_per_month(line(300.01 / 720, 80 * 0.0036), 300 / 207.36, month_hours=720)),
    vector("D1 total", "3.20/h, 12 M prompt (0.8 M cached), 3 M generated in 1 h: per Mtok",
           0.2133, "OpenCost docs",
           lambda: cost_per_mtok(COST_3_20, OPENCOST)),
    vector("D1 phases", "D1 with 600 s of prefill and 600 s of decode: per Mtok of input, of output",
           [0.1429, 0.5333], "OpenCost docs",
           lambda: phase_costs_per_mtok(3.20, OPENCOST, prefill_seconds=600, decode_seconds=600)),
    vector("D2 cost", "6.98/h at 255.15, 1257.02, 2464.45, 6237.59 output tok/s: per Mtok of output",
           [7.599, 1.542, 0.7867, 0.3108], "arXiv 2606.11690 data",
           lambda: [per_mtok(6.98, rate) for rate in D2_RATES]),
    vector("D2 load", "the same rates over the last of them: load, as printed to three digits",
           [0.0409, 0.2015, 0.3951, 1], "arXiv 2606.11690 data",
           lambda: [output_load(rate, 6237.59) for rate in D2_RATES]),
    vector("D3", "13.96/h for 2 cards at 254.96 output tok/s: per Mtok of output",
           15.209, "arXiv 2606.11690 data",
           lambda: per_mtok(13.96, 254.96)),
    vector("D4 output", "3.67/h, 2906.27 output tok/s: per Mtok of output",
           0.3508, "arXiv 2606.11690 data",
           lambda: per_mtok(3.67, 2906.27)),
    vector("D4 total", "the same at 512 in / 256 out: per Mtok",
           0.1169, "arXiv 2606.11690 data",
           lambda: cost_per_mtok(replace(COST_3_20, hardware=3.67),
                                 Tokens(input_tokens=2 * 2906.27 * HOUR, output_tokens=2906.27 * HOUR))),
    vector("D5", "0.50 kW, 6.97/kWh, 90 tok/s: per Mtok; and 700,000 over 5 years",
           [10.76, 60.1], "token-cost example",
           lambda: [per_mtok(electricity(500, 1, 6.97), 90),
                    per_mtok(electricity(500, 1, 6.97)
                             + hardware(Owned(purchase_price=700_000, lifetime_years=5), HOUR), 90)]),
    vector("D6 tokens", "450 W, 201.6 tok/s: tokens per kWh",
           1_612_800, "d-central",
           lambda: MILLION / per_mtok(electricity(450, 1, 1.0), 201.6)),
    vector("D6 cost", "450 W, 201.6 tok/s, 0.0718/kWh: per Mtok",
           0.0445, "d-central",
           lambda: per_mtok(electricity(450, 1, 0.0718), 201.6)),
    vector("D7", "600 W, 6 tok/s, 0.20/kWh: kWh per Mtok, cost per Mtok",
           [27.78, 5.56], "Hacker News thread",
           lambda: [per_mtok(electricity(600, 1, 1.0), 6), per_mtok(electricity(600, 1, 0.20), 6)]),
    vector("D8", "2 kW, 53 tok/s out, 230 tok/s in, 0.15/kWh: per Mtok out (printed 1.58), in",
           [1.57, 0.362], "1CatAI/1Cat-vLLM#535",
           lambda: [per_mtok(electricity(2_000, 1, 0.15), rate) for rate in (53, 230)]),
    vector("D9", "64 kWh at 0.227, 1,136 Mtok: bill, per Mtok",
           [14.53, 0.0128], "ArthurVardevanyan/HomeLab#686",
           lambda: [electricity(64_000, 1, 0.227),
                    per_mtok(electricity(64_000, 1, 0.227), 1136e6, seconds=1)]),
    vector("D10", "15,000 over 36 months; 400 W at 50 %, 0.12/kWh, 720 h; 500 overhead; together: a month",
           [416.67, 17.28, 500, 933.95], "llmtco",
           d10_parts),
    vector("D11", "320/month against 3.00: Mtok; 1.50/h at 2,000 tok/s: per Mtok",
           [106.7, 0.2083], "llmtco",
           lambda: [volume(320, 3.00), per_mtok(1.50, 2_000)]),
    vector("D12", "2.00/h at 2,000 tok/s; load 1, 0.2: per Mtok",
           [0.2778, 1.389], "gera calculator",
           lambda: at_loads(line(2.00, 2_000 * 0.0036), 1, 0.2)),
    vector("D13", "2.50/h at 700 tok/s; load 1, 0.1: per Mtok",
           [0.992, 9.92], "dreaming.press",
           lambda: at_loads(line(2.50, 700 * 0.0036), 1, 0.1)),
    vector("D14", "8 cards, 280,000, 3 y, maintenance 10 % per year, 2.4 kW, 0.12/kWh, PUE 1.4: an hour",
           [10.654, 3.196, 0.403, 14.254], "InferCost inputs, corrected",
           d14_parts),
    vector("E1", "6.07 M in, 53 k out at 0.10/0.01/0.40: nothing cached, all input cached",
           [0.628, 0.082], "TokenWatt capture",
           lambda: [api_cost(TOKENWATT, TOKENWATT_API).no_cache,
                    api_cost(TOKENWATT_ALL_CACHED, TOKENWATT_API).observed_cache]),
    vector("E2", "1 M input of which 0.9 M cached, Haiku 4.5: bill",
           0.19, "price library",
           lambda: api_cost(Tokens(input_tokens=1e5, cached_input_tokens=9e5), HAIKU_4_5).observed_cache),
    vector("E3", "500 W, 2 h at 0.30 then 1 h at 0.18: bill",
           0.39, "derived",
           e3_bill),
]
# fmt: on


@pytest.mark.parametrize("row", VECTORS, ids=lambda row: row.id)
def test_acceptance_vector(row):
    """The number of the source, or its correction, comes out of the product's functions."""
    assert row.computed() == pytest.approx(row.expected, rel=TOLERANCE), f"{row.given} ({row.source})"


def test_no_vector_is_left_out():
    """Every published vector has a row."""
    counts = {"A": 7, "B": 7, "C": 5, "D": 14, "E": 3}
    published = {f"{letter}{number}" for letter, count in counts.items() for number in range(1, count + 1)}

    assert {row.id.split()[0] for row in VECTORS} == published


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A published number that is wrong: what was said, why it is wrong, and what is right."""

    id: str
    published: Numbers
    why: str
    right: Numbers
    computed: Callable[[], Numbers]


def trap(id_: str, published: Numbers, why: str, right: Numbers, computed: Callable[[], Numbers]) -> Trap:
    """Return a row, in the order in which it reads."""
    return Trap(id=id_, published=published, why=why, right=right, computed=computed)


# fmt: off
TRAPS = [
    trap("S2 table labelled 30/70", [0.90, 9, 45, 90, 450, 900], "it is 50/50",
         [1.14, 11.40, 57, 114, 570, 1_140],
         lambda: monthly(S2_VOLUMES, mix=(30, 70))),
    trap("S3 break-even load 60 %", 0.60, "rounded",
         0.5625,
         lambda: break_even_load(S3_MACHINE, 0.80)),
    trap("S3 break-even load from the input price", 0.60, "input alone; output is dearer",
         0.28125,
         lambda: break_even_load(S3_MACHINE, blend(HAIKU_3_5, mix=(3, 1)))),
    trap("S3 50 Mtok a day favour self-hosting", 0.80, "29 % load",
         1.536,
         lambda: costs_per_mtok(S3_ON_PAPER, demand_on(S3_ON_PAPER, 50 * MILLION).load).full),
    trap("S3 fully loaded month 3,000 to 5,000", [3_000, 5_000], "the sum of its own parts",
         [4_211, 5_461],
         lambda: [rent_and_labour_per_month(fte) for fte in (0.15, 0.25)]),
    trap("InferCost README: 1.24/h for eight H100", 1.24, "ten times low",
         14.254,
         lambda: d14_parts()[-1]),
    trap("InferCost formula: 12.12/h", 12.12, "maintenance once per life",
         14.254,
         lambda: d14_parts()[-1]),
    trap("tutorial: 0.46 Mtok a month for 4,608 at 10 per Mtok", 0.46, "factor 1,000",
         460.8,
         lambda: volume(4_608, 10)),
    trap("tutorial: the volume rises with idleness", [460.8, 4_608], "volume does not depend on load",
         [460.8, 460.8],
         lambda: [observed_volume(load) for load in (1.0, 0.1)]),
    trap("calculators: rent x 730 x utilisation", 2_336 * 0.3, "idle made free",
         2_336,
         lambda: idle_month().costs.hardware),
]
# fmt: on


@pytest.mark.parametrize("row", TRAPS, ids=lambda row: row.id)
def test_published_mistake_does_not_come_out(row):
    """What is published and wrong is not reproduced; what is right comes out in its place."""
    computed = row.computed()

    assert computed == pytest.approx(row.right, rel=TOLERANCE), row.why
    assert computed != pytest.approx(row.published, rel=TOLERANCE), row.why


def test_zero_cost_in_an_idle_window_does_not_come_out():
    """A window without a token accrues cost, and its cost per Mtok is undefined rather than zero."""
    costs = idle_month().costs

    assert costs.full == pytest.approx(2_336)
    assert cost_per_mtok(costs, Tokens()) is None


def test_rent_is_paid_for_idle_hours():
    """A month's rent is due whatever the load, and its idle part is told."""
    assert idle_month().idle == {State.IDLE_LOADED: pytest.approx(0.7 * 2_336)}


def test_payback_of_a_card_against_its_own_running_cost():
    """2,800 are paid back in 28 months where the API bill is 150 and the electricity 50."""
    assert payback_months(
        purchase_price=2_800, api_bill_per_month=150, running_cost_per_month=50
    ) == pytest.approx(28)


def test_paid_hardware_leaves_electricity_to_the_question():
    """Keep or switch: with the price of B6's card sunk, only the idle watts have to be earned back."""
    kept = replace(B6_ON_PAPER, book=replace(B6_ON_PAPER.book, hardware=Sunk()))

    assert break_even_load(machine_line(kept), 0.50) == pytest.approx(0.03 / 1.62)
    assert break_even_against(B6_ON_PAPER, 0.50).keep_or_switch_load == pytest.approx(0.03 / 1.62)
