"""From settings to the price book: every way of having hardware and labour, and what is assumed."""

from datetime import UTC, datetime

import pytest

from config_fixtures import settings_of
from evenwatt.economics.ownership import Owned, OwnedParts, Rented, Sunk
from evenwatt.economics.running import HourlyLabour, MonthlyCost, SalariedLabour, SetupCost
from evenwatt.economics.tariffs import price_per_kwh_at
from evenwatt.service.pricing import all_assumptions, price_book
from evenwatt.sinks.history import PriceRow
from sink_fixtures import HOUR, rule

CARD = "NVIDIA GeForce RTX 3090"
UNKNOWN = "NVIDIA Something 9999"


def book_of(text, *, prices=(), gpu_names=()):
    """Return the price book of a configuration."""
    return price_book(settings_of(text), prices, gpu_names)


@pytest.mark.parametrize(
    ("written", "hardware"),
    [
        ("{mode: sunk}", Sunk()),
        ("{mode: rented_always_on, rent_per_hour: 3.2}", Rented(rent_per_hour=3.2)),
        ("{mode: rented_active, rent_per_hour: 3.2}", Rented(rent_per_hour=3.2, is_active_only=True)),
        ("{mode: rented_always_on, rent_per_month: 73}", Rented(rent_per_hour=0.1)),
        ("{purchase_price: 2800}", Owned(purchase_price=2800.0, lifetime_years=3.0)),
        (
            "{purchase_price: 2800, lifetime_years: 4, residual_value: 300, maintenance_per_year: 0.05}",
            Owned(purchase_price=2800.0, lifetime_years=4.0, residual_value=300.0, maintenance_per_year=0.05),
        ),
        (
            (
                "{parts: [{name: a, purchase_price: 4000, lifetime_years: 5, purchased: 1970-01-02},"
                " {name: b, purchase_price: 3600, residual_value: 400, maintenance_per_year: 0.1}]}"
            ),
            OwnedParts(
                parts=(
                    Owned(
                        name="a", purchase_price=4000.0, lifetime_years=5.0, purchased_utc_seconds=86_400.0
                    ),
                    Owned(
                        name="b",
                        purchase_price=3600.0,
                        lifetime_years=3.0,
                        residual_value=400.0,
                        maintenance_per_year=0.1,
                    ),
                )
            ),
        ),
        ("{mode: sunk, parts: [{name: a, purchase_price: 4000}]}", Sunk()),
        ("{}", None),
    ],
)
def test_every_way_of_having_hardware(written, hardware):
    """Each mode of the configuration becomes its own kind of ownership; without a price there is none."""
    assert book_of(f"timezone: UTC\nhardware: {written}").hardware == hardware


def test_months_of_720_hours_make_a_dearer_hour():
    """A monthly rent is spread over the month that the configuration names."""
    book = book_of("month_hours: 720\nhardware: {mode: rented_always_on, rent_per_month: 72}")

    assert book.hardware == Rented(rent_per_hour=0.1)


def test_a_lifetime_begins_with_the_day_at_the_site():
    """The first day of the lifetime begins at midnight of the site's time zone."""
    book = book_of("timezone: Europe/Berlin\nhardware: {purchase_price: 2800, purchased: 2026-07-01}")

    began = datetime(2026, 6, 30, 22, tzinfo=UTC).timestamp()
    assert book.hardware.purchased_utc_seconds == began


def test_setting_up_begins_with_its_day_at_the_site():
    """The cost is spread from midnight of the site's time zone on; without the section there is none."""
    book = book_of("timezone: Europe/Berlin\nsetup: {cost: 1500, spread_months: 24, begins: 2026-07-01}")
    begins = datetime(2026, 6, 30, 22, tzinfo=UTC).timestamp()

    assert book.setup == SetupCost(cost=1500.0, spread_months=24.0, begins_utc_seconds=begins)
    assert book_of("").setup is None


def test_a_fee_by_the_kwh_is_no_fixed_cost():
    """What follows the energy stands on its price, and not among what accrues with time."""
    book = book_of("electricity: {price_per_kwh: 0.3}\nother: [{name: grid fee, per_kwh: 0.08}]")

    assert book.other == ()
    assert price_per_kwh_at(book.tariff, HOUR) == pytest.approx(0.38)


@pytest.mark.parametrize(
    ("gpu_names", "price"),
    [([CARD], 1499.0), ([CARD, CARD], 2998.0), ([CARD, UNKNOWN], None), ([UNKNOWN], None), ([], None)],
)
def test_hardware_that_nobody_wrote_is_taken_from_the_names(gpu_names, price):
    """Presets add up over all GPUs; one that is not known makes the machine's price unknown."""
    hardware = book_of("", gpu_names=gpu_names).hardware

    assert (None if hardware is None else hardware.purchase_price) == price


def test_presets_are_converted_from_usd():
    """Presets are in USD; the book is in the site's currency."""
    book = book_of("currency: EUR\nusd_rate: {rate: 0.5, date: 2026-11-01}", gpu_names=[CARD])

    assert book.hardware.purchase_price == 749.5


@pytest.mark.parametrize(
    ("written", "labour"),
    [
        ("", None),
        ("labour: {fte: 0.2, salary_per_year: 150000}", SalariedLabour(fte=0.2, salary_per_year=150_000.0)),
        (
            "labour: {hours_per_month: 8, rate_per_hour: 90}",
            HourlyLabour(hours_per_month=8.0, rate_per_hour=90.0),
        ),
    ],
)
def test_labour_in_each_form(written, labour):
    """A share of a salary, hours at a rate, or nobody's time."""
    assert book_of(written).labour == labour


def test_what_else_is_in_the_book():
    """Tariff with PUE, other costs, and rules for models come as they are written."""
    book = book_of(
        """
        electricity: {price_per_kwh: 0.25, pue: 1.4}
        other: [{name: colocation, per_month: 120}]
        references: [{name: flat, input: 1, output: 5}]
        models: {"llama-*": {references: [flat], token_ratio: 1.1}}
        """
    )

    assert price_per_kwh_at(book.tariff, HOUR) == 0.25
    assert book.tariff.pue == 1.4
    assert book.other == (MonthlyCost(name="colocation", per_month=120.0),)
    assert book.rules == (rule("llama-*", references=("flat",), token_ratio=1.1),)


def test_only_configured_references_are_in_the_book():
    """Accepted prices of references that are no longer wanted stay out; the others are converted."""
    row = PriceRow(
        reference="flat",
        valid_from_utc_seconds=0.0,
        accepted_utc_seconds=0.0,
        input_usd_per_mtok=2.0,
        cached_input_usd_per_mtok=None,
        output_usd_per_mtok=4.0,
        source="configuration",
        batch_input_usd_per_mtok=1.0,
        batch_output_usd_per_mtok=2.0,
    )
    text = """
        currency: EUR
        usd_rate: {rate: 0.5, date: 2026-11-01}
        references: [{name: %s, input: 2, output: 4}]
    """
    (reference,) = book_of(text % "flat", prices=[row]).references

    assert (reference.input_per_mtok, reference.output_per_mtok) == (1.0, 2.0)
    assert (reference.batch_input_per_mtok, reference.batch_output_per_mtok) == (0.5, 1.0)
    assert reference.cached_input_per_mtok is None
    assert book_of(text % "other", prices=[row]).references == ()


@pytest.mark.parametrize(
    ("gpu_names", "words"),
    [
        ([CARD], "assumed to have cost 1,499 USD"),
        ([CARD, CARD], "assumed to have cost 2,998 USD"),
        ([UNKNOWN, CARD], f"not known (no price is known for {UNKNOWN})"),
        ([], "not known (there is no GPU to go by)"),
    ],
)
def test_assumed_hardware_is_told_by_the_gpus_there_are(gpu_names, words):
    """The assumption says what is taken for the hardware here, or that its cost is not known."""
    (told,) = [a for a in all_assumptions(settings_of(""), gpu_names) if a.setting == "hardware"]

    assert words in told.text
    assert "purchase_price: PRICE" in told.line_to_write


def test_what_is_written_is_not_assumed():
    """A hardware price of one's own needs no assumption."""
    told = all_assumptions(settings_of("hardware: {purchase_price: 1, lifetime_years: 3}"), [UNKNOWN])

    assert not [a for a in told if a.setting.startswith("hardware")]


def test_the_cache_write_surcharge_is_a_setting():
    """It is left out of bills unless it is asked for."""
    assert not book_of("").has_cache_write_surcharge
    assert book_of("prices: {cache_write_surcharge: true}").has_cache_write_surcharge
