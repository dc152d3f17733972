"""What sections are made of: every kind of fault at once, at its place, and none that another one causes."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import pytest

from evenwatt.config.parsers import number, one_of
from evenwatt.config.refusals import KeyPath, Misfit, Refused
from evenwatt.config.rules import apart, at_least_one, at_most
from evenwatt.config.section import Section

_Number = Annotated[float, number(at_least=0, at_most=9)]


class Inner(Section, frozen=True, kw_only=True):
    """Two numbers in their order."""

    low: _Number
    high: _Number = 9.0

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.low > self.high:
            yield ("high",), "below low"


class Outer(Section, frozen=True, kw_only=True):
    """One of each kind of value."""

    word: Annotated[str, one_of("a", "b")] = "a"
    inner: Inner | None = None
    listed: Annotated[tuple[Inner, ...], at_most(2), apart("low")] = ()
    named: Mapping[Annotated[str, one_of("x", "y")], _Number] | None = None
    some: Annotated[tuple[_Number, ...], at_least_one("at least one number")] = (1.0,)

    @classmethod
    def _faults_between(cls, right) -> Iterator[tuple[KeyPath, str]]:
        if right.get("word") == "b" and right.get("inner") is None and "inner" in right:
            yield ("inner",), "missing with b"


def misfits(values) -> set[tuple[KeyPath, str]]:
    """Return what is wrong with the values of an outer section."""
    with pytest.raises(Refused) as refused:
        Outer.parsed(values)
    return {(misfit.path, misfit.text) for misfit in refused.value.misfits}


def test_what_is_written_is_told_from_what_holds_without():
    """Also where somebody wrote just that; a key without a value is not written."""
    outer = Outer.parsed({"word": "a", "inner": {"low": "1"}, "named": None})

    assert outer.written == {"word", "inner"}
    assert outer.inner.written == {"low"}
    assert (outer.inner.low, outer.inner.high, outer.some, outer.named) == (1.0, 9.0, (1.0,), None)


@pytest.mark.parametrize(
    ("values", "path", "text"),
    [
        ({"word": "c"}, ("word",), "a or b"),
        ({"wurd": "a"}, ("wurd",), "unknown key; did you mean word?"),
        ({"q": None}, ("q",), "unknown key; known here: word, inner, listed, named, some"),
        ({"inner": "x"}, ("inner",), "a mapping"),
        ({"inner": {}}, ("inner", "low"), "missing; this key has to be written here"),
        ({"inner": {"low": 5, "high": 4}}, ("inner", "high"), "below low"),
        ({"listed": {"low": 1}}, ("listed",), "a list"),
        ({"listed": [{"low": 1}, {"low": 10}]}, ("listed", 1, "low"), "a number from 0 to 9"),
        ({"listed": [{"low": n} for n in range(3)]}, ("listed",), "got 3 entries, expected at most 2"),
        (
            {"listed": [{"low": 1}, {"low": 1}]},
            ("listed", 1, "low"),
            "got 1.0, the same as an earlier one; keep one of them",
        ),
        ({"named": ["x"]}, ("named",), "a mapping"),
        ({"named": {"x": "-1"}}, ("named", "x"), "a number from 0 to 9"),
        ({"named": {"z": 1}}, ("named",), "got a name that begins with 'z', expected x or y"),
        ({"some": []}, ("some",), "got an empty list, expected at least one number"),
        ({"word": "b"}, ("inner",), "missing with b"),
    ],
)
def test_each_fault_has_its_place(values, path, text):
    """One thing wrong is one fault."""
    assert misfits(values) == {(path, text)}


def test_all_faults_are_told_at_once():
    """Those of values, of lists, and those between values that are right."""
    found = misfits(
        {
            "word": "b",
            "listed": [{"low": 1, "lou": 2}, {}],
            "named": {"x": "y", "z": 1},
            "some": [1, "z"],
        }
    )

    assert found == {
        (("listed", 0, "lou"), "unknown key; did you mean low?"),
        (("listed", 1, "low"), "missing; this key has to be written here"),
        (("named", "x"), "a number from 0 to 9"),
        (("named",), "got a name that begins with 'z', expected x or y"),
        (("some", 1), "a number from 0 to 9"),
        (("inner",), "missing with b"),
    }


def test_one_fault_causes_no_second_one():
    """A misspelt key is not missing as well, and a rule waits for all of what it compares."""
    assert misfits({"inner": {"luw": 1}}) == {(("inner", "luw"), "unknown key; did you mean low?")}
    assert misfits({"inner": {"low": 5, "high": -1}}) == {(("inner", "high"), "a number from 0 to 9")}
    assert misfits({"word": "b", "inner": []}) == {(("inner",), "a mapping")}
    assert misfits({"word": "b", "iner": {"low": 1}}) == {(("iner",), "unknown key; did you mean inner?")}


def test_a_refusal_says_whether_what_was_found_is_to_be_shown():
    """Of a single value all, of a wrong shape only which it is, of a finished text nothing."""
    with pytest.raises(Refused) as refused:
        Outer.parsed({"word": "c", "inner": [], "some": []})

    assert refused.value.misfits == (
        Misfit(path=("word",), text="a or b", got="value"),
        Misfit(path=("inner",), text="a mapping", got="shape"),
        Misfit(path=("some",), text="got an empty list, expected at least one number"),
    )
