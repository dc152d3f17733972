"""Engines that share GPUs, metered by the whole agent through the real NVML bindings."""

import time
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fake_nvml import FakeInstance, boot_seconds

pytest_plugins = ["machine_fixtures"]

OTHER_PID = 1
"""A program that is no engine's: PID 1 is there on every machine."""

PHASE_SECONDS = 5.0


def energy(agent):
    """Return the joules of each engine and those of the GPUs, out of one scrape."""
    engines, cards = {}, 0.0
    for family in text_string_to_metric_families(agent.metrics_text()):
        for sample in family.samples:
            if sample.name == "evenwatt_energy_joules_total":
                name = sample.labels["engine"]
                engines[name] = engines.get(name, 0.0) + sample.value
            if sample.name == "evenwatt_gpu_energy_joules_total":
                cards += sample.value
    return engines, cards


def shares(agent):
    """Return each engine's share of all joules."""
    engines, cards = energy(agent)
    assert sum(engines.values()) == pytest.approx(cards, rel=1e-9)
    return {name: joules / cards for name, joules in engines.items()}


def test_two_engines_on_one_gpu_are_split_by_what_their_processes_do(machine):
    """By per-process utilization the split is right to 1 %, also where it changes; sums are conserved."""
    gpu = machine.gpus[0]
    gpu.has_process_utilization = True
    with ExitStack() as stack:
        chat, embed = (stack.enter_context(machine.busy_engine()) for _ in range(2))
        gpu.processes = [(chat.pid, 30 << 30, 60), (embed.pid, 10 << 30, 20), (OTHER_PID, 1 << 30, 20)]
        machine.scenario.write()
        agent = stack.enter_context(machine.agent({"chat": chat, "embed": embed}))
        machine.draw(300.0, 0.0)
        time.sleep(PHASE_SECONDS)
        gpu.processes = [(chat.pid, 30 << 30, 10), (embed.pid, 10 << 30, 70), (OTHER_PID, 1 << 30, 0)]
        machine.draw(200.0, 0.0)
        changed = boot_seconds()
        time.sleep(PHASE_SECONDS)
        machine.rest(agent)
        total = machine.true_joules(0)
        before = gpu.energy_joules(changed)
        after = total - before

        truth = {
            "chat": (0.6 * before + 0.125 * after) / total,
            "embed": (0.2 * before + 0.875 * after) / total,
            "unallocated": 0.2 * before / total,
        }
        assert shares(agent) == pytest.approx(truth, abs=0.01)


def test_instances_of_a_card_are_split_by_slices_and_marked_estimated(machine):
    """A card in MIG mode with one engine on three of its seven slices, another on two, and the rest free."""
    gpu = machine.gpus[0]
    gpu.compute_slices, gpu.utilization_percent = 7, None
    with ExitStack() as stack:
        chat, embed = (stack.enter_context(machine.busy_engine()) for _ in range(2))
        gpu.instances = [
            FakeInstance("MIG-a", 3, [(chat.pid, 30 << 30)]),
            FakeInstance("MIG-b", 2, [(embed.pid, 20 << 30)]),
        ]
        machine.scenario.write()
        agent = stack.enter_context(machine.agent({"chat": chat, "embed": embed}))
        machine.draw(300.0, 0.0)
        time.sleep(1.0)
        machine.rest(agent)

        assert shares(agent) == pytest.approx({"chat": 3 / 7, "embed": 2 / 7, "unallocated": 2 / 7})
