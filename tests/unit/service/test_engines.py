"""The engines that are read: named or found, unchanged ones untouched, on this machine or another."""

import shutil
import socket
import time
from contextlib import contextmanager
from types import MappingProxyType

import psutil
import pytest
from msgspec.structs import replace

from captured import CAPTURES
from config_fixtures import settings_of
from evenwatt.economics.capacity import Capacity, CapacitySource
from evenwatt.readings.simulated import simulated_server
from evenwatt.service.engines import EngineRoster
from evenwatt.service.sources import is_local
from evenwatt.service.workers import Crew
from loopback_servers import page_process
from scripted_sources import ScriptedSource, reading_of

LONG = 30.0
CONFIGURED = Capacity(tokens_per_second=2_000.0, source=CapacitySource.CONFIGURED)
VLLM_PAGE = CAPTURES / "vllm" / "single-04-prefix.prom.txt"
OWN_PORT = 9
CLOSED = "http://127.0.0.1:1"
NAMED = """
engines:
  - {name: chat, url: "http://127.0.0.1:1", capacity_tokens_per_second: 2000}
  - {name: far, url: "http://10.9.8.7:8000"}
"""


@contextmanager
def roster_of(text="engines: []", *, fixed=None, stored=None, wants_gpus=False):
    """Return a roster and its crew, which are let go at the end."""
    crew = Crew()
    roster = EngineRoster(
        crew,
        settings_of(text),
        fixed=fixed,
        stored=stored or {},
        own_port=OWN_PORT,
        wants_gpus=wants_gpus,
    )
    yield roster, crew
    roster.close()
    crew.close(patience_seconds=1.0)


def view(roster, name, capacities=MappingProxyType({})):
    """Return an engine as it is shown."""
    return next(view for view in roster.views(capacities) if view.engine == name)


@pytest.fixture
def vllm(tmp_path):
    """The port of a process that is a vLLM server by its command and its page."""
    script = shutil.copy(CAPTURES.parent / "page_process.py", tmp_path / "vllm")
    with page_process(VLLM_PAGE, script=script, arguments=("serve", "org/model")) as (_, port):
        yield port


def test_named_engines_are_read_and_no_others(vllm):
    """Where engines are named nobody is searched for; names and addresses are the configuration's."""
    with roster_of(NAMED) as (roster, crew):
        roster.follow(print)

        assert roster.names == crew.names == ("chat", "far")
        assert roster.stored() == {}
        assert view(roster, "chat").address == f"{CLOSED}/metrics"


def test_an_engine_shows_what_it_said_last(vllm):
    """Up with its gauges while it answers; down without them afterwards, under the models that it had."""
    with roster_of(NAMED) as (roster, _):
        roster.note([reading_of("chat")])
        up = view(roster, "chat")
        roster.note([])
        down = view(roster, "chat")

    assert (up.up, up.models, up.step_tokens) == (True, ("small",), 1)
    assert (down.up, down.models, down.requests_running) == (False, ("small",), None)
    assert down.step_tokens is None


def test_capacity_is_known_where_somebody_says_so():
    """A configured capacity has its engine; another engine has none, and no source of one."""
    with roster_of(NAMED) as (roster, _):
        assert roster.told_capacities == {"chat": CONFIGURED}
        assert view(roster, "chat", {"chat": CONFIGURED}).capacity == CONFIGURED
        assert view(roster, "far", {"chat": CONFIGURED}).capacity is None


def test_simulated_engines_tell_their_capacity():
    """A demo has a load: its engines say what they serve at most, unless the configuration does."""
    engines = [source for source in simulated_server() if source.name != "nvml"]
    text = 'engines: [{name: sim-code, url: "http://127.0.0.1:1", capacity_tokens_per_second: 5}]'
    with roster_of("", fixed=engines) as (roster, _):
        told = roster.told_capacities
        assert {name: capacity.tokens_per_second for name, capacity in told.items()} == {
            "sim-chat": 3_500.0,
            "sim-code": 670.0,
        }
        assert told["sim-chat"].source == "simulated"
    with roster_of(text, fixed=engines) as (roster, _):
        assert roster.told_capacities["sim-code"] == replace(CONFIGURED, tokens_per_second=5.0)


def test_the_capacities_of_both_phases_can_be_configured():
    """They may stand alone, without a combined capacity."""
    text = """
    engines:
      - name: chat
        url: "http://127.0.0.1:1"
        prefill_tokens_per_second: 9000
        decode_tokens_per_second: 500
    """
    with roster_of(text) as (roster, _):
        assert roster.told_capacities["chat"] == Capacity(
            tokens_per_second=None,
            prefill_tokens_per_second=9_000.0,
            decode_tokens_per_second=500.0,
            source=CapacitySource.CONFIGURED,
        )


def test_engines_on_other_hosts_are_remote():
    """None of this machine's GPUs are theirs; made-up engines are all of this machine."""
    with roster_of(NAMED) as (roster, _):
        assert roster.remote == {"far"}
    with roster_of(NAMED, fixed=[ScriptedSource("sim")]) as (roster, _):
        assert roster.remote == frozenset()


def test_unchanged_engines_are_not_touched():
    """A reload lets go of what changed or went, takes on what is new, and leaves the rest its thread."""
    with roster_of(NAMED) as (roster, crew):
        crew.round(LONG)
        before = {entry.source: entry.read_duration_seconds for entry in crew.health}
        roster.adopt(
            settings_of(
                """
                engines:
                  - {name: chat, url: "http://127.0.0.1:1", capacity_tokens_per_second: 2000}
                  - {name: new, url: "http://127.0.0.1:2"}
                """
            )
        )
        after = {entry.source: entry.read_duration_seconds for entry in crew.health}

        assert roster.names == crew.names == ("chat", "new")
        assert after == {"chat": before["chat"], "new": None}


@pytest.mark.parametrize(
    "line",
    [
        '{name: chat, url: "http://127.0.0.1:2"}',
        '{name: chat, url: "http://127.0.0.1:1", kind: vllm}',
        '{name: chat, url: "http://127.0.0.1:1", api_key: key}',
    ],
)
def test_a_changed_engine_is_read_anew(line):
    """Another address, kind or key is another source under the same name."""
    with roster_of('engines: [{name: chat, url: "http://127.0.0.1:1"}]') as (roster, crew):
        crew.round(LONG)
        roster.adopt(settings_of(f"engines: [{line}]"))

        assert roster.names == ("chat",)
        assert crew.health[0].error == "not read yet"


def test_a_new_deadline_is_every_engines():
    """Sources keep the deadline that they began with, so all are begun anew."""
    with roster_of(NAMED) as (roster, crew):
        crew.round(LONG)
        roster.adopt(settings_of(NAMED + "sampling: {deadline_seconds: 1}"))

        assert {entry.error for entry in crew.health} == {"not read yet"}


def test_found_engines_are_read_told_and_kept(vllm):
    """The first tick has what runs already; after a restart it is there though nobody answers any more."""
    name, told = f"vllm-{vllm}", []
    with roster_of("") as (roster, crew):
        roster.follow(lambda *event: told.append(event))
        stored = roster.stored()

        assert name in roster.names
        assert name in crew.names
        assert ("engine_found", name, f"vllm found at http://127.0.0.1:{vllm}") in told
        assert name not in roster.remote
        assert roster.found_something_real is False

    closed = {**stored[name], "url": CLOSED}
    with roster_of("", stored={name: closed}) as (roster, _):
        assert roster.names == (name,)
        assert roster.stored() == {name: closed}


def test_known_engines_are_not_told_again(vllm):
    """An engine that is found under an address that is read already is the same one."""
    told = []
    engine = {"name": "vllm-old", "kind": "vllm", "url": f"http://127.0.0.1:{vllm}", "pid": None}
    with roster_of("", stored={"vllm-old": engine}) as (roster, _):
        roster.follow(lambda *event: told.append(event))

        assert f"vllm-{vllm}" not in roster.names
        assert not [event for event in told if event[1] == f"vllm-{vllm}"]


def test_an_engine_that_comes_later_is_found(tmp_path):
    """The search goes on while the agent runs."""
    with roster_of("sampling: {discovery_seconds: 1}") as (roster, _):
        roster.follow(lambda *_: None)
        script = shutil.copy(CAPTURES.parent / "page_process.py", tmp_path / "vllm")
        with page_process(VLLM_PAGE, script=script, arguments=("serve",)) as (_, port):
            until = time.monotonic() + LONG
            while f"vllm-{port}" not in roster.names:
                assert time.monotonic() < until
                roster.follow(lambda *_: None)
                time.sleep(0.05)


def test_naming_engines_ends_the_search(vllm):
    """Found engines make way for named ones, and are found again when none are named any more."""
    name = f"vllm-{vllm}"
    with roster_of("") as (roster, _):
        roster.follow(lambda *_: None)
        roster.adopt(settings_of(NAMED))
        assert roster.names == ("chat", "far")
        assert roster.stored() == {}

        roster.adopt(settings_of(""))
        assert "chat" not in roster.names
        until = time.monotonic() + LONG
        while name not in roster.names:
            assert time.monotonic() < until
            roster.follow(lambda *_: None)
            time.sleep(0.05)


def test_simulated_readings_make_way_for_something_real(vllm):
    """What stands in for nothing to meter is over when there is something."""
    with roster_of("", fixed=[ScriptedSource("sim")], wants_gpus=True) as (roster, _):
        until = time.monotonic() + LONG
        while not roster.found_something_real:
            assert time.monotonic() < until
            roster.follow(lambda *_: None)
            time.sleep(0.05)

        assert roster.names == ("sim",)
        assert roster.stored() == {}


def test_a_demo_searches_for_nothing(vllm):
    """Engines that were asked for by name of a command stay alone."""
    with roster_of("", fixed=[ScriptedSource("sim")]) as (roster, _):
        for _ in range(20):
            roster.follow(lambda *_: None)
            time.sleep(0.01)

        assert not roster.found_something_real


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.3.2.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://0.0.0.0:8000", True),
        (f"http://{socket.gethostname()}:8000", True),
        ("http://10.9.8.7:8000", False),
        ("http://gpu-box.example:8000", False),
        ("https://[2001:db8::1]/metrics", False),
    ],
)
def test_which_hosts_are_this_machine(url, expected):
    """Loopback, this host's own names and addresses; any other name is another machine."""
    assert is_local(url) is expected


def test_its_own_addresses_are_this_machine():
    """An address of one of this machine's interfaces is local."""
    own = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET
    ]

    assert own
    assert all(is_local(f"http://{address}:8000") for address in own)


def followed_until(roster, condition, readings=()):
    """Let a roster follow, with these readings in each tick, until a condition holds; return what it told."""
    told = []
    until = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < until
        roster.follow(lambda *event: told.append(event))
        roster.note(readings)
        time.sleep(0.05)
    return told


def test_another_kind_at_the_address_of_a_found_engine_takes_its_place(vllm):
    """Who is down and whose address another kind answers at is let go of; the other has its own name."""
    url = f"http://127.0.0.1:{vllm}"
    old, new = f"llamacpp-{vllm}", f"vllm-{vllm}"
    stored = {old: {"name": old, "kind": "llamacpp", "url": url, "pid": None}}
    with roster_of("sampling: {discovery_seconds: 1}", stored=stored) as (roster, crew):
        assert roster.names == (old,)
        told = followed_until(roster, lambda: new in roster.names)

        assert old not in roster.names
        assert crew.names == roster.names
        assert old not in roster.stored()
    assert ("engine_replaced", old, f"not read any more: vllm answers at {url} now") in told
    assert ("engine_found", new, f"vllm found at {url}") in told


def test_the_port_of_an_engine_is_looked_at_again_once_it_is_down(vllm):
    """An engine that answers keeps its address, and one that goes away makes way for another kind."""
    old = f"llamacpp-{vllm}"
    stored = {old: {"name": old, "kind": "llamacpp", "url": f"http://127.0.0.1:{vllm}", "pid": None}}
    with roster_of("sampling: {discovery_seconds: 1}", stored=stored) as (roster, _):
        roster.note([reading_of(old)])
        until = time.monotonic() + 2.5
        followed_until(roster, lambda: time.monotonic() > until, [reading_of(old)])
        assert old in roster.names

        followed_until(roster, lambda: f"vllm-{vllm}" in roster.names)
        assert old not in roster.names
