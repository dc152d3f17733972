"""What the configuration and the catalogue say of API prices, as rows that could be accepted."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from config_fixtures import settings_of
from evenwatt.readings.api_rates import DatedRates, FetchedRates, Rates, ReferenceRates
from evenwatt.service.api_prices.quotes import (
    ALWAYS,
    asked_references,
    fetched_prices,
    offered_prices,
    reference_price,
    unknown_references,
    written_prices,
)

HISTORY = "history: {path: %s}\n"


def rates(input_usd, output_usd=5, cached_usd=None, write_usd=None):
    """Return exact rates."""
    return Rates(
        input_usd_per_mtok=None if input_usd is None else Decimal(input_usd),
        output_usd_per_mtok=None if output_usd is None else Decimal(output_usd),
        cached_input_usd_per_mtok=None if cached_usd is None else Decimal(cached_usd),
        cache_write_usd_per_mtok=None if write_usd is None else Decimal(write_usd),
    )


def looked_up(*entries, within_day=(), model="large", fetched_on=None):
    """Return what the catalogue says of a model, by (day, standard, batch)."""
    dated = tuple(DatedRates(valid_from=day, standard=one, batch=batch) for day, one, batch in entries)
    return ReferenceRates(
        provider="acme",
        model=model,
        at=datetime(2026, 11, 20, tzinfo=UTC),
        catalogue_model=model,
        catalogue_version="0.2.3",
        standard=dated[-1].standard,
        batch=dated[-1].batch,
        rates_within_day=within_day or (dated[-1].standard,),
        entries=dated,
        fetched_on=fetched_on,
    )


def test_written_prices_hold_for_all_time_where_no_day_is_written():
    """A price written once has no day of its own."""
    settings = settings_of(
        "references: [openai:gpt-4o-mini, {name: flat, input: 1, cached_input: 0.1, output: 5}]"
    )
    (prices,) = written_prices(settings)
    (row,) = prices.rows

    assert (prices.reference, prices.is_dated, prices.begin_utc_seconds) == ("flat", False, ALWAYS)
    assert (row.input_usd_per_mtok, row.cached_input_usd_per_mtok, row.output_usd_per_mtok) == (1.0, 0.1, 5.0)
    assert (row.source, row.accepted_by) == ("configuration", "configuration")


def test_written_prices_have_their_days_in_the_sites_time_zone():
    """A price from the first of July on holds from midnight in Berlin, two hours before that of UTC."""
    settings = settings_of(
        """
        timezone: Europe/Berlin
        references:
          - name: flat
            prices:
              - {valid_from: 2026-01-01, input: 1, output: 5}
              - {valid_from: 2026-07-01, input: 0.8, output: 4, cache_write: 1, batch_input: 0.4,
                 batch_output: 2, batch_cached_input: 0.1}
        """
    )
    (prices,) = written_prices(settings)
    first, second = prices.rows

    assert prices.is_dated
    assert first.valid_from_utc_seconds == datetime(2025, 12, 31, 23, tzinfo=UTC).timestamp()
    assert second.valid_from_utc_seconds == datetime(2026, 6, 30, 22, tzinfo=UTC).timestamp()
    assert (second.cache_write_usd_per_mtok, second.batch_input_usd_per_mtok) == (1.0, 0.4)
    assert (second.batch_output_usd_per_mtok, second.batch_cached_input_usd_per_mtok) == (2.0, 0.1)


def test_the_catalogue_is_asked_for_what_is_not_written_for_all_time():
    """A catalogue's model with own prices from a day on needs the catalogue's before that day."""
    settings = settings_of(
        """
        references:
          - acme:small
          - {name: "acme:large", input: 1, output: 5, valid_from: 2026-07-01}
          - {name: "acme:huge", input: 1, output: 5}
          - {name: negotiated, input: 1, output: 5, valid_from: 2026-07-01}
        """
    )

    assert [reference.name for reference in asked_references(settings)] == ["acme:small", "acme:large"]


def test_the_catalogue_answers_for_what_it_knows(tmp_path):
    """Known references have prices under the names that they are configured by; the others a fault."""
    settings = settings_of(
        HISTORY % (tmp_path / "history.db")
        + "references: [anthropic:claude-haiku-4-5, openai:gpt-4o-mino, nobody:nothing]"
    )
    offered = fetched_prices(settings)
    (quote,) = offered.quotes

    assert quote.reference == "anthropic:claude-haiku-4-5"
    assert quote.present.input_usd_per_mtok == 1.0
    assert quote.present.cache_write_usd_per_mtok == 1.25
    assert quote.present.source.startswith("genai-prices ")
    assert [row.batch_input_usd_per_mtok for row in quote.entries] == [None, 0.5]
    assert len(offered.faults) == 2
    assert "gpt-4o-mini" in offered.faults[0]


def test_a_written_price_needs_no_catalogue_to_know_it():
    """What has prices from a day on may be unknown to the catalogue, without a fault."""
    settings = settings_of('references: [{name: "acme:large", input: 1, output: 5, valid_from: 2026-07-01}]')

    assert fetched_prices(settings).faults == ()
    assert unknown_references(settings) == ()


def test_without_catalogue_references_nobody_is_asked():
    """Written prices need no catalogue."""
    offered = fetched_prices(settings_of("references: [{name: flat, input: 1, output: 5}]"))

    assert (offered.quotes, offered.faults) == ((), ())


def test_a_price_that_varies_within_the_day_says_so():
    """Where the catalogue has prices by the hour, the row tells that it holds the one of this hour."""
    by_hour, flat = fetched_prices(
        settings_of("references: ['deepseek:deepseek-v4-pro', 'anthropic:claude-haiku-4-5']")
    ).quotes

    assert "varies within the day" in by_hour.present.source
    assert len(by_hour.within_day) > 1
    assert "varies" not in flat.present.source
    assert flat.within_day[0].input_usd_per_mtok == flat.present.input_usd_per_mtok


def test_a_quote_has_the_days_of_the_catalogue():
    """Entries are dated at midnight UTC, the first for all time; batch rates are of their own entry."""
    found = looked_up(
        (None, rates("10", "40", "0.5"), None),
        (date(2025, 6, 10), rates("2", "8", "0.5", "2.5"), rates("1", "4")),
        fetched_on=date(2026, 11, 19),
    )
    (quote,) = offered_prices(FetchedRates(rates=(found,), faults=()), settings_of("")).quotes
    first, second = quote.entries

    assert (first.valid_from_utc_seconds, first.input_usd_per_mtok) == (ALWAYS, 10.0)
    assert second.valid_from_utc_seconds == datetime(2025, 6, 10, tzinfo=UTC).timestamp()
    assert (second.batch_input_usd_per_mtok, second.batch_cached_input_usd_per_mtok) == (1.0, None)
    assert second.source == "genai-prices 0.2.3 fetched 2026-11-19"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (rates(None, None), "has no price per token"),
        (rates("1", None), "not known is not free"),
    ],
    ids=["none at all", "no output price"],
)
def test_half_a_price_is_a_fault(found, said):
    """What has no price per token, or none for its output, cannot be compared with, and is told."""
    offered = offered_prices(
        FetchedRates(rates=(looked_up((None, found, None)),), faults=()), settings_of("")
    )

    assert offered.quotes == ()
    assert said in offered.faults[0]


def test_rates_become_the_sites_currency_in_one_place():
    """All rates of a row are converted, and its tiers, at one rate."""
    (quote,) = fetched_prices(settings_of("references: ['google:gemini-2.5-pro']")).quotes
    price = reference_price(quote.present, 0.5)

    assert (price.input_per_mtok, price.batch_output_per_mtok) == (0.625, 2.5)
    assert (price.tiers[0].above_input_tokens, price.tiers[0].output_per_mtok) == (200_000, 7.5)
