"""The agent, reading the pages of real engines one after another, books what their clients were told."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent_process import AgentProcess
from captured import CAPTURES, truth_steps
from loopback_servers import PageServer
from recorded_history import RecordedHistory

SERIES = [
    ("vllm", "single"),
    ("vllm", "apiservers2"),
    ("vllm", "dp2"),
    ("vllm", "lora"),
    ("llamacpp", "b11434"),
    ("llamacpp", "b10434"),
]
NAMES = (200, {}, json.dumps({"data": [{"id": "tiny-llama"}]}).encode())


def series_pages(engine, series):
    """Return the pages of a series, in the order in which they were read."""
    records = json.loads((CAPTURES / engine / "truth.json").read_text())[series]
    return [CAPTURES / engine / record["file"] for record in records]


def page_tokens(engine, file):
    """Return what a page counts, as an independent parser reads it: input, cached input, output."""
    totals = {}
    for family in text_string_to_metric_families(file.read_text()):
        for sample in family.samples:
            totals[sample.name] = totals.get(sample.name, 0) + sample.value
    if engine == "vllm":
        prompt, cached = totals["vllm:prompt_tokens_total"], totals["vllm:prompt_tokens_cached_total"]
        return prompt - cached, cached, totals["vllm:generation_tokens_total"]
    names = ("prompt_tokens_total", "prompt_tokens_cached_total", "tokens_predicted_total")
    return tuple(totals[f"llamacpp:{name}"] for name in names)


def told_tokens(engine, truth):
    """Return what the clients' answers say of a step, and what this engine makes of several answers.

    Of a request for n answers, vLLM counts the prompt n times, and llama.cpp reports one of n outputs.
    """
    answers_each = truth["choices"] // truth["requests"]
    prompts, outputs = (answers_each, 1) if engine == "vllm" else (1, answers_each)
    cached = truth["cached_tokens"]
    return truth["prompt_tokens"] * prompts - cached, cached, truth["completion_tokens"] * outputs


def difference(after, before):
    """Return what was counted between two totals; of a total that is not there, all."""
    return tuple(now - (then or 0) for now, then in zip(after, before, strict=True))


@pytest.fixture
def play(tmp_path):
    """Return a function that yields each page together with what the agent has booked once it has read it.

    It is stopped in order after the last page, and its history must say what its metrics said.
    """

    def played(engine, files):
        pages = {"/v1/models": NAMES, "/metrics": (200, {}, files[0].read_bytes())}
        with PageServer(pages) as server:
            named = {"engines": [{"name": "chat", "kind": engine, "url": server.url}]}
            with AgentProcess(tmp_path, named) as agent:
                for file in files:
                    server.pages["/metrics"] = (200, {}, file.read_bytes())
                    agent.wait_until_read_anew("chat")
                    yield file, agent.tokens("chat")
                last = agent.tokens("chat")
                assert agent.stop() == 0
        assert RecordedHistory(agent.history).tokens("chat", "minute") == last
        assert RecordedHistory(agent.history).tokens("chat") == last

    return played


@pytest.mark.parametrize(("engine", "series"), SERIES, ids=[f"{e} {s}" for e, s in SERIES])
def test_booked_is_what_the_engine_counted_and_the_clients_were_told(play, engine, series):
    """Each step of a capture books the increase of the page, and the clients' truth where it is known."""
    told = {after: truth for _, after, truth in truth_steps(engine, series)}
    files = series_pages(engine, series)
    earlier = page_tokens(engine, files[0])
    booked_earlier, compared = (None, None, None), set()
    for file, booked in play(engine, files):
        if file != files[0]:
            step = difference(booked, booked_earlier)
            assert step == difference(page_tokens(engine, file), earlier), file
            if file in told:
                assert step == told_tokens(engine, told[file]), file
                compared.add(file)
        earlier, booked_earlier = page_tokens(engine, file), booked

    assert compared == told.keys()
    assert compared


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
def test_answer_under_way_is_booked_as_it_is_counted(play, engine):
    """Pages read during one long answer book what they count, and in the end what the answer says it used."""
    folder = CAPTURES / engine / "inflight"
    usage = json.loads((folder / "truth.json").read_text())["usage"]
    files = sorted(folder.glob("*.prom.txt"))
    first = page_tokens(engine, files[0])
    for file, booked in play(engine, files):
        if file != files[0]:
            assert difference(booked, (0, 0, 0)) == difference(page_tokens(engine, file), first), file

    assert booked[0] + booked[1] == usage["prompt_tokens"]
    assert booked[2] == usage["completion_tokens"]


def test_model_that_was_unloaded_and_loaded_again_is_a_restart(play):
    """The pages of a model before and after a reload: both lives are booked whole, nothing is taken off."""
    truths = json.loads((CAPTURES / "llamacpp" / "truth.json").read_text())["router"]
    told = [truths[step]["truth_of_this_step"]["by_model"]["tiny-llama"] for step in (1, 3)]
    before, after = (
        (model["prompt_tokens"] - model["cached_tokens"], model["cached_tokens"], model["completion_tokens"])
        for model in told
    )
    idle, served, _, served_anew = series_pages("llamacpp", "router")
    booked = dict(play("llamacpp", [idle, served, served_anew]))

    assert booked[served] == before
    assert booked[served_anew] == tuple(map(sum, zip(before, after, strict=True)))
