"""Headers between two neighbours, targets, and encoded answers."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenwatt.proxy.decoding import decoder_for
from evenwatt.proxy.headers import Headers, is_websocket, target_of


def headers(**values):
    """Return headers with these names."""
    return Headers([(name.encode(), value.encode()) for name, value in values.items()])


def test_headers_between_neighbours_stay_behind():
    """Those of the standard, and those that Connection names; the others keep spelling, order and repeats."""
    kept = [(b"X-A", b"1"), (b"set-cookie", b"a"), (b"Set-Cookie", b"b"), (b"HOST", b"h")]
    left = [(b"Connection", b"close, X-Mine"), (b"x-mine", b"1"), (b"Keep-Alive", b"5"), (b"TE", b"trailers")]
    left += [(b"Transfer-Encoding", b"chunked"), (b"Upgrade", b"h2c"), (b"Proxy-Authorization", b"x")]

    lines = [b"%b: %b\r\n" % field for field in kept]
    assert Headers([*kept[:2], *left, *kept[2:]]).lines() == lines
    assert Headers(kept).lines() == lines


def test_a_change_stands_where_the_header_stood():
    """Once, in its spelling, whatever Connection says of it; one that was not sent comes last."""
    sent = Headers([(b"HOST", b"a"), (b"X", b"1"), (b"host", b"b"), (b"Expect", b"x"), (b"Connection", b"X")])

    assert sent.lines({b"host": b"c", b"content-length": b"5"}) == [b"HOST: c\r\n", b"Content-Length: 5\r\n"]
    assert sent.lines({b"x": b"2"}) == [b"HOST: a\r\n", b"X: 2\r\n", b"host: b\r\n"]


def test_a_length_goes_on_whatever_connection_says():
    """Without it nobody would know where the body ends; nor may a request lose its host."""
    sent = Headers([(b"Connection", b"content-length, Host"), (b"Content-Length", b"5"), (b"Host", b"h")])

    assert sent.lines() == [b"Content-Length: 5\r\n", b"Host: h\r\n"]


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"/a?b=%2F", b"/a?b=%2F"),
        (b"//a/../b", b"//a/../b"),
        (b"http://host:1/a?b", b"/a?b"),
        (b"HTTP://host", b"/"),
        (b"*", None),
        (b"a", None),
        (b"ftp://host/a", None),
    ],
)
def test_targets_are_paths(raw, target):
    """As they were written; another server's name in front of them is left out."""
    assert target_of(raw) == target


def test_only_a_websocket_is_an_upgrade():
    """Of all protocols."""
    assert is_websocket(headers(Connection="keep-alive, Upgrade", Upgrade="WebSocket"))
    assert not is_websocket(headers(Connection="Upgrade", Upgrade="h2c"))
    assert not is_websocket(headers(Upgrade="websocket"))


@given(st.binary(max_size=2_000), st.integers(1, 200), st.sampled_from(["gzip", "deflate", "identity"]))
def test_encoded_answers_come_out_as_they_went_in(data, size, encoding):
    """In pieces of any size, gzip members one after another included."""
    encoded = {"gzip": gzip.compress(data) + gzip.compress(data), "deflate": zlib.compress(data)}.get(
        encoding, data
    )
    decoder = decoder_for(encoding.encode())
    assert decoder is not None

    plain = b"".join(
        part for start in range(0, len(encoded), size) for part in decoder.feed(encoded[start : start + size])
    )

    assert plain == (data + data if encoding == "gzip" else data)


def test_a_bomb_is_decoded_in_small_steps_and_given_up():
    """A kilobyte of it is a megabyte; what is looked at in one step and in all is bounded."""
    decoder = decoder_for(b"gzip")
    assert decoder is not None
    bomb = gzip.compress(bytes(1 << 24))

    assert max(len(part) for part in decoder.feed(bomb)) <= 1 << 16
    with pytest.raises(ValueError, match="more than"):
        list(decoder.feed(bomb * 20))


def test_what_is_no_gzip_is_told():
    """And not raised as a foreign error."""
    decoder = decoder_for(b"gzip")
    assert decoder is not None

    with pytest.raises(ValueError, match="header"):
        list(decoder.feed(b"no gzip at all"))


def test_an_encoding_that_is_not_known_has_no_decoder():
    """Then the tokens are not known, and the answer goes on as it is."""
    assert decoder_for(b"compress") is None
