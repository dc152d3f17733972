"""The agent books exactly what a real llama.cpp server counts, and what its clients were told."""

import pytest

from agent_process import AgentProcess
from load import Request, mixed_requests, send
from recorded_history import RecordedHistory

pytest_plugins = ["llama_fixtures"]

ANSWERED = mixed_requests(200, seed=11)
CUT_OFF = [
    Request(
        prompt=f"the price of answer {number}",
        max_tokens=300,
        is_streamed=True,
        abort_after_chunks=number % 5,
    )
    for number in range(1, 41)
    if number % 5
]


def settings(server):
    """Return settings that name one engine."""
    return {"engines": [{"name": "chat", "kind": "llamacpp", "url": server.url}]}


def engine_tokens(server):
    """Return the engine's own totals once it is idle: input, cached input, output."""
    counters = server.counters_when_idle()
    return counters.input_tokens, counters.cached_input_tokens, counters.output_tokens


def wait_until_watching(agent):
    """Wait for the agent's second tick.

    The kernel tells when a process started to 10 ms: of an engine that starts within those of the first tick,
    nobody knows whether it was there before, and then what it has counted is the baseline.
    """
    agent.wait_for(lambda: agent.metric("evenwatt_seconds_total"))


def check_answered_and_cut_off(agent, engine, server, baseline):
    """Send both loads and compare what is booked with the clients' and the engine's truth after each."""
    usage = send(server.url, server.alias, ANSWERED)
    after_answered = engine_tokens(server)
    agent.wait_until_read_anew(engine)

    told = (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
    assert all(told)
    assert agent.tokens(engine) == told
    assert after_answered == tuple(map(sum, zip(told, baseline, strict=True)))

    cut_off = send(server.url, server.alias, [*CUT_OFF, *ANSWERED[:20]])
    counted = tuple(now - then for now, then in zip(engine_tokens(server), baseline, strict=True))
    agent.wait_until_read_anew(engine)

    assert cut_off.aborted == len(CUT_OFF)
    assert agent.tokens(engine) == counted
    assert agent.stop() == 0
    history = RecordedHistory(agent.history)
    assert history.tokens(engine) == counted
    assert history.tokens(engine, "minute") == counted


def test_agent_that_was_there_before_the_engine_books_all_of_it(start_llama_server, tmp_path):
    """Everything that an engine counts is booked where the agent watched when it started."""
    server = start_llama_server()
    server.stop()
    with AgentProcess(tmp_path, settings(server)) as agent:
        wait_until_watching(agent)
        server.start()

        check_answered_and_cut_off(agent, "chat", server, baseline=(0, 0, 0))


def test_agent_that_comes_later_books_what_is_counted_from_then_on(start_llama_server, tmp_path):
    """What an engine had counted before the agent's first look is not booked, everything after it is."""
    server = start_llama_server()
    send(server.url, server.alias, mixed_requests(24, seed=12))
    baseline = engine_tokens(server)
    with AgentProcess(tmp_path, settings(server)) as agent:
        check_answered_and_cut_off(agent, "chat", server, baseline)


def test_engine_is_found_without_configuration(start_llama_server, tmp_path):
    """An engine that nobody named is found by its process and metered exactly."""
    server = start_llama_server()
    with AgentProcess(tmp_path) as agent:
        check_answered_and_cut_off(agent, f"llamacpp-{server.port}", server, baseline=(0, 0, 0))


@pytest.mark.parametrize("is_watched", [True, False], ids=["agent up", "agent down"])
def test_engine_that_restarts_after_its_last_reading_loses_nothing(start_llama_server, tmp_path, is_watched):
    """Two lives of an engine add up where it was read once more before its end, the agent up or not."""
    server = start_llama_server()
    server.stop()
    with AgentProcess(tmp_path, settings(server)) as agent:
        wait_until_watching(agent)
        server.start()
        first = send(server.url, server.alias, ANSWERED[:40])
        engine_tokens(server)
        agent.wait_until_read_anew("chat")
        if not is_watched:
            agent.kill()
        server.kill()
        server.start()
        second = send(server.url, server.alias, ANSWERED[40:80])
        engine_tokens(server)
        if not is_watched:
            agent.start()
            agent.wait_until_ready()
        agent.wait_until_read_anew("chat")

        both = first + second
        assert agent.tokens("chat") == (both.input_tokens, both.cached_input_tokens, both.output_tokens)
        assert agent.metric("evenwatt_engine_restarts_total", engine="chat") == 1
