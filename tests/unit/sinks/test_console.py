"""What a person sees in a terminal: every number whole at any width, and no name that steers the terminal."""

import json
import re
from dataclasses import replace

import pytest

from evenwatt.economics.capacity import CapacitySource
from evenwatt.economics.cost import Costs
from evenwatt.model import Assumption, SourceHealth
from evenwatt.sinks.console import print_status, summary_line
from evenwatt.sinks.status import render_status
from evenwatt.snapshot import HistoryHealth
from sink_fixtures import CAPACITY, HOUR, MINUTE, engine_view, gpu, idle, served, snapshot

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "[red]not[/red]",
    "a :smile: b",
    "line\nbreak",
    "\x9b2J",
    "\u202eabc",
    "\r",
    "[link=http://x]x[/]",
]


@pytest.fixture(params=[80, 200])
def shown_lines(request, monkeypatch, capsys):
    """A function that prints a snapshot and returns the lines, in a terminal of one width or another."""
    monkeypatch.setenv("COLUMNS", str(request.param))

    def lines(shown):
        print_status(json.loads(render_status(shown)))
        printed = capsys.readouterr().out.split("\n")
        assert max(map(len, printed)) <= request.param
        return printed

    return lines


def text_of(lines):
    """Return what lines say, however they were folded."""
    return "".join(re.sub(r"\s+", "", line) for line in lines)


def test_large_numbers_are_whole(shown_lines):
    """A number is never cut to fit: at 80 columns names are folded instead."""
    rows = {
        (HOUR, "a-rather-long-engine-name", "org/a-model-with-a-name-of-some-length"): served(
            987_654_321, 123_456_789, 555_555_555
        )
    }
    lines = "\n".join(shown_lines(snapshot(rows)))

    for number in ("987,654,321", "555,555,555", "123,456,789"):
        assert re.search(rf"(?<![\d,.]){re.escape(number)}(?![\d,.])", lines)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_text(shown_lines, name):
    """Escape sequences, markup, emoji codes and line ends in a name are shown and not obeyed."""
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    shown = snapshot(
        {(HOUR, "chat", name): served()},
        gpus=(gpu(name=name),),
        gpu_owners={"GPU-a": (name,)},
        sources=(SourceHealth(source="chat", kind=name, address="http://a", up=False, error=name),),
        history=HistoryHealth(path=f"/{name}", up=False, pending_ticks=1, error=name),
        assumptions=(Assumption(setting="hardware", text=name, line_to_write=name),),
        currency=name,
    )
    lines = shown_lines(shown)

    assert all(character.isprintable() for line in lines for character in line)
    assert text_of(lines).count(re.sub(r"\s+", "", visible)) >= 9


def test_what_is_not_known_is_a_dash(shown_lines):
    """Unknown values show as such, and a GPU that fell off the bus shows its fault."""
    rows = {(HOUR, "chat", "small"): idle(idle_loaded_joules=None)}
    lost = gpu(uuid="GPU-b", index=1, fault="GPU is lost", power_watts=None)
    lines = shown_lines(snapshot(rows, gpus=(gpu(power_watts=None), lost), windows=()))

    (total,) = [line for line in lines if line.startswith("chat / small")]
    assert total.split()[3:] == ["-"] * 6
    assert any("GPU is lost" in line for line in lines)


def test_idle_time_that_never_was_costs_nothing(shown_lines):
    """Where all is known and no minute was idle, the idle cost is a known 0."""
    lines = shown_lines(snapshot(windows=()))

    (total,) = [line for line in lines if line.startswith("chat / small")]
    assert total.split()[-1] == "0.0000"


def test_states_that_need_somebody_are_told(shown_lines):
    """Simulated readings, ticks that wait, released GPUs and a refused configuration each have their line."""
    health = HistoryHealth(path="/h.db", up=False, pending_ticks=7, error="disk full")
    text = text_of(
        shown_lines(snapshot(simulated=True, history=health, gpus_released=True, config_reload_ok=False))
    )

    assert "SIMULATED:nothingbelowwasmeasured." in text
    assert "/h.db,NOTwritten(7tickskept):diskfull" in text
    assert "evenwattgpuresume" in text
    assert "evenwattcheck-config" in text


def test_a_sum_that_repeats_its_only_row_is_left_out(shown_lines):
    """One model alone has one line in a window; two have the engine's and the machine's sum beside them."""

    def owners(rows):
        return {re.split(r"\s{2,}", line)[0] for line in shown_lines(snapshot(rows, sources=(), engines=()))}

    one = {(HOUR, "chat", "small"): served()}
    two = {**one, (HOUR + MINUTE, "chat", "large"): served()}
    assert owners(one) & {"chat / small", "chat", "whole machine"} == {"chat / small"}
    assert owners(two) > {"chat / small", "chat / large", "chat", "whole machine"}


def test_the_summary_is_one_line():
    """Power, engines, cost and windows in one line; what is not known is left out."""
    assert summary_line(snapshot()) == "1 GPU 100 W  1/1 engines up  3.6360 EUR/h  1h so far 0.0379 EUR/Mtok"
    unknown = snapshot(
        {},
        gpus=(gpu(power_watts=None),),
        engines=(engine_view(up=False),),
        cost_per_hour=Costs(hardware=3.6),
        simulated=True,
    )
    assert summary_line(unknown) == "SIMULATED  0/1 engines up"


def test_a_capacity_that_was_only_seen_is_marked(shown_lines):
    """At least so many tokens a second, and at most so much load."""
    seen = replace(CAPACITY, source=CapacitySource.PEAK_SEEN, is_lower_bound=True)
    shown = snapshot(engines=(engine_view(capacity=seen),), capacity=seen)
    text = text_of(shown_lines(shown))

    assert "≥50,000" in text
    assert "itmaydomore" in text
    assert "≤36.7%" in text


def test_a_capacity_of_somebody_is_not_marked(shown_lines):
    """What was configured is taken as it is, and an engine of unknown capacity says so."""
    told = text_of(shown_lines(snapshot()))
    unknown = text_of(shown_lines(snapshot(engines=(engine_view(),))))

    assert "theconfiguration" in told
    assert "≥" not in told
    assert "notknown:neverbusyyet" in unknown
