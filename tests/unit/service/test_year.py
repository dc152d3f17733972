"""A year of history costs what a plain walk over its minutes says, worked out here and nowhere else.

2028: a leap day, both changes of the clock, two changes of the electricity price, time bands with weekdays
and holidays, a server whose life ends in April, GPUs bought in June, setting up paid off in September.
"""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from config_fixtures import settings_of
from evenwatt.ledger import HostUse, Posting, Usage
from evenwatt.service.billing import priced
from evenwatt.service.pricing import price_book
from evenwatt.sinks.history import History

BERLIN = ZoneInfo("Europe/Berlin")
QUARTER = 900
BEGIN = datetime(2028, 1, 1, tzinfo=BERLIN)
END = datetime(2029, 1, 1, tzinfo=BERLIN)
KEY = ("chat", "small")
SETTINGS = """
    timezone: Europe/Berlin
    currency: EUR
    usd_rate: {rate: 0.9, date: 2028-01-01}
    electricity:
      pue: 1.2
      prices:
        - price_per_kwh: 0.30
        - valid_from: 2028-02-29
          price_per_kwh: 0.36
          bands:
            - {name: rest, days: [sat, sun, holiday], price_per_kwh: 0.25}
            - {name: night, start: "22:30", end: "06:15", price_per_kwh: 0.20}
        - valid_from: 2028-10-01
          price_per_kwh: 0.40
      holidays: {dates: [2028-04-14, 2028-04-17, 2028-05-01, 2028-10-03]}
    hardware:
      parts:
        - {name: server, purchase_price: 8760, lifetime_years: 2, purchased: 2026-05-01}
        - {name: gpus, purchase_price: 3504, lifetime_years: 4, residual_value: 876, purchased: 2028-06-01,
           maintenance_per_year: 0.1}
    labour: {hours_per_month: 7.3, rate_per_hour: 50}
    setup: {cost: 1460, spread_months: 8, begins: 2028-01-15}
    other:
      - {name: rack, per_month: 73}
      - {name: grid fee, per_kwh: 0.05}
"""


def watts_at(local):
    """Return what the machine draws: more by day, and more from month to month."""
    return (900 if 8 <= local.hour < 20 else 200) + 10 * local.month


def usage_of(local):
    """Return a quarter hour of history; by night the model only sits in memory."""
    joules = float(watts_at(local) * QUARTER)
    if 8 <= local.hour < 20:
        return Usage(active_joules=joules, active_seconds=float(QUARTER), output_tokens=1_000)
    return Usage(idle_loaded_joules=joules, idle_loaded_seconds=float(QUARTER))


def price_at(local):
    """Return the price of a kWh by the calendar on the wall."""
    if local.date() < date(2028, 2, 29):
        return 0.30
    if local.date() >= date(2028, 10, 1):
        return 0.40
    holidays = {date(2028, 4, 14), date(2028, 4, 17), date(2028, 5, 1), date(2028, 10, 3)}
    if local.weekday() >= 5 or local.date() in holidays:
        return 0.25
    clock = (local.hour, local.minute)
    if clock >= (22, 30):
        return 0.20
    return 0.20 if clock < (6, 15) else 0.36


def bill_of_the_year():
    """Return hardware, energy, labour and other of the year, minute by minute, and all of it while idle."""
    server_ends = datetime(2026, 5, 1, tzinfo=BERLIN).timestamp() + 2 * 8_760 * 3_600
    gpus_begin = datetime(2028, 6, 1, tzinfo=BERLIN).timestamp()
    setup_begins = datetime(2028, 1, 15, tzinfo=BERLIN).timestamp()
    hardware = energy = labour = other = idle = 0.0
    for moment in range(int(BEGIN.timestamp()), int(END.timestamp()), 60):
        local = datetime.fromtimestamp(moment, BERLIN)
        kwh = watts_at(local) * 60 * 1.2 / 3.6e6
        minute = (
            (0.5 if moment < server_ends else 0.0) / 60 + (0.115 if moment >= gpus_begin else 0.0) / 60,
            kwh * (price_at(local) + 0.05),
            (0.5 + (0.25 if 0 <= moment - setup_begins < 8 * 730 * 3_600 else 0.0)) / 60,
            0.1 / 60,
        )
        hardware, energy, labour, other = (
            whole + part for whole, part in zip((hardware, energy, labour, other), minute, strict=True)
        )
        idle += 0.0 if 8 <= local.hour < 20 else sum(minute)
    return hardware, energy, labour, other, idle


def postings():
    """Yield the year in quarter hours, as the ledger books what nobody watched minute by minute."""
    moment, end = int(BEGIN.timestamp()), int(END.timestamp())
    usage, hosts = {}, {}
    while moment < end:
        local = datetime.fromtimestamp(moment, BERLIN)
        usage[(moment, *KEY)] = usage_of(local)
        hosts[moment] = HostUse(seconds=float(QUARTER), down_seconds=0.0)
        moment += QUARTER
        if len(hosts) == 3_000 or moment == end:
            yield Posting(usage=usage, hosts=hosts, gpus={})
            usage, hosts = {}, {}


def test_a_year_of_history_costs_what_its_minutes_cost(tmp_path):
    """Every component of the year's bill is the sum over 527,040 minutes, each at what held when it began."""
    book = price_book(settings_of(SETTINGS), (), ())
    with closing(History(tmp_path / "history.db", currency="EUR")) as history:
        for posting in postings():
            history.write(priced(posting, book))
        money = history.totals().money[KEY]
        seconds = history.totals().host.seconds
    hardware, energy, labour, other, idle = bill_of_the_year()

    assert seconds == timedelta(days=366).total_seconds()
    assert money.hardware == pytest.approx(hardware, rel=1e-9)
    assert money.energy == pytest.approx(energy, rel=1e-9)
    assert money.labour == pytest.approx(labour, rel=1e-9)
    assert money.other == pytest.approx(other, rel=1e-9)
    assert money.unpriced_joules is None
    assert money.idle_loaded == pytest.approx(idle, rel=1e-9)


def test_the_clock_of_that_year_is_set_twice():
    """The year of the test has what it says: 366 days, of which one has 23 hours and one has 25."""
    days = [date(2028, 1, 1) + timedelta(days=number) for number in range(366)]
    lengths = [_seconds_of(day) for day in days]

    assert sorted(set(lengths)) == [23 * 3_600, 24 * 3_600, 25 * 3_600]
    assert lengths.count(23 * 3_600) == lengths.count(25 * 3_600) == 1
    assert date(2028, 2, 29) in days


def _seconds_of(day):
    begin, end = (
        datetime(at.year, at.month, at.day, tzinfo=BERLIN).astimezone(UTC)
        for at in (day, day + timedelta(days=1))
    )
    return (end - begin).total_seconds()
