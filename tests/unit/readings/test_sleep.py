"""A llama-server is only asked where that wakes nothing: what it says of itself, and what the kernel sees."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from evenwatt.clock import boot_seconds
from evenwatt.errors import SourceUnavailable
from evenwatt.readings.engine import EngineSource
from evenwatt.readings.processes import Listener
from evenwatt.readings.sleep import ServerFacts, SleepGuard, facts_in, server_started_for
from evenwatt.readings.threadwork import ThreadWork
from load import mixed_requests, send
from loopback_servers import PageServer

pytest_plugins = ["llama_fixtures"]

OLD = ServerFacts(is_sleeping=False)


def guard(facts):
    """Return a guard of a server elsewhere, of which the kernel tells nothing."""
    return SleepGuard(lambda _: facts[-1])


def asks(of):
    """Return whether the page may be asked for now."""
    return of.may_ask("process", None, boot_seconds() + 1.0)


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        ({"build_info": "b11434-0123abc", "is_sleeping": True}, ServerFacts(is_sleeping=True, build=11_434)),
        ({"build_info": "b1-7e4c0a9", "is_sleeping": False}, ServerFacts(is_sleeping=False)),
        ({"total_slots": 4}, ServerFacts()),
        ({"role": "router", "build_info": "b1-7e4c0a9"}, ServerFacts(is_router=True)),
        ({"is_sleeping": "yes", "total_slots": 1}, ServerFacts()),
        ({"model": "x"}, None),
        ([], None),
        ("text", None),
    ],
)
def test_facts_of_a_server(said, facts):
    """Anything else than an answer of /props says nothing."""
    assert facts_in(json.dumps(said).encode()) == facts


@pytest.mark.parametrize("facts", [None, ServerFacts(), ServerFacts(is_sleeping=True, build=11_434)])
def test_a_server_whose_page_disturbs_nobody_is_always_asked(facts):
    """Other engines, builds without sleep, and builds whose page answers from a copy."""
    one = guard([facts])

    assert asks(one)
    for _ in range(3):
        one.note(is_at_work=False)
        assert asks(one)


def test_a_server_that_sleeps_is_not_asked_until_it_is_awake():
    """Neither at first nor later."""
    facts = [ServerFacts(is_sleeping=True)]
    one = guard(facts)

    assert not asks(one)
    assert not asks(one)
    facts.append(OLD)
    assert asks(one)


@pytest.mark.parametrize("build", [None, 11_434])
def test_a_server_that_falls_asleep_is_known_to_sleep(build):
    """Also where its page is not asked for because it does nothing, and where asking disturbs nobody."""
    facts = [ServerFacts(is_sleeping=False, build=build)]
    one = guard(facts)
    assert (asks(one), one.is_asleep) == (True, False)
    one.note(is_at_work=False)

    facts.append(ServerFacts(is_sleeping=True, build=build))
    assert (asks(one), one.is_asleep) == (build is not None, True)
    facts.append(ServerFacts(is_sleeping=False, build=build))
    assert (asks(one), one.is_asleep) == (build is not None, False)


def test_a_server_that_does_not_say_whether_it_sleeps_is_as_it_was():
    """It does nothing, and nothing of its page is lost by that."""
    answers = [ServerFacts(is_sleeping=True)]

    def facts(_):
        if isinstance(answers[-1], Exception):
            raise answers[-1]
        return answers[-1]

    one = SleepGuard(facts)
    answers.append(OLD)
    assert asks(one)
    one.note(is_at_work=False)
    answers.append(ServerFacts(is_sleeping=True))
    assert not asks(one)
    answers.append(SourceUnavailable("hangs"))

    assert not asks(one)
    assert one.is_asleep


def test_a_server_of_which_nobody_tells_is_asked_ever_more_seldom():
    """Once its page stands still, it gets the time to fall asleep; work brings it back."""
    one = guard([OLD])
    assert asks(one)
    one.note(is_at_work=True)
    assert asks(one)
    one.note(is_at_work=False)
    assert not asks(one)
    one.note(is_at_work=True)
    assert asks(one)


def test_work_of_a_real_server_is_seen_and_its_idling_is_not(llama_server):
    """A request of a model of 600,000 parameters shows; half a second of idling and its own page do not."""
    work = ThreadWork()
    llama_server.counters_when_idle()
    for _ in range(3):
        work.mark(llama_server.pid)
        time.sleep(0.5)
        llama_server.counters()
        assert work.has_worked(llama_server.pid) is False

        send(llama_server.url, llama_server.alias, mixed_requests(1, seed=3))
        assert work.has_worked(llama_server.pid) is True


def test_work_of_nobody_is_not_known():
    """A process that was not marked, or is gone, has no answer."""
    work = ThreadWork()
    work.mark(None)
    assert work.has_worked(None) is None
    work.mark(2**22 + 1)
    assert work.has_worked(2**22 + 1) is None
    assert work.has_worked(1) is None


@pytest.mark.parametrize("build", ["b1-7e4c0a9", "b11433-0123abc"])
def test_a_server_that_was_met_while_it_loaded_its_model_is_left_asleep(build):
    """It says nothing of itself until the model is there: that is no word that it never sleeps."""
    loading = (503, {}, b'{"error": {"message": "Loading model", "code": 503}}')
    with PageServer({"/props": loading, "/metrics": loading}) as server:
        source = EngineSource(name="chat", url=server.url, kind="llamacpp")
        for _ in range(2):
            with pytest.raises(SourceUnavailable, match="Loading model"):
                source.read()
        said = {"build_info": build, "is_sleeping": True}
        server.pages["/props"] = (200, {}, json.dumps(said).encode())
        server.requests.clear()

        with pytest.raises(SourceUnavailable, match="its model sleeps"):
            source.read()

        assert server.paths() == ["/props"]
        source.close()


def hide_holders(source):
    """Have the kernel tell of sockets only, as it does to an agent that is not the server's user."""
    seen = source._lookup.listener
    source._lookup.listener = lambda: Listener(inodes=seen().inodes, process=None)


def test_work_of_another_users_server_is_seen_however_long_it_was_idle(llama_server):
    """Its sockets cannot be read, its command line can: its tokens do not wait until it is asked again."""
    source = EngineSource(name="chat", url=llama_server.url, kind="llamacpp")
    hide_holders(source)
    before = source.read()
    for _ in range(5):
        idle = source.read()
    wrote = send(llama_server.url, llama_server.alias, mixed_requests(1, seed=4))
    llama_server.counters_when_idle()
    after = source.read()
    source.close()

    assert before.listener_pid is None
    assert idle.models == before.models
    assert wrote
    assert after.models[0].output_tokens > before.models[0].output_tokens


@contextmanager
def program(name, *arguments):
    """A process that goes by a name, with arguments."""
    command = [name, "-c", "print(flush=True); import time; time.sleep(60)", *arguments]
    with subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_a_port_tells_one_server_or_none(llama_server):
    """Other programs and other ports are not it; of two with one port, each in its network, neither is."""
    port = str(llama_server.port)
    with program("/opt/llama-server-proxy", "--port", port), program("/opt/llama-server", "--port", "1"):
        assert server_started_for(llama_server.port) == llama_server.pid
        assert server_started_for(2) is None
    with program("llama-server", "--port", port):
        assert server_started_for(llama_server.port) is None
    with program("/opt/llama-server") as usual:
        assert server_started_for(8080) == usual
