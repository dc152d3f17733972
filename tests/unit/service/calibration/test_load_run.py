"""A load run finds what an engine of known capacity sustains, and is told what goes wrong."""

import asyncio

import pytest

from evenwatt.economics.load_run import Phase
from evenwatt.errors import CalibrationRefused, SourceContractError, SourceUnavailable
from evenwatt.readings.engine import EngineSource
from evenwatt.readings.load import LoadClient, random_text
from evenwatt.service.calibration.load_run import LoadLimits, LoadRun
from slot_engine import slot_engine


def found(engine, *, told=None, **options):
    """Return what a load run finds."""
    limits = LoadLimits(
        seconds=options.pop("seconds", 9.0),
        max_concurrency=options.pop("max_concurrency", 8),
        max_requests=options.pop("max_requests", 10_000),
    )
    source = EngineSource(name="chat", url=engine.url)

    async def run():
        async with LoadClient(engine.url, model="small") as client:
            load = LoadRun(
                source,
                client,
                model="small",
                limits=limits,
                on_step=lambda *step: None if told is None else told.append(step),
                **options,
            )
            return await load.run(), load.settings

    try:
        return asyncio.run(run())
    finally:
        source.close()


def test_it_finds_the_capacity_of_each_phase_and_of_the_mix():
    """Two slots of 1,000 words and 100 tokens a second are 2,000 and 200, and at 3 to 1 some 615.

    It sleeps at least as long as its speeds say, so nothing above can be found; what a busy machine and the
    ends of steps take off is left open.
    """
    told = []
    with slot_engine(slots=2, prefill_rate=1_000.0, decode_rate=100.0) as engine:
        result, settings = found(engine, told=told, seconds=12.0, max_concurrency=4)
        engine.wait_until_idle()

    assert 2_000 * 0.3 <= result["prefill_tokens_per_second"] <= 2_000 * 1.02
    assert 200 * 0.3 <= result["decode_tokens_per_second"] <= 200 * 1.02
    mix = 4 / (3 / 2_000 + 1 / 200)
    assert mix * 0.3 <= result["tokens_per_second"] <= mix * 1.1
    assert {step["phase"] for step in result["steps"]} == {"prefill", "decode", "mixed"}
    assert not result["others_seen"]
    assert settings["max_concurrency"] == 4
    assert told[0] == (Phase.PREFILL, 1, None)


def test_what_is_kept_is_what_the_engine_counted():
    """Tokens of all steps and probes together are the engine's own totals, to the last one."""
    with slot_engine() as engine:
        result, _ = found(engine, seconds=9.0, max_concurrency=1)
        counted = (engine.read, engine.wrote)

    in_steps = [sum(step[name] for step in result["steps"]) for name in ("input_tokens", "output_tokens")]
    probes = [all_of_it - in_step for all_of_it, in_step in zip(counted, in_steps, strict=True)]
    assert probes == [4 + 512 + 4, 8 + 1 + 16]
    assert sum(step["requests"] for step in result["steps"]) + 3 == engine.completed


def test_prompts_are_never_the_same():
    """No prompt begins like another one, so that no cache of prompts can help."""
    with slot_engine(prefill_rate=40_000.0, decode_rate=2_000.0) as engine:
        found(engine, seconds=3.0, max_concurrency=2)

    assert len(engine.prompts) > 20
    assert len({prompt[:12] for prompt in engine.prompts}) == len(engine.prompts)
    assert len(random_text(5).split()) == 5


def test_it_stays_within_its_limits():
    """Never more requests at once than allowed, and not one more in all."""
    with slot_engine(slots=64) as engine:
        result, _ = found(engine, seconds=3.0, max_concurrency=3, max_requests=40)

    assert engine.most_running <= 3
    assert len(engine.prompts) <= 40
    assert result["still_growing"]


def test_a_prompt_that_is_too_long_is_halved():
    """An engine with a small context is asked for what it takes."""
    with slot_engine(longest_prompt=100) as engine:
        _, settings = found(engine, seconds=2.4, max_concurrency=1)

    assert settings["requests"]["prefill"]["words"] <= 64


def test_an_engine_without_completions_is_asked_to_chat():
    """The chat interface stands in where there is no other."""
    with slot_engine(has_completions=False) as engine:
        result, _ = found(engine, seconds=2.4, max_concurrency=1)

    assert result["decode_tokens_per_second"] > 0


def test_requests_of_others_are_told():
    """An engine that never becomes idle is measured all the same, and the result says that others ran."""
    with slot_engine(others_running=1) as engine:
        result, _ = found(engine, seconds=2.4, max_concurrency=1, others_run=True)

    assert result["others_seen"]


def test_an_engine_that_does_not_count_is_refused():
    """A page that does not move is not the page of the engine that answered."""
    with slot_engine(counts=False) as engine, pytest.raises(SourceContractError, match="did not count"):
        found(engine)


@pytest.mark.parametrize("status", [401, 500])
def test_an_engine_that_refuses_is_told(status):
    """The address, what came, and what to look at."""
    with (
        slot_engine(fails_with=status) as engine,
        pytest.raises(SourceContractError, match=f"HTTP {status}.*--model"),
    ):
        found(engine)


def test_an_engine_that_refuses_every_prompt_is_told():
    """The shortest prompt that a run makes sense with is refused, too."""
    with slot_engine(longest_prompt=8) as engine, pytest.raises(SourceContractError, match="too long"):
        found(engine)


def test_an_engine_that_is_too_slow_is_told():
    """Not one request within the time of the run."""
    with (
        slot_engine(decode_rate=0.5) as engine,
        pytest.raises(CalibrationRefused, match="not one step was through"),
    ):
        found(engine, seconds=2.0)


def test_what_is_cut_short_is_closed():
    """Of a run that is over in the midst of its requests nothing goes on: the engine is idle at once."""
    with slot_engine(slots=1, decode_rate=20.0) as engine:
        found(engine, seconds=4.0, max_concurrency=8)
        engine.wait_until_idle()


def test_an_engine_that_goes_away_is_told():
    """Nothing listens any more: an error with the address, and no traceback of others' exceptions."""
    with slot_engine() as engine:
        url = engine.url

    async def ask():
        async with LoadClient(url, model="small") as client:
            await client.complete(1, 1)

    with pytest.raises(SourceUnavailable, match=url):
        asyncio.run(ask())
