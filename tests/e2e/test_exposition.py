"""What the agent shows: pages that every reader takes, whatever engines call their models."""

import json
import subprocess
from collections import Counter
from collections.abc import Mapping
from shutil import which

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent_process import AgentProcess
from counting_engine import Counts
from evenwatt.sinks.metrics import METRICS
from fake_machine import (
    booked_tokens,
    events,
    evenwatt,
    joules,
    wait_for_ticks,
)
from fake_nvml import FakeGpu
from loopback_servers import PageServer
from prometheus_process import PrometheusProcess

pytest_plugins = ["machine_fixtures"]

WORK = Counts(input_tokens=1_000, cached_input_tokens=300, output_tokens=200, completed_requests=4)
HOSTILE_NAMES = (
    'a"b\n{} ',
    "back\\slash\\",
    "\\n",
    'x"} 1\nevenwatt_fake 1',
    "<script>alert(1)</script>",
    "\x1b[2J\x1b]0;title\x07",
    "[bold red]rich[/]",
    "\u202egnp.exe",
    "é" * 300,
    "all",
    "other",
    "unallocated",
    "",
)
MANY = 5_000

needs_promtool = pytest.mark.skipif(which("promtool") is None, reason="promtool is not installed")


def samples_of(page: str) -> list:
    """Return the samples of a page, with the type of their family."""
    return [
        (family.type, sample) for family in text_string_to_metric_families(page) for sample in family.samples
    ]


def repeated_series(page: str) -> list[str]:
    """Return the series that a page has twice."""
    counts = Counter((s.name, tuple(sorted(s.labels.items()))) for _, s in samples_of(page))
    return [f"{name}{labels}" for (name, labels), count in counts.items() if count > 1]


def complaints(page: str) -> str:
    """Return what promtool finds wrong with a page."""
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=30, check=False
    )
    return f"{checked.stdout}{checked.stderr}"


@pytest.fixture
def busy_page(machine):
    """The page of an agent with GPUs of each kind, one of them lost, and two engines, one of them down."""
    without_counter = FakeGpu("GPU-2", energy_since=None, processes=None)
    lost = FakeGpu("GPU-3")
    lost.fault("*", 15)
    machine.gpus += [without_counter, lost]
    machine.scenario.write()
    capacity = {"capacity_tokens_per_second": 5_000}
    with machine.busy_engine() as busy, machine.quiet_engine() as down:
        down.stop()
        engines = [
            {"name": "busy", "url": busy.url, "gpus": [0], **capacity},
            {"name": "down", "url": down.url, "gpus": [1]},
        ]
        with machine.agent({}, engines=engines, hardware={"purchase_price": 9_000}) as agent:
            agent.wait_for(lambda: booked_tokens(agent, "busy") is not None)
            agent.wait_for(lambda: booked_tokens(agent, "busy").output_tokens > 0)
            wait_for_ticks(agent, 3)
            yield agent.metrics_text()


@pytest.fixture
def simulated_page(tmp_path):
    """The page of a demo."""
    with AgentProcess(tmp_path, command="demo", arguments=()) as agent:
        agent.wait_for(lambda: agent.metric("evenwatt_energy_joules_total") is not None)
        yield agent.metrics_text()


@needs_promtool
@pytest.mark.parametrize("page", ["busy_page", "simulated_page"])
def test_promtool_finds_nothing(request, page):
    """The lint of Prometheus itself has no complaint about the page."""
    assert complaints(request.getfixturevalue(page)) == ""


@pytest.mark.parametrize("page", ["busy_page", "simulated_page"])
def test_the_page_keeps_to_the_contract(request, page):
    """Every series is in METRICS, with its type, help and labels, or the process's own; none comes twice."""
    text = request.getfixturevalue(page)
    contract = {spec.name: spec for spec in METRICS.values()}
    shown = set()
    for kind, sample in samples_of(text):
        if sample.name.startswith("process_"):
            continue
        spec = contract[sample.name]
        shown.add(sample.name)

        assert {*sample.labels} == {*spec.labels}
        assert kind == ("counter" if spec.is_counter else "gauge")
        assert f"# HELP {sample.name} {spec.help}\n" in text
    assert repeated_series(text) == []
    assert len(shown) > len(contract) / 2


def test_prometheus_takes_the_page(machine, tmp_path):
    """A real Prometheus scrapes the agent and answers with our counters."""
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}) as agent:
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {"job_name": "evenwatt", "static_configs": [{"targets": [agent.url.removeprefix("http://")]}]}
            ],
        }
        machine.draw(100.0, 200.0)
        engine.work(WORK)
        agent.wait_for(lambda: booked_tokens(agent, "chat") == WORK)
        machine.rest(agent)
        with PrometheusProcess(tmp_path, config) as prometheus:
            written = ('evenwatt_tokens_total{type="output"}', "job")
            prometheus.wait_for(lambda: prometheus.values(*written) == {("evenwatt",): 200.0}, 20)
            energy = prometheus.values("sum by (job) (evenwatt_gpu_energy_joules_total)", "job")
            tokens = prometheus.values("sum by (job) (evenwatt_tokens_total)", "job")

            assert energy == {
                ("evenwatt",): pytest.approx(machine.true_joules(0) + machine.true_joules(1), abs=0.01)
            }
            assert tokens == {("evenwatt",): 1_500.0}


@needs_promtool
def test_hostile_model_names_do_no_harm(machine):
    """Names with quotes, newlines, markup, escapes and our own words are shown as they are, counted apart."""
    names = machine.folder / "names.json"
    names.write_text(json.dumps(HOSTILE_NAMES))
    with machine.quiet_engine("--names", str(names)) as engine, machine.agent({"chat": engine}) as agent:
        for number, name in enumerate(HOSTILE_NAMES, start=1):
            engine.work(Counts(input_tokens=number), model=name)
        total = sum(range(1, len(HOSTILE_NAMES) + 1))
        agent.wait_for(lambda: agent.metric("evenwatt_tokens_total", type="input") == total)
        page, table = agent.metrics_text(), evenwatt("status", "--config", agent.config)
        shown = {
            sample.labels["model"]: sample.value
            for _, sample in samples_of(page)
            if sample.name == "evenwatt_tokens_total" and sample.labels["type"] == "input"
        }
        status = {
            row["model"]: row["input_tokens"] for row in agent.status()["totals"] if row["engine"] == "chat"
        }

    expected = {
        name if len(name) <= 256 else next(n for n in shown if n.startswith("é")): number
        for number, name in enumerate(HOSTILE_NAMES, start=1)
    }
    assert shown == expected
    assert status == expected
    assert complaints(page) == ""
    assert repeated_series(page) == []
    assert {sample.name for _, sample in samples_of(page) if "fake" in sample.name} == set()
    assert table.returncode == 0
    assert table.stdout.replace("\n", "").isprintable()
    assert "[bold red]rich[/]" in table.stdout


def page_of(tokens: Mapping[str, int]) -> tuple[int, Mapping[str, str], bytes]:
    """Return a small page of vLLM's with these output tokens by model."""
    names = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total")
    lines = ["# TYPE vllm:generation_tokens_total counter"]
    lines += [
        f'{name}{{model_name="{model}"}} {count if name == names[1] else 0}'
        for name in names
        for model, count in tokens.items()
    ]
    return 200, {}, "".join(f"{line}\n" for line in lines).encode()


def test_five_thousand_models_share_a_bounded_page(machine):
    """Models beyond the bound are one, `other`, which an event tells; the page stays small and sums exact."""
    names = [f"model-{number:04}" for number in range(MANY)]
    slow = {"tick_seconds": 2, "gpu_seconds": 0.5}
    pages = {"/metrics": page_of(dict.fromkeys(names, 0))}
    with PageServer(pages) as engine, machine.agent({"chat": engine}, sampling=slow) as agent:
        agent.wait_for(lambda: agent.metric("evenwatt_engine_up", engine="chat") == 1)
        pages["/metrics"] = page_of({name: number for number, name in enumerate(names)})
        total = sum(range(MANY))
        agent.wait_for(lambda: agent.metric("evenwatt_tokens_total", type="output") == total)
        page = agent.metrics_text()
        models = {s.labels["model"] for _, s in samples_of(page) if s.name == "evenwatt_tokens_total"}
        (event,) = events(agent, "models_folded")

        assert len(models) == 201
        assert "other" in models
        assert len(page) < 2**20
        assert "4,800 models" in event["text"]
        assert agent.metric("evenwatt_tokens_total", type="output") == total


def test_without_tokens_there_is_no_cost_per_mtok(machine):
    """No surface shows a cost per million tokens, not even 0, before a token was counted."""
    owned = {"purchase_price": 9_000}
    with machine.quiet_engine() as engine, machine.agent({"chat": engine}, hardware=owned) as agent:
        machine.draw(100.0, 200.0)
        agent.wait_for(lambda: (joules(agent, 0) or 0.0) > 0.0)
        wait_for_ticks(agent, 2)
        page, status = agent.metrics_text(), agent.status()
        table = evenwatt("status", "--config", agent.config).stdout

        assert "evenwatt_cost_total" in page
        assert "evenwatt_cost_per_mtok" not in page
        assert "evenwatt_break_even" not in page
        rows = [row for window in status["windows"] for row in window["rows"]]
        assert rows
        assert all(row["cost_per_mtok"] == {} and row["references"] == [] for row in rows)
        machine_row = next(line for line in table.splitlines() if line.startswith("whole machine"))
        assert set(machine_row.split()[2:]) == {"-"}

        engine.work(WORK)
        agent.wait_for(lambda: agent.metric("evenwatt_cost_per_mtok", engine="all", basis="full") is not None)
