"""A page is read line by line for the wanted names, and for nothing that is not surely there."""

import json
import math
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from captured import pages
from evenwatt.errors import SourceContractError
from evenwatt.readings.exposition import (
    Sample,
    bounded_text,
    checked_page,
    parse_samples,
    printable,
    token_count,
    whole_gauge,
)

WANTED = frozenset({"tokens_total"})


def read(page, wanted=WANTED):
    """Return the wanted samples of a body."""
    return parse_samples(checked_page(page), wanted)


def refusal(page):
    """Return why a body is refused."""
    with pytest.raises(SourceContractError) as caught:
        read(page)
    return str(caught.value)


def _comparable(sample):
    """Return a sample in a form that equals another one of the same: NaN is not equal to itself."""
    return sample.name, sorted(sample.labels.items()), repr(float(sample.value))


@pytest.mark.parametrize("file", pages(), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_captured_page_is_read_as_the_library_reads_it(file):
    """Every sample of a real page has the labels and the value that prometheus_client finds."""
    page = file.read_bytes()
    library = [
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        # The library renames counters without `_total`; on the page they have another name.
        if re.search(rf"^{sample.name}[ {{]", page.decode(), re.MULTILINE)
    ]

    samples = read(page, frozenset(sample.name for sample in library))

    assert sorted(map(_comparable, library)) == sorted(map(_comparable, samples))


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=5)
SERIES = st.dictionaries(st.tuples(st.text(), st.text()), st.floats(), max_size=5)


@given(st.dictionaries(NAMES, SERIES, max_size=4), st.data())
def test_what_is_rendered_is_read_back(families, data):
    """Any label value and any number come back as they were rendered, of the wanted names only."""
    registry = CollectorRegistry()
    expected = {}
    wanted = frozenset({"never", *data.draw(st.sets(st.sampled_from([*families, "never"])))})
    for name, series in families.items():
        gauge = Gauge(name, "Help with {braces} and \\ and\nlines.", ["one", "two"], registry=registry)
        for (one, two), value in series.items():
            gauge.labels(one, two).set(value)
            if name in wanted:
                expected[name, one, two] = repr(value)

    page = generate_latest(registry) or b"# an empty registry\n"
    samples = read(page, wanted)

    assert expected == {
        (sample.name, sample.labels["one"], sample.labels["two"]): repr(sample.value) for sample in samples
    }


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("tokens_total 5", {}, 5),
        ("tokens_total{} 5", {}, 5),
        ('tokens_total{a="}"} 5', {"a": "}"}, 5),
        ('tokens_total{a="b c",d="{e}",} 5', {"a": "b c", "d": "{e}"}, 5),
        (
            r'tokens_total{a="quote \" slash \\ line \n other \t"} 5',
            {"a": 'quote " slash \\ line \n other \\t'},
            5,
        ),
        ('tokens_total{a="x"} 1.5e+06', {"a": "x"}, 1_500_000),
        ('tokens_total{a="x"} 5 1700000000000', {"a": "x"}, 5),
        ('tokens_total{a="x"} 5 1700000000.25', {"a": "x"}, 5),
        ('tokens_total{a="x"} 5 # {trace="}\\" 9"} 1.0 1700000000.1', {"a": "x"}, 5),
        ('  tokens_total \t{ a = "x" , b="y" } \t 5 ', {"a": "x", "b": "y"}, 5),
        ('tokens_total{a="x"}5', {"a": "x"}, 5),
        ("tokens_total +Inf", {}, math.inf),
        ("tokens_total -7", {}, -7),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_forms_of_a_line(line, labels, value, end):
    """Each form that the format allows is read, with either line end."""
    samples = read(f"# a page{end}{line}{end}other_total 1{end}".encode())

    assert samples == (Sample("tokens_total", labels, value),)


def test_nan_is_read():
    """A NaN is a value of the page; what it means is for the reader of the value."""
    (sample,) = read(b"tokens_total NaN\n")

    assert math.isnan(sample.value)


def test_only_whole_names_are_read():
    """A name that begins or ends with a wanted one is another name, and so is one in a comment or a label."""
    page = b"""# HELP tokens_total tokens_total 1
tokens_total_sum 1
my_tokens_total 2
tokens_total:rate 3
tokens 4
other{a="tokens_total 5"} 6
"""

    assert read(page) == ()


@pytest.mark.parametrize(
    "line",
    [
        "tokens_total",
        "tokens_total ",
        "tokens_total five",
        "tokens_total 1_000",
        "tokens_total 5 soon",
        "tokens_total 5 6 7",
        'tokens_total{a="x" 5',
        'tokens_total{a="x} 5',
        "tokens_total{a=x} 5",
        'tokens_total{="x"} 5',
        'tokens_total{a="x" b="y"} 5',
        'tokens_total{a="x",,b="y"} 5',
        'tokens_total}{a="x"} 5',
        'tokens_total{"a"} 5',
    ],
)
def test_malformed_line_is_an_error_that_names_it(line):
    """A wanted line that cannot be read fails the page, and the message has its number and its text."""
    message = refusal(f"# a page\nother 1\n{line}\nother 2\n".encode())

    assert f"line 3 of the page is '{line}" in message


def test_malformed_line_of_another_name_does_no_harm():
    """What is not wanted is not looked at."""
    assert read(b"# a page\nother{ five\ntokens_total 5\n") == (Sample("tokens_total", {}, 5.0),)


def test_line_in_a_message_is_cut_and_escaped():
    """A hostile line cannot fill or write to a terminal."""
    message = refusal(b"# a page\ntokens_total \x1b[2J" + b"x" * 5000 + b"\n")

    assert "\\x1b[2J" in message
    assert "\x1b" not in message
    assert len(message) < 250


def test_series_listed_twice_is_an_error():
    """Two values of one series cannot both be right, and their sum is wrong."""
    assert "twice" in refusal(b'tokens_total{a="x"} 5\ntokens_total{a="y"} 5\ntokens_total{a="x"} 5\n')


@pytest.mark.parametrize(
    "page",
    [
        b"# a page\ntokens_total 12",
        b"# a page\ntokens_total 1234\nother 5",
        b"# a page\ntokens_total 1234\n# EO",
        b"# a page\ntokens_total 1234\n# TYPE",
    ],
)
def test_page_without_its_end_is_cut_short(page):
    """A page that ends in mid-line is refused: 12 may be the head of 12345."""
    assert "cut short" in refusal(page)


@pytest.mark.parametrize("end", [b"# EOF", b"# EOF\n", b"# EOF\r\n"])
def test_openmetrics_page_ends_with_its_mark(end):
    """The end mark of OpenMetrics may or may not be followed by a line end."""
    assert read(b"# TYPE tokens counter\ntokens_total 5\n" + end) == (Sample("tokens_total", {}, 5.0),)


def test_page_in_a_json_string_is_taken_out():
    """A page that comes as one JSON string is read like any other."""
    page = '# a page\ntokens_total{a="\\"x\\""} 5\n'

    assert read(json.dumps(page).encode()) == (Sample("tokens_total", {"a": '"x"'}, 5.0),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n\n",
        b"<!DOCTYPE html>\n<html></html>\n",
        b'{"error": {"code": 501}}\n',
        b"[]\n",
        b"Ollama is running",
        b"not a page of metrics\n",
        b"\x1f\x8b\x08\x00\x00\n",
        b"\x00\x00\x00\n",
        b"\xff\xfe#\x00\n",
        b'"a JSON string that does not end',
        b'"not a page"',
    ],
)
def test_what_is_no_page_is_refused(body):
    """HTML, JSON, text, bytes and nothing at all are told from a page of metrics."""
    assert "expected Prometheus metrics" in refusal(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    """Whatever comes, there are samples or there is a SourceContractError."""
    try:
        samples = read(b"# a page\ntokens_total" + body, WANTED)
    except SourceContractError:
        return

    assert {sample.name for sample in samples} <= WANTED


def test_label_that_is_not_utf8_is_replaced():
    """Bytes that are no text do not fail the page."""
    assert read(b'tokens_total{a="\xff"} 5\n') == (Sample("tokens_total", {"a": "�"}, 5.0),)


@pytest.mark.parametrize("value", [0.0, 1.0, 1.23457e6, 2.0**53])
def test_whole_numbers_are_counts(value):
    """A count is a whole number from 0 up."""
    assert token_count(Sample("tokens_total", {}, value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.5, 1e300])
def test_other_numbers_are_no_counts(value):
    """What is not a number, infinite, negative, fractional or beyond exactness is refused by name."""
    with pytest.raises(SourceContractError, match="tokens_total"):
        token_count(Sample("tokens_total", {}, value))


def test_gauge_is_summed_over_its_series():
    """Requests of two engines are the requests of both."""
    samples = [Sample("running", {"engine": "0"}, 2.0), Sample("running", {"engine": "1"}, 3.0)]

    assert whole_gauge(samples) == 5


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.nan], [math.inf], [-1.0]])
def test_gauge_that_is_no_count_is_absent(values):
    """A gauge that is not there, or not a count, is None and not 0."""
    assert whole_gauge(Sample("running", {}, value) for value in values) is None


def test_short_names_stay_as_they_are():
    """A name is kept to the last character, whatever it holds."""
    name = 'org/model "x"\n模型' + "a" * 200

    assert bounded_text(name) == name


@given(st.text(alphabet=st.characters(exclude_categories=()), min_size=200, max_size=400))
def test_long_names_are_bounded_and_stay_apart(name):
    """A bounded name has at most 256 characters, is valid UTF-8, and differs where the names differ."""
    bounded = bounded_text(name)

    assert len(bounded) <= 256
    assert bounded.encode()
    assert len(name) <= 256 or bounded != bounded_text(f"{name}!")


@given(st.binary(max_size=1000) | st.text(alphabet=st.characters(exclude_categories=())))
def test_shown_text_is_one_short_line(raw):
    """Foreign bytes and text in a message are printable, valid UTF-8 and at most 120 characters."""
    shown = printable(raw)

    assert len(shown) <= 120
    assert shown == "" or shown.isprintable()
    assert shown.encode().decode() == shown
