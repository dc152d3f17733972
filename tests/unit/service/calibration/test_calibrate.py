"""What is made sure of before an engine is given work, and what is kept afterwards."""

from contextlib import closing

import pytest

from config_fixtures import settings_of
from evenwatt import clock
from evenwatt.errors import CalibrationRefused, HistoryError
from evenwatt.service.calibration.calibrate import calibrate, calibrations, planned
from evenwatt.service.calibration.load_run import LoadLimits
from evenwatt.service.engines import EngineRoster
from evenwatt.sinks.history import History
from sink_fixtures import served, tick
from slot_engine import slot_engine

LIMITS = LoadLimits(seconds=2.4, max_concurrency=1, max_requests=10_000)
FOUND = {"name": "vllm-1", "kind": "vllm", "pid": None}


@pytest.fixture
def path(tmp_path):
    """The history of an agent that ran before."""
    path = tmp_path / "history.db"
    with closing(History(path, currency="USD")):
        pass
    return path


@pytest.fixture
def engine():
    """An engine at work on one machine with us."""
    with slot_engine(prefill_rate=40_000.0, decode_rate=2_000.0) as engine:
        engine.count(read=1, wrote=1)
        yield engine


def settings(path, *engines):
    """Return settings with these engines, by name and address; none: they are found."""
    named = "".join(f"  - {{name: {name}, url: '{url}'}}\n" for name, url in engines)
    return settings_of(f"history: {{path: {path}}}\n" + (f"engines:\n{named}" if engines else ""))


def plan(written, *, engine=None, model="small", limits=LIMITS, remote=False, busy=False):
    """Return what would be run."""
    return planned(written, engine=engine, model=model, limits=limits, may_be_remote=remote, may_be_busy=busy)


def test_the_result_is_kept(path, engine):
    """The newest result comes first, with what was asked and how."""
    written = settings(path, ("chat", engine.url))
    begun = clock.utc_seconds()
    row = calibrate(written, plan(written), lambda *_: None)
    (kept,) = calibrations(written)

    assert kept == row
    assert (kept.kind, kept.subject, kept.result["model"]) == ("capacity", "chat", "small")
    assert kept.utc_seconds >= begun
    assert kept.settings["seconds"] == 2.4
    assert kept.settings["engine_kind"] == "vllm"


def test_nothing_is_kept_of_a_run_that_is_interrupted(path, engine):
    """Ctrl-C within a step ends all requests, and the history stays as it was."""
    written = settings(path, ("chat", engine.url))

    def interrupted(_phase, _concurrency, step):
        if step is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(written, plan(written), interrupted)

    assert calibrations(written) == ()
    engine.wait_until_idle()


def test_the_only_engine_needs_no_name(path, engine):
    """Of several one has to be named, and a name that is not there is told with those that are."""
    one = settings(path, ("chat", engine.url))
    two = settings(path, ("chat", engine.url), ("code", "http://127.0.0.1:1"))

    assert plan(one).engine.name == "chat"
    assert plan(two, engine="chat").engine.name == "chat"
    with pytest.raises(CalibrationRefused, match=r"which engine\? Name one of: chat, code"):
        plan(two)
    with pytest.raises(CalibrationRefused, match=r"no engine is called cat\. Name one of: chat, code"):
        plan(two, engine="cat")


def test_engines_that_the_agent_found_need_no_configuration(path, engine):
    """They are in the history, under the name that every surface shows."""
    with closing(History(path, currency="USD")) as history:
        found = {"vllm-1": {**FOUND, "url": engine.url}}
        history.write(tick({}, cursors={EngineRoster.CURSOR: found}))

    assert plan(settings(path)).engine.url == engine.url


def test_no_engine_is_told(path):
    """Nothing configured and nothing found."""
    with pytest.raises(CalibrationRefused, match="start the agent"):
        plan(settings(path))


def test_without_a_history_there_is_nothing_to_keep_it_in(tmp_path, engine):
    """It is told before the engine is disturbed."""
    with pytest.raises(HistoryError, match="no history yet"):
        plan(settings(tmp_path / "none.db", ("chat", engine.url)))

    assert engine.prompts == []


def test_another_machine_is_left_alone(path):
    """Its users are not ours to disturb, unless we are told."""
    with pytest.raises(CalibrationRefused, match="--force"):
        plan(settings(path, ("far", "http://192.0.2.1:8000")))


def test_others_are_not_disturbed_unasked(path, engine):
    """With requests of others it is refused, unless told, and then it is known that they run."""
    engine.others_running = 2
    written = settings(path, ("chat", engine.url))

    with pytest.raises(CalibrationRefused, match=r"2 requests of others.*--busy"):
        plan(written)

    assert plan(written, busy=True).requests_running == 2


def test_a_model_without_a_name_has_to_be_named(path, engine):
    """A page that names no model does not say which one to ask."""
    with pytest.raises(CalibrationRefused, match="--model"):
        plan(settings(path, ("chat", engine.url)), model=None)


def test_the_mix_is_the_usual_one(path, engine):
    """Computed input over output of the last week; three to one where next to nothing was served."""
    written = settings(path, ("chat", engine.url))

    assert plan(written).input_per_output == 3.0

    minute = int(clock.utc_seconds() // 60) * 60 - 3_600
    with closing(History(path, currency="USD")) as history:
        rows = {
            (minute, "chat", "small"): served(read=80_000, wrote=10_000),
            (minute, "code", "large"): served(read=1, wrote=90_000),
        }
        history.write(tick(rows))

    assert plan(written).input_per_output == 8.0
