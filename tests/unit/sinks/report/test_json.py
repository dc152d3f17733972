"""A report as JSON: as it was looked at, plain throughout, and every name of it documented."""

import json
import re
from pathlib import Path

import pytest
from msgspec import Struct

from evenwatt.sinks.report.json import SHAPE, render_json
from report_examples import EXAMPLES
from report_values import report

DOCUMENT = (Path(__file__).parents[4] / "docs" / "report.md").read_text(encoding="utf-8")


def names_in(value):
    """Yield every name of an object in a document, but for those that are a user's."""
    if isinstance(value, list):
        for item in value:
            yield from names_in(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in {"api_prices", "requests"}:
                yield from names_in(item)
            yield name


@pytest.mark.parametrize("name", ["one-day", "never"])
def test_json(name, matches_golden):
    """The document is as it was looked at."""
    assert matches_golden(f"report-{name}.json", render_json(EXAMPLES[name]()))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_plain_json(name):
    """Strict JSON: no infinity, no number that is none, one object."""
    document = json.loads(render_json(EXAMPLES[name]()), parse_constant=pytest.fail)

    assert document["shape"] == SHAPE
    assert document["verdict"]["sentence"] == EXAMPLES[name]().verdict.sentence


def test_sums_stand_beside_their_parts():
    """Full cost, all tokens, idle cost and the window's length need not be worked out again."""
    document = json.loads(render_json(report()))
    totals = document["totals"]

    assert totals["costs"]["full"] == sum(
        totals["costs"][name] for name in ("hardware", "energy", "labour", "other")
    )
    assert totals["tokens"]["total_tokens"] == 500_000_000
    assert totals["idle_cost"] == 149
    assert document["head"]["window"]["seconds"] == 745 * 3_600
    assert document["days"][0]["date"] == "2026-10-01"


def test_never_is_a_word():
    """An infinite ratio or a payback that never comes is the word, and not a number too large to read."""
    document = json.loads(render_json(report()))

    assert document["week"]["peak"]["ratio"] == "never"
    assert document["comparisons"][0]["payback_months"] == "never"


def test_all_fields_of_the_value_are_in_it():
    """Nothing of the report is left out."""
    example = report()
    document = json.loads(render_json(example))

    assert set(example.__struct_fields__) <= set(document)
    for name in example.__struct_fields__:
        part = getattr(example, name)
        if isinstance(part, Struct):
            assert set(part.__struct_fields__) <= set(document[name])


def test_every_name_is_documented():
    """docs/report.md says of each name in the document what it is."""
    documented = set(re.findall(r"`([a-z_]+)`", DOCUMENT))

    assert set(names_in(json.loads(render_json(report())))) - documented == set()
