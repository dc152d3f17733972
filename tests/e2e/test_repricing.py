"""Money is corrected while the agent meters on: every token and joule is booked once, at the right price."""

import sqlite3
import time
from contextlib import closing

import pytest

from counting_engine import Counts
from fake_machine import booked_tokens, cost, events, evenwatt, joules, true_tokens
from history_checks import disagreements

pytest_plugins = ["machine_fixtures"]

WRONG, RIGHT = 0.30, 0.45
REPRICINGS = 3


def test_money_is_corrected_beside_the_running_agent(machine):
    """The agent counts on, shows the corrected sum, and its history has each price where it belongs."""
    settings = {"electricity": {"price_per_kwh": WRONG}, "references": []}
    with machine.busy_engine() as engine, machine.agent({"chat": engine}, **settings) as agent:
        machine.draw(600.0, 300.0)
        agent.wait_for(lambda: (joules(agent, 0) or 0.0) > 1_000.0)
        # Whole minutes are repriced: one of those in which it metered has to end.
        time.sleep(61.0 - time.time() % 60.0)
        before = cost(agent, "energy")
        for number in range(REPRICINGS):
            done = evenwatt(
                "reprice",
                "--config",
                agent.config,
                "--from",
                "1970-01-02",
                "--set",
                f"electricity.price_per_kwh={RIGHT + number / 100}",
                "--yes",
                environment=machine.environment,
            )
            assert done.returncode == 0, done.stderr
        agent.wait_for(lambda: (cost(agent, "energy") or 0.0) > before * 1.3)
        agent.wait_for(lambda: len(events(agent, "reprice")) == REPRICINGS)
        engine.set_rates(Counts())
        agent.wait_for(lambda: booked_tokens(agent, "chat") == true_tokens(engine))
        machine.rest(agent)
        assert agent.status()["history"]["file_bytes"] > 0
        assert agent.stop() == 0
    with closing(sqlite3.connect(agent.history)) as database:
        ((drawn, money),) = database.execute(
            "SELECT total(active_joules) + total(idle_loaded_joules) + total(idle_empty_joules),"
            " sum(energy_cost) FROM total_usage"
        )

    assert disagreements(agent.history) == []
    assert drawn == pytest.approx(machine.true_joules(0) + machine.true_joules(1), rel=1e-6)
    assert drawn * WRONG / 3.6e6 < money < drawn * (RIGHT + REPRICINGS / 100) / 3.6e6
