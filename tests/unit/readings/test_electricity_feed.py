"""Electricity prices as services give them, from servers of our own."""

import json
import time
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.readings.electricity_feed import FeedSpec, read_quotes
from evenwatt.readings.http import HttpClient
from loopback_servers import PageServer, talking

T0 = 1_800_000_000
"""A whole hour."""

NOW = T0 + 1_234.5
QUARTER = 900


def answered(document, *, status=200, **spec):
    """Return what is read from a server that answers with a document."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with PageServer({"/": (status, {}, body)}) as server:
        return read(FeedSpec(url=f"{server.url}/", **spec))


def read(spec, *, deadline=5.0):
    """Read a feed as of now."""
    client = HttpClient()
    try:
        return read_quotes(client, spec, now_utc_seconds=NOW, deadline_seconds=deadline)
    finally:
        client.close()


def rows(quotes):
    """Return prices as numbers, times from T0."""
    return [(q.start_utc_seconds - T0, q.end_utc_seconds - T0, round(q.price_per_kwh, 6)) for q in quotes]


AWATTAR = {
    "object": "list",
    "data": [
        {
            "start_timestamp": (T0 + 3_600) * 1_000,
            "end_timestamp": (T0 + 7_200) * 1_000,
            "marketprice": -12.5,
        },
        {"start_timestamp": T0 * 1_000, "end_timestamp": (T0 + 3_600) * 1_000, "marketprice": 84.3},
    ],
}
AWATTAR_SPEC = {
    "list_path": "data",
    "start_path": "start_timestamp",
    "end_path": "end_timestamp",
    "price_path": "marketprice",
    "kwh_ratio": 1e-3,
}


def test_a_market_in_milliseconds_and_megawatt_hours():
    """Prices come in order of time, negative ones too; fees go on before taxes."""
    assert rows(answered(AWATTAR, **AWATTAR_SPEC)) == [(0, 3_600, 0.0843), (3_600, 7_200, -0.0125)]
    assert rows(answered(AWATTAR, **AWATTAR_SPEC, add=0.10, multiply=1.2))[0] == (0, 3_600, 0.22116)


def test_quarter_hours_with_offsets_and_no_ends():
    """A price ends where the next one begins, the last after as long as the one before it."""
    moments = [datetime.fromtimestamp(T0 + QUARTER * number, UTC) for number in range(3)]
    entries = [
        {"startsAt": moment.isoformat(), "total": 0.30 + number / 100}
        for number, moment in enumerate(moments)
    ]

    found = answered(
        {"data": {"today": entries}}, list_path="data.today", start_path="startsAt", price_path="total"
    )

    assert rows(found) == [(0, 900, 0.30), (900, 1_800, 0.31), (1_800, 2_700, 0.32)]


def test_lists_side_by_side():
    """Times and prices may stand in lists of their own."""
    document = {"unix_seconds": [T0, T0 + 3_600], "price": [100, 110.5]}

    found = answered(document, start_path="unix_seconds", price_path="price", kwh_ratio=1e-3)

    assert rows(found) == [(0, 3_600, 0.1), (3_600, 7_200, 0.1105)]


def test_a_single_price_of_a_list_holds_for_an_hour():
    """Without an end and a next one nothing says more."""
    found = answered(
        {"list": [{"at": T0, "price": 0.3}]}, list_path="list", start_path="at", price_path="price"
    )

    assert rows(found) == [(0, 3_600, 0.3)]


@pytest.mark.parametrize(
    ("document", "path", "ratio"),
    [({"state": "0.2843"}, "state", 1.0), ({"price": [{"now": 28.43}]}, "price[0].now", 1e-2)],
    ids=["text of home automation", "cents"],
)
def test_one_price_holds_from_its_minute_on(document, path, ratio):
    """A price without times is the price of this minute and of the time until it counts as old."""
    found = answered(document, price_path=path, kwh_ratio=ratio, lasting_seconds=2_700)

    assert rows(found) == [(1_200, 1_200 + 2_700, 0.2843)]


@pytest.mark.parametrize(
    "data",
    [
        {"resultType": "vector", "result": [{"metric": {}, "value": [NOW, "0.31"]}]},
        {"resultType": "scalar", "result": [NOW, "0.31"]},
    ],
    ids=["vector", "scalar"],
)
def test_a_prometheus_query_gives_the_price_now(data):
    """The query goes to the server as it was written, and its one value is the price."""
    query = 'electricity_price{area="DE"} / 100'
    body = json.dumps({"status": "success", "data": data}).encode()
    asked = FeedSpec(url="http://x", query=query).address.removeprefix("http://x")
    with PageServer({asked: (200, {}, body)}) as server:
        found = read(FeedSpec(url=server.url, query=query, lasting_seconds=900))

    assert rows(found) == [(1_200, 2_100, 0.31)]
    assert parse_qs(urlsplit(asked).query) == {"query": [query]}


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        ({"resultType": "vector", "result": []}, SourceUnavailable, "has no series for the query now"),
        (
            {"resultType": "vector", "result": [{"value": [1, "1"]}] * 2},
            SourceContractError,
            "with 2 series; expected one",
        ),
        ({"resultType": "matrix", "result": []}, SourceContractError, "with a matrix; expected one value"),
        (
            {"resultType": "vector", "result": [{"value": [1, "NaN"]}]},
            SourceContractError,
            "'NaN' where a price is expected",
        ),
    ],
    ids=["none", "two", "a range", "no number"],
)
def test_a_query_without_one_price_is_refused(data, kind, text):
    """What Prometheus has to give is one number."""
    body = json.dumps({"status": "success", "data": data}).encode()
    with (
        PageServer({"/api/v1/query?query=price": (200, {}, body)}) as server,
        pytest.raises(kind) as error,
    ):
        read(FeedSpec(url=server.url, query="price"))

    assert text in str(error.value)


def entries(*times_and_prices):
    """Return a list of prices as a document."""
    return {"list": [{"at": at, "price": price} for at, price in times_and_prices]}


LIST = {"list_path": "list", "start_path": "at", "price_path": "price"}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b"<html>garbage</html>", "is no JSON: found '<html>garbage</html>'"),
        (entries(), "has an empty list of prices; see whether it asks for a day"),
        ({"list": {}}, "has no list at list, found '{}'"),
        ({"other": []}, "has nothing at list: list is not in an object with other"),
        (
            entries((T0, 300)),
            "has the price 300, which would be 300 per kWh; expected from -1 to 5. Check unit",
        ),
        (entries((T0, -40)), "has the price -40, which would be -40 per kWh"),
        (entries((T0, None)), "has times without prices"),
        (entries((T0, "\ud800")), r"has '\ud800' where a price is expected"),
        (entries((T0, 10**400)), "where a price is expected"),
        (entries((T0, True)), "has 'True' where a price is expected"),
        (entries((T0, "1e999")), "has '1e999' where a price is expected"),
        (entries((T0, [1])), "has '[1]' where a price is expected"),
        (entries(("yesterday", 0.3)), "has 'yesterday' where a time is expected"),
        (entries((12, 0.3)), "has '12' where a time is expected"),
        (entries((None, 0.3)), "has 'None' where a time is expected"),
        (entries((10**18, 0.3)), "where a time is expected"),
        (entries(("2026-11-25T00:00:00", 0.3)), "without its offset from UTC; expected one, such as +01:00"),
        (entries((T0 + 30, 0.3)), "on; expected a whole minute"),
        (entries((T0, 0.3), (T0, 0.4)), f"has two prices for Unix time {T0}"),
        ({"list": [{"at": T0}]}, "an entry of http://127.0.0.1"),
        (b" " * (2**20 + 1), "sends 1048577 bytes; expected at most 1048576, for a day or two of prices"),
        ({"list": [1] * 20_001}, "has 20001 prices at list; expected 20000 at most"),
    ],
)
def test_what_cannot_be_believed_is_refused_whole(document, text):
    """No price is taken from an answer of which a part is wrong; the fault says what was found."""
    with pytest.raises(SourceContractError) as error:
        answered(document, **LIST)

    assert text in str(error.value)


def test_a_price_that_ends_before_it_begins_is_refused():
    """Times in the wrong order are a wrong path."""
    swapped = {**AWATTAR_SPEC, "start_path": "end_timestamp", "end_path": "start_timestamp"}

    with pytest.raises(SourceContractError, match="before it begins"):
        answered(AWATTAR, **swapped)


def test_prices_for_one_time_are_refused():
    """A price of the day beside those of its hours: which of them holds is not said."""
    day = {"start_timestamp": T0, "end_timestamp": T0 + 86_400, "marketprice": 50.0}
    hour = {"start_timestamp": T0 + 3_600, "end_timestamp": T0 + 7_200, "marketprice": 60.0}

    with pytest.raises(SourceContractError, match="two prices for Unix time") as error:
        answered({"data": [day, hour]}, **AWATTAR_SPEC)

    assert f"ends at Unix time {T0 + 86_400}" in str(error.value)


def test_a_price_that_is_not_known_yet_is_left_out():
    """Services write null for what the auction has not told; what is before it ends where that begins."""
    known = entries((T0, 0.3), (T0 + 3_600, None), (T0 + 7_200, 0.4), (T0 + 10_800, None))

    assert rows(answered(known, **LIST)) == [(0, 3_600, 0.3), (7_200, 10_800, 0.4)]


def test_lists_of_different_lengths_are_refused():
    """A time without its price would shift all that follow."""
    with pytest.raises(SourceContractError, match="lists of different lengths"):
        answered({"t": [T0, T0 + 3_600], "p": [0.3]}, start_path="t", price_path="p")


def test_bounds_can_be_set_for_other_currencies():
    """30 a kWh is a price in yen."""
    assert rows(answered({"p": 30}, price_path="p", highest_per_kwh=100))[0][2] == 30


def test_a_query_that_is_wrong_says_so():
    """Prometheus answers 400 to what it cannot parse."""
    with pytest.raises(SourceContractError, match=r"answered HTTP 400.*check its query"):
        answered({"status": "error"}, status=400, price_path="p")


@pytest.mark.parametrize(
    ("status", "kind"), [(500, SourceContractError), (503, SourceUnavailable), (404, SourceContractError)]
)
def test_a_server_that_fails_is_told_by_its_status(status, kind):
    """The answer of a server in trouble is no price."""
    with pytest.raises(kind, match=f"answered HTTP {status}"):
        answered({"p": 0.3}, status=status, price_path="p")


def test_a_server_that_hangs_is_given_up():
    """The deadline ends the wait."""
    began = time.monotonic()
    with (
        talking(lambda connection: time.sleep(1)) as url,
        pytest.raises(SourceUnavailable, match=r"within 0\.2 s"),
    ):
        read(FeedSpec(url=url, price_path="p"), deadline=0.2)

    assert time.monotonic() - began < 5


def test_no_secret_of_the_address_is_in_a_fault():
    """A token in the query of the address stays out of what is told."""
    with (
        PageServer({"/?token=secret": (200, {}, b"no")}) as server,
        pytest.raises(SourceError) as error,
    ):
        read(FeedSpec(url=f"{server.url}/?token=secret", price_path="p"))

    assert "secret" not in str(error.value)
