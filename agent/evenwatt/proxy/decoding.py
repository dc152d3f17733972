"""Decodes a copy of a compressed answer, in steps that are bounded however well it is compressed."""

import zlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

__all__ = ["Decoder", "decoder_for"]

_STEP_BYTES = 1 << 16
_MOST_BYTES = 1 << 28
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class Decoder(Protocol):
    """Turns encoded pieces into plain ones."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what can be decoded now.

        Raises:
            ValueError: It cannot be decoded, or is more than is looked at.
        """


class _Plain:
    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield piece


class _Zlib:
    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._seen_bytes = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        try:
            while piece:
                plain = self._decompressor.decompress(piece, _STEP_BYTES)
                piece = self._decompressor.unconsumed_tail
                yield self._bounded(plain)
                if self._decompressor.eof:
                    piece = self._decompressor.unused_data  # gzip members may follow each other
                    self._decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
        except zlib.error as error:
            raise ValueError(str(error)) from error

    def _bounded(self, plain: bytes) -> bytes:
        self._seen_bytes += len(plain)
        if self._seen_bytes > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES:,} bytes when decoded")
        return plain


class _Brotli:
    def __init__(self, module: Any) -> None:
        self._decompressor = module.Decompressor()
        self._error = module.error

    def feed(self, piece: bytes) -> Iterator[bytes]:
        try:
            yield self._decompressor.process(piece)
        except self._error as error:
            raise ValueError(str(error)) from error


def decoder_for(encoding: bytes) -> Decoder | None:
    """Return what decodes a Content-Encoding; None where it is not known here.

    Brotli needs the package of that name, which is used where it is installed.
    """
    name = encoding.strip().lower()
    if name == b"identity":
        return _Plain()
    if name in {b"gzip", b"x-gzip", b"deflate"}:
        return _Zlib()
    if name == b"br":
        try:
            return _Brotli(import_module("brotli"))
        except ImportError:
            return None
    return None
