"""Lines, cut out of pieces of any size."""

from hypothesis import given
from hypothesis import strategies as st

from evenwatt.proxy.lines import LineCutter


@given(
    st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))),
    st.integers(1, 9),
)
def test_lines_come_out_whole_at_every_piece_size(lines, size):
    """However they are cut, the lines are those that went in, with either line end."""
    data = b"".join(line + (b"\r\n" if number % 2 else b"\n") for number, line in enumerate(lines))
    cutter = LineCutter()

    parts = [part for start in range(0, len(data), size) for part in cutter.feed(data[start : start + size])]

    assert [part.data for part in parts] == lines
    assert all(part.is_end for part in parts)
    assert not list(cutter.end())


@given(st.binary(min_size=1, max_size=300).map(lambda line: line.replace(b"\n", b" ")), st.integers(1, 50))
def test_a_long_line_comes_in_parts_that_make_it_whole(line, size):
    """What is too long to be held is handed on at once, and nothing of it is lost."""
    cutter = LineCutter(most_bytes=16)
    data = line + b"\n"

    parts = [part for start in range(0, len(data), size) for part in cutter.feed(data[start : start + size])]

    assert b"".join(part.data for part in parts) == line.removesuffix(b"\r")
    assert [part.is_end for part in parts] == [False] * (len(parts) - 1) + [True]


def test_a_last_line_without_its_end_comes_at_the_end():
    """A stream may break off, or end without a line break."""
    cutter = LineCutter()

    assert not list(cutter.feed(b"half"))
    assert [part.data for part in cutter.end()] == [b"half"]
