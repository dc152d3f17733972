"""The JSON API of a real agent, held against its OpenAPI file."""

import copy
import html
import json
import signal
import sqlite3
from contextlib import closing

import pytest
import requests
from jsonschema import Draft202012Validator

from agent_process import AgentProcess
from simulated_days import SETTINGS, write_days

ASKED = {
    "/api/v1/status": ("",),
    "/api/v1/live": ("",),
    "/api/v1/report": ("", "?window=24h", "?window=30d", "?window=month"),
    "/api/v1/clients": ("", "?window=1h"),
    "/api/v1/history": ("", "?points=50", "?from=0&to=99999999999", "?from=1&to=2"),
    "/api/v1/events": ("", "?limit=1"),
}
REFUSED = (
    "/api/v1/report?window=400d",
    "/api/v1/report?window=-7d",
    "/api/v1/report?window=",
    "/api/v1/report?window=7d%00",
    "/api/v1/report?until=now",
    "/api/v1/history?from=nan",
    "/api/v1/history?from=9&to=3",
    "/api/v1/history?points=1000000",
    "/api/v1/history?points=%D9%A3%D9%A3",
    "/api/v1/events?limit=0",
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """A simulated server with ten days behind it."""
    folder = tmp_path_factory.mktemp("agent")
    history = folder / "days.db"
    write_days(history, 10)
    with AgentProcess(folder, SETTINGS, command="demo", arguments=("--history", str(history))) as running:
        running.wait_for(lambda: running.metric("evenwatt_tokens_total"))
        yield running


def get(agent, path):
    """Return an answer of the agent."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(agent.url + path, timeout=20)


def closed(schema):
    """Return a schema whose objects may have nothing that it does not name."""
    if isinstance(schema, dict):
        held = {key: closed(value) for key, value in schema.items()}
        if isinstance(held.get("properties"), dict) and "additionalProperties" not in held:
            held["additionalProperties"] = False
        return held
    return [closed(item) for item in schema] if isinstance(schema, list) else schema


@pytest.fixture(scope="module")
def described(agent):
    """The OpenAPI file as the agent serves it, its schemas closed."""
    document = get(agent, "/api/v1/openapi.json").json()
    document["components"]["schemas"] = closed(copy.deepcopy(document["components"]["schemas"]))
    return document


def faults(described, path, status, document):
    """Return what is wrong with an answer by the file."""
    answer = described["paths"][path]["get"]["responses"][str(status)]
    schema = {**answer["content"]["application/json"]["schema"], "components": described["components"]}
    return [
        f"{'/'.join(map(str, error.path))}: {error.message[:200]}"
        for error in Draft202012Validator(schema).iter_errors(document)
    ]


def test_every_path_of_the_file_is_asked(described):
    """The file names exactly what is held against it here, the page's stream beside it."""
    assert set(described["paths"]) == {*ASKED, "/api/v1/stream"}


@pytest.mark.parametrize(("path", "query"), [(path, query) for path in ASKED for query in ASKED[path]])
def test_an_answer_is_what_the_file_says(agent, described, path, query):
    """Every name, type and null; and nothing that the file does not name."""
    answer = get(agent, path + query)

    assert answer.status_code == 200, answer.text
    assert faults(described, path, 200, answer.json()) == []


@pytest.mark.parametrize("path", REFUSED)
def test_nonsense_is_refused_in_words(agent, described, path):
    """What was found and what is expected, as the file has it."""
    answer = get(agent, path)

    assert answer.status_code == 400
    assert faults(described, path.partition("?")[0], 400, answer.json()) == []


def test_a_stretch_adds_up_to_what_the_history_holds(agent):
    """Down-sampled points are sums: over the last whole day they give the day's tokens, joules and money."""
    with closing(sqlite3.connect(agent.folder / "days.db")) as database:
        ((day,),) = database.execute("SELECT max(day) - 86400 FROM day_host").fetchall()
        ((tokens, hardware, energy, joules),) = database.execute(
            "SELECT sum(output_tokens), sum(hardware_cost), sum(energy_cost),"
            " total(active_joules) + total(idle_loaded_joules) + total(idle_empty_joules)"
            " FROM day_usage WHERE day = ?",
            (day,),
        ).fetchall()
    for points in (20, 150, 1_500):
        found = get(agent, f"/api/v1/history?from={day}&to={day + 86_400}&points={points}").json()
        width = found["width_seconds"]

        assert len(found["utc_seconds"]) == 86_400 / width <= points
        assert sum(found["output_tokens_per_second"]) * width == pytest.approx(tokens, rel=1e-9)
        assert sum(found["power_watts"]) * width == pytest.approx(joules, rel=1e-9)
        hours = width / 3_600
        assert sum(found["hardware_cost_per_hour"]) * hours == pytest.approx(hardware, rel=1e-9)
        assert sum(found["energy_cost_per_hour"]) * hours == pytest.approx(energy, rel=1e-9)


def test_the_page_has_the_verdict_before_its_scripts_run(agent):
    """What the report says in a sentence stands in the HTML that comes after it, whatever is quoted in it."""

    def is_told():
        sentence = get(agent, "/api/v1/report?window=7d").json()["verdict"]["sentence"]
        return html.escape(sentence) in get(agent, "/").text

    agent.wait_for(is_told)  # a newer report may come between the two questions, once


def test_a_report_is_by_the_settings_of_the_last_reload(tmp_path):
    """One that was kept before is given to nobody any more."""
    history = tmp_path / "days.db"
    write_days(history, 2)
    with AgentProcess(tmp_path, SETTINGS, command="demo", arguments=("--history", str(history))) as agent:
        agent.wait_for(lambda: agent.metric("evenwatt_tokens_total"))
        before = get(agent, "/api/v1/report").json()["head"]["month_hours"]
        agent.configure({**SETTINGS, "month_hours": 720})
        agent.signal(signal.SIGHUP)
        agent.wait_for(lambda: "was reloaded" in agent.log.read_text())
        after = get(agent, "/api/v1/report").json()["head"]["month_hours"]

    assert (before, after) == (730.0, 720.0)


def test_the_stream_has_the_ticks_of_the_file(agent, described):
    """What the stream tells is a Tick."""
    with requests.Session() as session:
        session.trust_env = False
        with session.get(agent.url + "/api/v1/stream", stream=True, timeout=10) as answer:
            line = next(line for line in answer.iter_lines(chunk_size=1) if line.startswith(b"data: "))
    schema = {"$ref": "#/components/schemas/Tick", "components": described["components"]}

    assert list(Draft202012Validator(schema).iter_errors(json.loads(line[6:]))) == []


def test_an_agent_without_a_minute_says_so(tmp_path):
    """The first report needs a whole minute; until then the answer says what to do."""
    with AgentProcess(tmp_path, {"engines": [], "timezone": "UTC"}) as agent:
        answer = get(agent, "/api/v1/report")

    assert answer.status_code == 404
    assert "minute" in answer.json()["error"]
