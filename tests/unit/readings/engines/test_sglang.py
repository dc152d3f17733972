"""SGLang's pages against what its clients were told."""

import pytest

from captured import CAPTURES, samples_of, truth_steps
from evenwatt.readings.engines.sglang import SGLANG
from evenwatt.readings.exposition import Sample

STEPS = truth_steps("sglang", "single")


def models_of(file):
    """Return the models of a captured page."""
    return SGLANG.models(samples_of(SGLANG, file), "")


def tokens_of(file):
    """Return computed, cached and output tokens of the one model of a page; zeros where it has none yet."""
    for model in models_of(file):
        return model.input_tokens, model.cached_input_tokens, model.output_tokens
    return 0, 0, 0


def test_there_are_steps_with_a_known_truth():
    """The captures are there to be compared with."""
    assert len(STEPS) >= 5


@pytest.mark.parametrize(("before", "after", "truth"), STEPS, ids=lambda value: getattr(value, "stem", None))
def test_increase_is_what_the_clients_were_told(before, after, truth):
    """Tokens grow by what the answers reported; a request for n answers adds its prompt n + 1 times."""
    computed, cached, output = (b - a for a, b in zip(tokens_of(before), tokens_of(after), strict=True))
    answers_each = truth["choices"] // truth["requests"]
    repeats = 1 if answers_each == 1 else answers_each + 1

    assert computed + cached == repeats * truth["prompt_tokens"]
    assert output == truth["completion_tokens"]
    if answers_each == 1:
        assert cached == truth["cached_tokens"]


def test_page_before_the_first_request_has_no_model():
    """Series begin with the first request; before it the engine is up and has counted nothing."""
    assert models_of(CAPTURES / "sglang" / "single-01-idle.prom.txt") == ()


def test_streamed_and_other_requests_are_added_up():
    """The page splits by whether answers are streamed: 10 and 10 requests are 20."""
    (model,) = models_of(CAPTURES / "sglang" / "single-03-stream.prom.txt")

    assert model.requests == {"completed": 20}


def test_running_requests_are_seen():
    """The gauge is read from pages taken while one long request ran."""
    files = sorted((CAPTURES / "sglang" / "inflight").glob("*.prom.txt"))

    assert {SGLANG.running.gauge(samples_of(SGLANG, file)) for file in files} >= {1}


def test_repeats_of_other_ranks_are_left_out():
    """Each tensor-parallel rank says the same of the whole engine: 3 requests run, not 6."""
    name = "sglang:num_running_reqs"
    samples = [Sample(name, {"tp_rank": "0"}, 3.0), Sample(name, {"tp_rank": "1"}, 3.0)]

    assert SGLANG.running.gauge(samples) == 3


def test_prefill_side_of_a_split_engine_is_left_out():
    """The prompt is on the pages of both sides; the decode side's counts."""
    labels = {"engine_type": "prefill", "model_name": "m"}
    samples = [
        Sample("sglang:prompt_tokens_total", labels, 70.0),
        Sample("sglang:generation_tokens_total", labels, 1.0),
    ]

    assert SGLANG.models(samples, "") == ()
