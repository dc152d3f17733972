"""llama.cpp's page says in our words what its clients were told."""

import json

import pytest

from captured import CAPTURES, samples_of, truth_steps
from evenwatt.errors import SourceContractError
from evenwatt.readings.exposition import checked_page, parse_samples, whole_gauge
from evenwatt.readings.llamacpp import LLAMACPP

FOLDER = CAPTURES / "llamacpp"
STEPS = [step for series in ("b11434", "b10434") for step in truth_steps("llamacpp", series)]
name_in_models, name_in_props = LLAMACPP.name_paths.values()


def only_model(file):
    """Return the one model of a captured page."""
    (model,) = LLAMACPP.models(samples_of(LLAMACPP, file), "tiny-llama")
    return model


def models_of(page):
    """Return the models of a page."""
    return LLAMACPP.models(parse_samples(checked_page(page), LLAMACPP.wanted), "m")


def test_there_are_steps_with_a_known_truth():
    """The captures are there to be compared with."""
    assert len(STEPS) >= 10


@pytest.mark.parametrize(("before", "after", "truth"), STEPS, ids=lambda value: getattr(value, "stem", None))
def test_increase_is_what_the_clients_were_told(before, after, truth):
    """Between two pages of a real engine, tokens grow by what the answers reported.

    A request for n answers reports the tokens of one of them, all of the same length here.
    """
    earlier, later = only_model(before), only_model(after)
    answers_each = truth["choices"] // truth["requests"]

    cached = later.cached_input_tokens - earlier.cached_input_tokens
    assert cached == truth["cached_tokens"]
    assert later.input_tokens - earlier.input_tokens + cached == truth["prompt_tokens"]
    assert later.output_tokens - earlier.output_tokens == truth["completion_tokens"] * answers_each
    assert later.model == "tiny-llama"
    assert later.requests == {}


def test_request_that_runs_is_shown():
    """The pages read during one long answer show one request running, and none at the end."""
    files = sorted((FOLDER / "inflight").glob("*.prom.txt"))
    running = [whole_gauge(samples_of(LLAMACPP, file), LLAMACPP.running) for file in files]

    assert set(running[1:-1]) == {1}
    assert running[-1] == 0


def test_older_page_does_not_tell_what_was_cached():
    """Without the counter of cached tokens they are unknown, and not 0."""
    (model,) = models_of(b"llamacpp:prompt_tokens_total 10\nllamacpp:tokens_predicted_total 20\n")

    assert (model.input_tokens, model.cached_input_tokens, model.output_tokens) == (10, None, 20)


def test_six_digits_are_a_count():
    """A counter that is printed as a power of ten is read as the whole number it stands for."""
    (model,) = models_of(b"llamacpp:prompt_tokens_total 1.23457e+06\nllamacpp:tokens_predicted_total 1e+07\n")

    assert (model.input_tokens, model.output_tokens) == (1_234_570, 10_000_000)


@pytest.mark.parametrize("line", ["llamacpp:prompt_tokens_total 5", "llamacpp:tokens_predicted_total 5"])
def test_half_of_the_counters_is_an_error(line):
    """A page with input but no output, or output but no input, would lose tokens in silence."""
    with pytest.raises(SourceContractError, match="no counter of"):
        models_of(f"{line}\n".encode())


def test_start_header_is_the_signal():
    """The header is compared as it is; without it the page tells nothing."""
    assert LLAMACPP.signals((), {"Process-Start-Time-Unix": "199945123"}) == {"header": "199945123"}
    assert LLAMACPP.signals((), {}) == {}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"data": [{"id": "org/model.gguf", "owned_by": "llamacpp"}], "object": "list"}, "org/model.gguf"),
        ({"data": [{"id": "a"}, {"id": "b"}]}, None),
        ({"data": []}, None),
        ({"data": [{"id": ""}]}, None),
        ({"data": [{"id": 5}]}, None),
        ({"data": [5]}, None),
        ({"error": {"code": 500}}, None),
        ([], None),
        (None, None),
    ],
)
def test_name_in_the_list_of_models(body, name):
    """The name is the one model's; of several, or of anything else, it is not known."""
    assert name_in_models(json.dumps(body).encode()) == name


@pytest.mark.parametrize(
    "file", sorted((FOLDER / "router").glob("models-*.json")), ids=lambda file: file.stem
)
def test_models_of_a_router_are_not_one_name(file):
    """A router's list names no single model."""
    assert name_in_models(file.read_bytes()) is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"model_alias": "alias", "model_path": "/models/m.gguf"}, "alias"),
        ({"model_path": "/models/m.gguf", "total_slots": 4}, "/models/m.gguf"),
        ({"model_alias": "", "model_path": "/models/m.gguf"}, "/models/m.gguf"),
        ({"model_path": ""}, None),
        ({"total_slots": 4}, None),
    ],
)
def test_name_in_the_properties(body, name):
    """The alias goes before the path; neither is no name."""
    assert name_in_props(json.dumps(body).encode()) == name


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_json_has_no_name(body):
    """Any body is read without an exception."""
    assert name_in_models(body) is None
    assert name_in_props(body) is None


def test_phase_times_of_a_real_page():
    """The seconds of all prompts and of all answers so far."""
    (model,) = LLAMACPP.models(samples_of(LLAMACPP, FOLDER / "b11434-09-idle2.prom.txt"), "tiny-llama")

    assert (model.prefill_seconds, model.decode_seconds) == (0.090858, 0.422179)
