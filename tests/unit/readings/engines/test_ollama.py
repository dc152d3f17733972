"""Ollama's own counters, and those of its children, against what its clients were told."""

import json
from itertools import pairwise

import pytest

from captured import CAPTURES, samples_of
from evenwatt.readings.engines.llamacpp import LLAMACPP
from evenwatt.readings.engines.ollama import OLLAMA
from evenwatt.readings.exposition import parse_samples

TRUTH = json.loads((CAPTURES / "ollama" / "truth.json").read_text())


def steps(series):
    """Return each step of a series of which the clients know all: page before, page after, truth."""
    records = TRUTH[series]
    pairs = pairwise(records)
    return [
        (before["file"], after["file"], after["truth_of_this_step"])
        for before, after in pairs
        if after.get("truth_of_this_step") and not after["truth_of_this_step"].get("aborted")
    ]


def sums(adapter, file):
    """Return logical input and output over all models of a captured page."""
    models = adapter.models(samples_of(adapter, CAPTURES / "ollama" / file), "served")
    return (
        sum(m.input_tokens + (m.cached_input_tokens or 0) for m in models),
        sum(m.output_tokens for m in models),
    )


@pytest.mark.parametrize(
    ("adapter", "before", "after", "truth"),
    [
        *((OLLAMA, *step) for step in steps("pr16998")),
        *((LLAMACPP, *step) for step in steps("v0.33.0-rc2-child")),
    ],
)
def test_increase_is_what_the_clients_were_told(adapter, before, after, truth):
    """Prompt and generated tokens grow by what the answers reported, on both kinds of page."""
    (input_before, output_before), (input_after, output_after) = sums(adapter, before), sums(adapter, after)

    assert input_after - input_before == truth["prompt"]
    assert output_after - output_before == truth["completion"]


def test_both_series_have_steps():
    """The captures are there to be compared with."""
    assert len(steps("pr16998")) >= 4
    assert len(steps("v0.33.0-rc2-child")) >= 4


def test_the_other_proposed_names_are_read_too():
    """The names of pull request 18508: logical input with its cached part inside."""
    page = b"""ollama_prompt_tokens_total{model="m"} 70
ollama_prompt_cached_tokens_total{model="m"} 20
ollama_generated_tokens_total{model="m"} 30
ollama_requests_total{model="m"} 4
"""
    (model,) = OLLAMA.models(parse_samples(page, OLLAMA.wanted), "")

    assert (model.input_tokens, model.cached_input_tokens, model.output_tokens) == (50, 20, 30)
    assert model.requests == {"completed": 4}
