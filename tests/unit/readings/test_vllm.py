"""vLLM's page says in our words what its clients were told."""

import pytest

from captured import CAPTURES, samples_of, truth_steps
from evenwatt.errors import SourceContractError
from evenwatt.model import DEFAULT_MODEL, ModelCounters
from evenwatt.readings.exposition import checked_page, parse_samples, whole_gauge
from evenwatt.readings.vllm import VLLM

FOLDER = CAPTURES / "vllm"
STEPS = [step for series in ("single", "apiservers2", "dp2", "lora") for step in truth_steps("vllm", series)]

V0_PAGE = b"""# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{model_name="m"} 70.0
vllm:generation_tokens_total{model_name="m"} 30.0
vllm:num_requests_running{model_name="m"} 1.0
vllm:request_success_total{finished_reason="stop",model_name="m"} 4.0
"""
RUST_PAGE = b"""# HELP vllm:prompt_tokens Prompt tokens.
# TYPE vllm:prompt_tokens counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 70
# TYPE vllm:prompt_tokens_cached counter
vllm:prompt_tokens_cached_total{engine="0",model_name="m"} 20
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{engine="0",model_name="m"} 30
# EOF
"""


def read(page):
    """Return what the adapter wants of a page."""
    return parse_samples(checked_page(page), VLLM.wanted)


def models_of(page):
    """Return the models of a page."""
    return VLLM.models(read(page), "")


def only_model(file):
    """Return the one model of a captured page."""
    (model,) = VLLM.models(samples_of(VLLM, file), "")
    return model


def test_there_are_steps_with_a_known_truth():
    """The captures are there to be compared with."""
    assert len(STEPS) >= 8


@pytest.mark.parametrize(("before", "after", "truth"), STEPS, ids=lambda value: getattr(value, "stem", None))
def test_increase_is_what_the_clients_were_told(before, after, truth):
    """Between two pages of a real engine, tokens grow by what the answers reported.

    A request for n answers counts its prompt n times.
    """
    earlier, later = only_model(before), only_model(after)
    answers_each = truth["choices"] // truth["requests"]

    cached = later.cached_input_tokens - earlier.cached_input_tokens
    assert cached == truth["cached_tokens"]
    computed = later.input_tokens - earlier.input_tokens
    assert computed + cached == truth["prompt_tokens"] * answers_each
    assert later.output_tokens - earlier.output_tokens == truth["completion_tokens"]
    assert later.requests["completed"] - earlier.requests["completed"] == truth["choices"]


def test_aborted_requests_count_their_tokens():
    """What the captured engine spent on requests that clients closed is counted, though no request is."""
    earlier = only_model(FOLDER / "single-05-n3.prom.txt")
    later = only_model(FOLDER / "single-06-abort.prom.txt")

    assert (later.input_tokens - earlier.input_tokens, later.output_tokens - earlier.output_tokens) == (
        148,
        20,
    )
    assert later.requests == earlier.requests


def test_output_grows_while_a_request_runs():
    """The pages read during one long answer show it growing, with one request running."""
    samples = [samples_of(VLLM, file) for file in sorted((FOLDER / "inflight").glob("*.prom.txt"))]
    outputs = [VLLM.models(page, "")[0].output_tokens for page in samples]

    assert outputs == sorted(set(outputs))
    assert {whole_gauge(page, VLLM.running) for page in samples[1:-1]} == {1}


def test_page_without_engine_label_or_cache_counters():
    """An old page tells input and output; what was cached is not known and stays in the input."""
    assert models_of(V0_PAGE) == (
        ModelCounters(model="m", input_tokens=70, output_tokens=30, requests={"completed": 4}),
    )


def test_openmetrics_page_of_the_rust_frontend():
    """An OpenMetrics page is read by its sample names, and cached input is taken off the prompt."""
    assert models_of(RUST_PAGE) == (
        ModelCounters(model="m", input_tokens=50, cached_input_tokens=20, output_tokens=30),
    )


def test_engines_are_summed_and_models_are_not():
    """Series of data-parallel engines and of unknown labels add up; each model stands for itself."""
    page = b"""# a page
vllm:prompt_tokens_total{engine="0",model_name="m"} 1
vllm:prompt_tokens_total{engine="1",model_name="m"} 2
vllm:prompt_tokens_total{engine="1",model_name="m",new="x"} 4
vllm:prompt_tokens_total{engine="0",model_name="n"} 8
vllm:generation_tokens_total{engine="0",model_name="m"} 10
vllm:generation_tokens_total{engine="1",model_name="m"} 20
vllm:generation_tokens_total{engine="0",model_name="n"} 40
"""

    assert [(model.model, model.input_tokens, model.output_tokens) for model in models_of(page)] == [
        ("m", 7, 30),
        ("n", 8, 40),
    ]


def test_thousands_of_models():
    """A page of 5,000 models has 5,000 models."""
    lines = [
        f'vllm:{kind}_tokens_total{{engine="0",model_name="model-{number}"}} {number}.0\n'
        for kind in ("prompt", "generation")
        for number in range(5_000)
    ]

    models = models_of("".join(lines).encode())

    assert [(model.model, model.output_tokens) for model in models] == [
        (f"model-{number}", number) for number in range(5_000)
    ]


def test_input_by_source():
    """Computed input is what was computed here; everything from elsewhere was reused."""
    page = b"""# a page
vllm:prompt_tokens_total{model_name="m"} 999
vllm:prompt_tokens_cached_total{model_name="m"} 999
vllm:prompt_tokens_by_source_total{model_name="m",source="local_compute"} 10
vllm:prompt_tokens_by_source_total{model_name="m",source="local_cache_hit"} 20
vllm:prompt_tokens_by_source_total{model_name="m",source="external_kv_transfer"} 40
vllm:generation_tokens_total{model_name="m"} 1
"""

    (model,) = models_of(page)

    assert (model.input_tokens, model.cached_input_tokens) == (10, 60)


def test_requests_by_outcome():
    """Ends of a request are completed, aborted or failed."""
    reasons = {"stop": 1, "length": 2, "repetition": 4, "abort": 8, "error": 16}
    lines = [
        f'vllm:request_success_total{{finished_reason="{reason}"}} {count}'
        for reason, count in reasons.items()
    ]
    page = "\n".join(["vllm:prompt_tokens_total 1", "vllm:generation_tokens_total 1", *lines, ""])

    (model,) = models_of(page.encode())

    assert model.requests == {"completed": 7, "aborted": 8, "failed": 16}
    assert model.model == DEFAULT_MODEL


def test_cached_input_ahead_of_the_prompt_is_not_negative_input():
    """Two counters that are not read at one instant never make a counter below 0."""
    page = b"""# a page
vllm:prompt_tokens_total 10
vllm:prompt_tokens_cached_total 12
vllm:generation_tokens_total 1
"""

    (model,) = models_of(page)

    assert (model.input_tokens, model.cached_input_tokens) == (0, 12)


def test_page_without_counters_yet_has_no_models():
    """Counters appear with the first request; until then there are no models, and no error."""
    assert models_of(b"# TYPE vllm:prompt_tokens_total counter\nvllm:num_requests_running 0\n") == ()


@pytest.mark.parametrize("line", ["vllm:prompt_tokens_total 5", "vllm:generation_tokens_total 5"])
def test_half_of_the_counters_is_an_error(line):
    """A page with input but no output, or output but no input, would lose tokens in silence."""
    with pytest.raises(SourceContractError, match="no counter of"):
        models_of(f"{line}\n".encode())


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "0.5"])
def test_counter_that_is_no_count_is_an_error(value):
    """A counter that cannot be a count is not read as one."""
    with pytest.raises(SourceContractError, match="vllm:generation_tokens_total"):
        models_of(f"vllm:prompt_tokens_total 1\nvllm:generation_tokens_total {value}\n".encode())


def test_signals_of_a_single_process():
    """A page of one process tells when the process and its counters began, and keeps to it."""
    signals = [VLLM.signals(samples_of(VLLM, file), {}) for file in sorted(FOLDER.glob("single-*.prom.txt"))]

    assert signals[0] == {"start_time": "1795231552.92", "created": "1795231581.705515"}
    assert signals == signals[:1] * len(signals)


def test_multiprocess_page_tells_nothing_of_its_processes():
    """With several API servers there is neither a start time nor an age."""
    assert VLLM.signals(samples_of(VLLM, FOLDER / "apiservers2-02-mixed.prom.txt"), {}) == {}


def test_new_series_are_no_restart_and_renewed_counters_are():
    """The age is that of the oldest counter: younger ones may join, and it changes when all are renewed."""
    first = 'vllm:prompt_tokens_created{model_name="m"} 1000.5\n'
    more = (
        first + 'vllm:prompt_tokens_created{model_name="a"} 2000.5\nvllm:generation_tokens_created 1001.0\n'
    )
    renewed = more.replace(" 1", " 3")

    ages = [VLLM.signals(read(page.encode()), {})["created"] for page in (first, more, renewed)]

    assert ages[0] == ages[1] != ages[2]


def test_phase_times_are_summed_over_data_parallel_engines():
    """A real page of two engines tells the request-seconds of both, prefill and decode apart."""
    model = only_model(FOLDER / "dp2-02-mixed.prom.txt")

    assert model.prefill_seconds == pytest.approx(0.326036 + 0.286160, abs=1e-5)
    assert model.decode_seconds == pytest.approx(1.135663 + 0.974030, abs=1e-5)


def test_phase_times_that_are_no_seconds_are_not_known():
    """A broken sum of seconds takes no token with it; a page without them does not say zero."""
    broken = V0_PAGE + b'vllm:request_prefill_time_seconds_sum{model_name="m"} NaN\n'
    (model,) = models_of(broken)

    assert (model.input_tokens, model.prefill_seconds, model.decode_seconds) == (70, None, None)
