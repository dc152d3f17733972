"""What a window would have cost otherwise, in round numbers, and why some of it cannot be known."""

import pytest
from msgspec.structs import replace

from evenwatt.economics.cost import Costs
from evenwatt.economics.scenarios import (
    FleetUse,
    GpuHardware,
    QuietHours,
    ScenarioName,
    StatePower,
    gpus_changed,
    sleeping,
    unloading,
)

FLEET = FleetUse(
    costs=Costs(hardware=8.0, energy=2.0, labour=0.0, other=0.0),
    tokens=5_000_000,
    month_share=0.5,
    gpus=4,
    gpu_idle_watts=400.0,
    up_seconds=10 * 3_600.0,
    price_per_kwh=0.5,
    load_ratio=0.6,
)
"""10 spent on 5 Mtok in half a month: 2 per Mtok."""

QUIET = QuietHours(hours=3.0, kwh=2.0, cost=1.0, looked_at="hours of the week")


def test_sleeping_saves_what_quiet_hours_drew():
    """2 kWh in quiet hours for 1: 9 for 5 Mtok are left, and twice as much is saved in a month."""
    found = sleeping(FLEET, QUIET)

    assert (found.saved_kwh, found.saved_cost, found.saved_cost_per_month) == (2.0, 1.0, 2.0)
    assert found.cost_per_mtok == pytest.approx(9 / 5)
    assert "3 quiet hours" in found.assumes[0]


@pytest.mark.parametrize(
    ("quiet", "reason"),
    [
        (None, "two days of history"),
        (replace(QUIET, hours=0.0), "tokens were served in all hours of the week"),
        (replace(QUIET, kwh=None, cost=None), "not measured"),
    ],
)
def test_sleeping_says_why_it_is_not_known(quiet, reason):
    """Where quiet hours are not known, or not measured, there is no number."""
    found = sleeping(FLEET, quiet)

    assert reason in found.unknown_because
    assert found.saved_cost is None


def test_unloading_saves_the_difference_of_idle_power():
    """An hour idle at 300 W instead of 100 W: 0.2 kWh, at 0.5 each."""
    found = unloading(
        FLEET,
        StatePower(seconds=3_600.0, joules=300 * 3_600.0),
        StatePower(seconds=7_200.0, joules=100 * 7_200.0),
    )

    assert found.saved_kwh == pytest.approx(0.2)
    assert found.saved_cost == pytest.approx(0.1)
    assert found.load_ratio == 0.6


@pytest.mark.parametrize(
    ("loaded", "empty", "price", "reason"),
    [
        (
            StatePower(seconds=0.0, joules=None),
            StatePower(seconds=0.0, joules=None),
            0.5,
            "no model sat idle",
        ),
        (StatePower(seconds=9e3, joules=1.0), StatePower(seconds=599.0, joules=1.0), 0.5, "with nothing in"),
        (StatePower(seconds=9e3, joules=None), StatePower(seconds=9e3, joules=1.0), 0.5, "with a model in"),
        (
            StatePower(seconds=9e3, joules=1.0),
            StatePower(seconds=9e3, joules=1.0),
            None,
            "price of electricity",
        ),
    ],
)
def test_unloading_needs_both_idle_states(loaded, empty, price, reason):
    """A state that was not seen, or too shortly, leaves the question open."""
    found = unloading(replace(FLEET, price_per_kwh=price), loaded, empty)

    assert reason in found.unknown_because


def test_one_gpu_more_costs_its_share():
    """A fifth card beside four: a quarter of 8 for hardware, and 1 kWh of idling for 0.5; the load falls."""
    found = gpus_changed(FLEET, added=1)

    assert found.name is ScenarioName.ONE_GPU_MORE
    assert found.saved_kwh == pytest.approx(-1.0)
    assert found.saved_cost == pytest.approx(-2.5)
    assert found.cost_per_mtok == pytest.approx(12.5 / 5)
    assert found.load_ratio == pytest.approx(0.6 * 4 / 5)


def test_one_gpu_less_saves_it_while_the_rest_can_serve():
    """Three of four cards carry a load of 60 % as 80 %; a load of 80 % would be too much for them."""
    found = gpus_changed(FLEET, added=-1)
    too_much = gpus_changed(replace(FLEET, load_ratio=0.8), added=-1)

    assert found.saved_cost == pytest.approx(2.5)
    assert found.load_ratio == pytest.approx(0.8)
    assert "could not serve" in too_much.unknown_because


@pytest.mark.parametrize(
    ("changes", "added", "reason"),
    [
        ({"gpus": None}, 1, "number of GPUs"),
        ({"gpus": 1}, -1, "only one GPU"),
        ({"costs": Costs(energy=1.0)}, 1, "hardware cost"),
        ({"gpu_idle_watts": None}, 1, "idle power"),
        ({"load_ratio": None}, -1, "load is not known"),
    ],
)
def test_other_gpus_say_why_they_are_not_known(changes, added, reason):
    """Each thing that the answer needs is asked for by name."""
    assert reason in gpus_changed(replace(FLEET, **changes), added=added).unknown_because


def test_without_tokens_there_is_no_unit_cost():
    """Savings stand, a cost per Mtok does not."""
    found = sleeping(replace(FLEET, tokens=0), QUIET)

    assert found.saved_cost == 1.0
    assert found.cost_per_mtok is None


WRITTEN_OFF = GpuHardware(names=("gpus",), cost=0.0, cost_when_new=6.0)


def test_a_new_gpu_costs_what_those_written_off_did_when_new():
    """Four that cost 6 when new: a fifth takes 1.5 and 1 kWh of idling; one less saves the kWh alone."""
    fleet = replace(FLEET, gpu_hardware=WRITTEN_OFF)
    more, less = gpus_changed(fleet, added=1), gpus_changed(fleet, added=-1)

    assert more.saved_cost == pytest.approx(-(1.5 + 0.5))
    assert less.saved_cost == pytest.approx(0.5)
    assert "1/4 of what gpus did when new" in more.assumes[0]


def test_idle_power_of_a_gpu_pays_the_mean_of_all_hours():
    """At night a kWh costs 0.1: what idles day and night pays 0.3, whatever the load paid on average."""
    fleet = replace(FLEET, gpu_hardware=WRITTEN_OFF, even_price_per_kwh=0.3)

    assert gpus_changed(fleet, added=-1).saved_cost == pytest.approx(0.3)


def test_idle_power_that_costs_nothing_is_no_unknown_price():
    """The mean of all hours is 0, whatever the load paid: a GPU less saves no money by its idling."""
    fleet = replace(FLEET, gpu_hardware=WRITTEN_OFF, even_price_per_kwh=0.0)

    assert gpus_changed(fleet, added=-1).saved_cost == 0.0
