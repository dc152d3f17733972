"""The way to a value inside a JSON document."""

import pytest

from evenwatt.errors import SourceContractError
from evenwatt.readings.json_path import parse_json, value_at

DOCUMENT = {"data": [{"price": {"total": 0.3}}], "a b": 1, "0": 2}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("data[0].price.total", 0.3), ("data[0].price", {"total": 0.3}), ("a b", 1), ("0", 2)],
)
def test_keys_and_indexes_lead_to_a_value(path, expected):
    """Keys are divided by dots, indexes stand in brackets."""
    assert value_at(DOCUMENT, path, "it") == expected


def test_an_index_alone_leads_into_a_list():
    """A document may be a list itself."""
    assert value_at([[7]], "[0][0]", "it") == 7


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("prices", "it has nothing at prices: prices is not in an object with data, a b, 0; see the path"),
        ("data[1]", "it has nothing at data[1]: [1] is not in a list of 1; see the path"),
        ("data.price", "it has nothing at data.price: price is not in a list of 1; see the path"),
        ("data[0].price.total.now", "now is not in '0.3'; see the path"),
        ("data[0].price[0]", "[0] is not in an object with total; see the path"),
    ],
)
def test_a_way_that_ends_early_says_where(path, text):
    """What is missing is named with what is there."""
    with pytest.raises(SourceContractError) as error:
        value_at(DOCUMENT, path, "it")

    assert text in str(error.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_refused(body):
    """Other text, and nesting without end, is a fault that shows the beginning of what came."""
    with pytest.raises(SourceContractError, match="it is no JSON: found"):
        parse_json(body, "it")
