"""LiteLLM's price file: what each model's tokens really cost, idle time included, in USD."""

import json
from contextlib import closing

import pytest
from msgspec.structs import replace

from evenwatt.errors import ExchangeError, OptionError
from evenwatt.service.exchange.exporting import Export
from evenwatt.sinks.history import History
from exported_history import FIRST_DAY, OWNER, settings_for
from sink_fixtures import BOOK, idle, served, tick

USD = 2.0
"""What one unit of the site's currency is worth."""


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def write(path, rows, *, book=BOOK):
    """Write minutes."""
    with closing(History(path, currency="EUR")) as history:
        history.write(tick(rows, book=book))


def prices(path, **asked):
    """Export; return what was told, and the map."""
    output = path.with_suffix(".json")
    values = {"first": None, "last": None, "finest": None, "table": "usage", "labels": (), "account": None}
    told = Export(form="litellm", **{**values, **asked}).write(
        settings_for(path), path, output, lambda _: None
    )
    return told, json.loads(output.read_text())


def charged(price, read, wrote, cached):
    """Return what LiteLLM charges for tokens."""
    return (
        read * price["input_cost_per_token"]
        + cached * price["cache_read_input_token_cost"]
        + wrote * price["output_cost_per_token"]
    )


def test_what_is_charged_on_is_what_it_cost(path):
    """All tokens at their price are the full cost of the span, idle minutes included, in USD."""
    rows = {(FIRST_DAY + 60 * minute, *OWNER): idle() for minute in range(1, 10)}
    write(path, {(FIRST_DAY, *OWNER): served(), **rows})
    _, found = prices(path)
    with closing(History(path, currency="EUR")) as history:
        cost = history.totals().money[OWNER].whole_costs.full

    assert charged(found["small"], 1_000_000, 100_000, 500_000) == pytest.approx(cost * USD)
    assert found["small"]["metadata"]["basis"].startswith("full cost over all tokens alike")


def test_prefill_and_decode_part_input_from_output(path):
    """Where the engine tells the time of both, input and output have prices of their own."""
    write(path, {(FIRST_DAY, *OWNER): served(prefill_seconds=10.0, decode_seconds=30.0)})
    _, found = prices(path)
    with closing(History(path, currency="EUR")) as history:
        cost = history.totals().money[OWNER].whole_costs.full

    price = found["small"]
    assert price["input_cost_per_token"] * 1_000_000 == pytest.approx(cost * USD / 4)
    assert price["output_cost_per_token"] * 100_000 == pytest.approx(cost * USD * 3 / 4)
    assert price["cache_read_input_token_cost"] == 0.0
    assert "prefill and decode" in price["metadata"]["basis"]


def test_a_model_on_two_engines_has_one_price(path):
    """Costs and tokens of both are added up before they are divided."""
    write(
        path,
        {
            (FIRST_DAY, "chat", "small"): served(),
            (FIRST_DAY, "more", "small"): served(read=0, wrote=0, cached=0, output_tokens=100_000),
        },
    )
    _, found = prices(path)
    with closing(History(path, currency="EUR")) as history:
        cost = sum(money.whole_costs.full for money in history.totals().money.values())

    assert charged(found["small"], 1_000_000, 200_000, 500_000) == pytest.approx(cost * USD)


def test_litellm_finds_it_by_both_names_of_a_server(path):
    """A bare name, and that of any server with vLLM's API."""
    write(path, {(FIRST_DAY, *OWNER): served()})
    _, found = prices(path)

    assert {name: entry["litellm_provider"] for name, entry in found.items()} == {
        "small": "openai",
        "hosted_vllm/small": "hosted_vllm",
    }
    assert {entry["mode"] for entry in found.values()} == {"chat"}
    assert found["small"]["metadata"]["from_utc"] == "2026-01-16T00:00:00Z"
    assert found["small"]["metadata"]["currency"] == "EUR"


def test_a_model_whose_cost_is_not_known_is_left_out_and_told(path):
    """A part of a cost is no price; where no model has one, there is no file."""
    unpriced = replace(BOOK, tariff=None)
    write(path, {(FIRST_DAY, "chat", "dark"): served()}, book=unpriced)
    with pytest.raises(ExchangeError, match="no model has both tokens and a cost that is known whole"):
        prices(path)
    assert not path.with_suffix(".json").exists()

    write(path, {(FIRST_DAY + 60, *OWNER): served()})
    told, found = prices(path)

    assert told == ("left out, as their cost is not known whole: dark; evenwatt report says why",)
    assert "dark" not in found


def test_there_is_one_price_for_the_whole_time():
    """By the hour there is none."""
    asked = Export(
        form="litellm", first=None, last=None, finest="hour", table="usage", labels=(), account=None
    )
    with pytest.raises(
        OptionError, match="--by: got hour; --format litellm has one price for the whole time"
    ):
        asked.check(None)
