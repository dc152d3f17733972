"""What a person sees in a terminal: every number whole at any width, and no name that steers the terminal."""

import json
import re

import pytest
from msgspec.structs import replace

from evenwatt.economics.capacity import CapacitySource
from evenwatt.economics.ownership import Owned
from evenwatt.model import Assumption, Note, SourceHealth
from evenwatt.sinks.console import print_status
from evenwatt.sinks.status import render_status
from evenwatt.snapshot import ElectricityView, HistoryHealth, with_outlook
from sink_fixtures import BOOK, CAPACITY, HOUR, MINUTE, engine_view, gpu, idle, served, snapshot

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


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "written"),
        ({"file_bytes": 3 * 2**19}, "written;1.5MiB"),
        (
            {"file_bytes": 3 * 2**19, "year_bytes": 76.2 * 2**20},
            "written;1.5MiB,about76MiBinayearatthepaceofthelastday",
        ),
    ],
)
def test_the_size_of_the_history_is_forecast(shown_lines, sizes, words):
    """Its line says how large the file is and will be, as far as that is known."""
    health = HistoryHealth(path="/h.db", up=True, **sizes)

    assert f"/h.db,{words}" in text_of(shown_lines(snapshot(history=health)))


def test_a_sum_that_repeats_its_only_row_is_left_out(shown_lines):
    """One model alone has one line in a window; two have the engine's and the machine's sum beside them."""

    def owners(rows):
        return {re.split(r"\s{2,}", line)[0] for line in shown_lines(snapshot(rows, sources=(), engines=()))}

    one = {(HOUR, "chat", "small"): served()}
    two = {**one, (HOUR + MINUTE, "chat", "large"): served()}
    assert owners(one) & {"chat / small", "chat", "whole machine"} == {"chat / small"}
    assert owners(two) > {"chat / small", "chat / large", "chat", "whole machine"}


@pytest.mark.parametrize(
    ("electricity", "price", "expected"),
    [
        (ElectricityView(), 0.36, "electricity: 0.3600 EUR/kWh"),
        (ElectricityView(), None, "electricity: - EUR/kWh"),
        (
            ElectricityView(band="night", fees_per_kwh=0.08),
            0.3,
            "electricity: 0.3000 EUR/kWh, band night, of it 0.0800 fees",
        ),
        (
            ElectricityView(is_stale=True),
            0.3,
            "electricity: 0.3000 EUR/kWh, STALE: the feed's last known price",
        ),
    ],
    ids=["flat", "unknown", "band and fees", "stale"],
)
def test_where_the_electricity_price_comes_from_is_shown(shown_lines, electricity, price, expected):
    """The price of now, with its band, its fees, and whether it is an old one."""
    assert expected in shown_lines(snapshot(electricity=electricity, electricity_price_per_kwh=price))


def test_notes_are_shown(shown_lines):
    """What is written off is told where the costs are."""
    notes = (Note(subject="hardware", text="server: written off"),)

    assert "note: server: written off" in shown_lines(snapshot(notes=notes))


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


@pytest.mark.parametrize(("step", "is_told"), [(100, True), (1, False), (None, False)])
def test_counters_that_are_told_in_steps_say_so(shown_lines, step, is_told):
    """Of an engine that tells its tokens exactly, or tells nothing, there is no word."""
    text = text_of(shown_lines(snapshot(engines=(engine_view(step_tokens=step),))))

    assert ("chattellsitstokensinstepsof100:" in text) is is_told


def test_what_an_owner_asks_has_a_table(shown_lines):
    """Volume, payback and keep-or-switch of each comparison, never as a word; without any no table."""
    bought = replace(BOOK, hardware=Owned(purchase_price=1_000, lifetime_years=3))
    rows = {(HOUR, "chat", "small"): served(read=1_000, wrote=0, cached=0, active_joules=6e9)}
    windows = tuple(with_outlook(window, bought) for window in snapshot(rows).windows)

    lines = shown_lines(snapshot(rows, windows=windows))
    (row,) = [line for line in lines if line.startswith("chat / small: flat")]
    assert row.split()[4:] == ["never", "never", "never"]
    assert not any("flat" in line and ":" in line for line in shown_lines(snapshot(rows)))
