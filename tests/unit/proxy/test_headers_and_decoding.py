"""Headers between two neighbours, targets, and encoded answers."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from evenwatt.proxy.decoding import decoder_for
from evenwatt.proxy.headers import end_to_end, is_websocket, target_of


def proxied(*pairs):
    """Return the headers that go on."""
    return list(end_to_end(CIMultiDictProxy(CIMultiDict(pairs))).items())


def test_headers_between_neighbours_stay_behind():
    """Those of the standard, and those that Connection names; the others keep spelling, order and repeats."""
    kept = [("X-A", "1"), ("set-cookie", "a"), ("Set-Cookie", "b"), ("HOST", "h")]
    left = [("Connection", "close, X-Mine"), ("x-mine", "1"), ("Keep-Alive", "5"), ("TE", "trailers")]
    left += [("Transfer-Encoding", "chunked"), ("Upgrade", "h2c"), ("Proxy-Authorization", "x")]

    assert proxied(*kept[:2], *left, *kept[2:]) == kept


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        ("/a?b=%2F", "/a?b=%2F"),
        ("//a/../b", "//a/../b"),
        ("http://host:1/a?b", "/a?b"),
        ("HTTP://host", "/"),
        ("*", None),
        ("a", None),
        ("ftp://host/a", None),
    ],
)
def test_targets_are_paths(raw, target):
    """As they were written; another server's name in front of them is left out."""
    assert target_of(raw) == target


def test_only_a_websocket_is_an_upgrade():
    """Of all protocols."""
    assert is_websocket({"Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket"})
    assert not is_websocket({"Connection": "Upgrade", "Upgrade": "h2c"})
    assert not is_websocket({"Upgrade": "websocket"})


@given(st.binary(max_size=2_000), st.integers(1, 200), st.sampled_from(["gzip", "deflate", "identity", ""]))
def test_encoded_answers_come_out_as_they_went_in(data, size, encoding):
    """In pieces of any size, gzip members one after another included."""
    encoded = {"gzip": gzip.compress(data) + gzip.compress(data), "deflate": zlib.compress(data)}.get(
        encoding, data
    )
    decoder = decoder_for(encoding)
    assert decoder is not None

    plain = b"".join(
        part for start in range(0, len(encoded), size) for part in decoder.feed(encoded[start : start + size])
    )

    assert plain == (data + data if encoding == "gzip" else data)


def test_a_bomb_is_decoded_in_small_steps_and_given_up():
    """A kilobyte of it is a megabyte; what is looked at in one step and in all is bounded."""
    decoder = decoder_for("gzip")
    assert decoder is not None
    bomb = gzip.compress(bytes(1 << 24))

    assert max(len(part) for part in decoder.feed(bomb)) <= 1 << 16
    with pytest.raises(ValueError, match="more than"):
        list(decoder.feed(bomb * 20))


def test_what_is_no_gzip_is_told():
    """And not raised as a foreign error."""
    decoder = decoder_for("gzip")
    assert decoder is not None

    with pytest.raises(ValueError, match="header"):
        list(decoder.feed(b"no gzip at all"))


def test_an_encoding_that_is_not_known_has_no_decoder():
    """Then the tokens are not known, and the answer goes on as it is."""
    assert decoder_for("compress") is None
