"""The scanner of top-level keys: what json finds, in pieces of any size."""

import json

from hypothesis import given
from hypothesis import strategies as st

from evenwatt.proxy.scanner import TOO_LONG, ObjectScanner, scanned

WANTED = frozenset({("usage",), ("model",), ("response", "usage")})

TEXT = st.text(st.sampled_from('ab"\\{}[]:, \né€'), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["usage", "model", "response", "a", 'q"\\', "é"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["usage", "model", "response", "x", "[{"]), JSON, max_size=5)


def fed(data, size, **options):
    """Return a scanner that was fed with pieces of one size."""
    scanner = ObjectScanner(WANTED, **options)
    for start in range(0, len(data), size):
        scanner.feed(data[start : start + size])
    return scanner


def expected_of(document):
    """Return what json finds at the wanted paths."""
    found = {(key,): document[key] for key in ("usage", "model") if key in document}
    inner = document.get("response")
    if isinstance(inner, dict) and "usage" in inner:
        found["response", "usage"] = inner["usage"]
    return found


@given(OBJECTS, st.integers(1, 40), st.booleans(), st.booleans())
def test_it_finds_what_json_finds_at_every_piece_size(document, size, ascii_only, is_wide):
    """Any object, cut anywhere, compact or spread out: the same values as the parser of the library."""
    data = json.dumps(document, ensure_ascii=ascii_only, indent=2 if is_wide else None).encode()

    scanner = fed(data, size)

    assert scanner.is_complete
    assert scanner.values == expected_of(document)


@given(OBJECTS, st.integers(1, 40))
def test_spans_lead_to_the_values(document, size):
    """What stands between the offsets of a span is the value, and the key stands at its own offset."""
    data = json.dumps(document).encode()

    scanner = fed(data, size, needs_spans=True)

    assert scanner.values == expected_of(document)
    assert scanner.spans.keys() == scanner.values.keys()
    for path, span in scanner.spans.items():
        assert json.loads(data[span.value : span.end]) == scanner.values[path]
        assert data[span.key :].startswith(json.dumps(path[-1]).encode())


@given(st.binary(max_size=200), st.integers(1, 40))
def test_no_bytes_at_all_break_it(data, size):
    """Bytes that are no JSON are told as such, or wait for more; nothing is raised."""
    scanner = fed(b"{" + data, size)

    assert isinstance(scanner.values, dict)


def test_the_last_of_equal_keys_holds():
    """As in every parser of engines and clients."""
    assert scanned(b'{"model":"a","model":"b"}', WANTED)[("model",)] == "b"


def test_a_value_too_long_to_hold_is_told_as_such():
    """It is there, and what it is nobody needs."""
    scanner = fed(b'{"model":"' + b"x" * 200 + b'","usage":1}', 7, most_bytes=100)

    assert scanner.values == {("model",): TOO_LONG, ("usage",): 1}


def test_an_array_is_no_object():
    """An answer that is a list has no usage."""
    scanner = fed(b' [{"usage": 1}]', 3)

    assert scanner.is_broken
    assert not scanner.values


def test_ten_megabytes_of_numbers_before_the_usage_are_skipped():
    """The usage of a large embedding stands at its end."""
    vector = b",".join([b"-0.012345678"] * 800_000)

    scanner = fed(b'{"data":[{"embedding":[' + vector + b']}],"usage":{"prompt_tokens":7}}', 1 << 16)

    assert scanner.values == {("usage",): {"prompt_tokens": 7}}
