"""What is answered: finished bytes, with what browsers need to ask for them again cheaply."""

import gzip
import hashlib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.json import encode

from evenwatt import clock

__all__ = ["Answer", "Page", "Pages", "answer_of", "json_page"]

_LEAST_COMPRESSED = 1_024
"""Shorter bodies fit into the first packet anyway."""
_COMPRESSION = 2
"""A third to a half of the time of the usual 6, and a twentieth to a quarter longer."""


class Page(Struct, frozen=True, kw_only=True):
    """One finished answer.

    Attributes:
        stale_after_seconds: The age from which it is no longer true, and 503 is answered instead.
        may_be_compressed: Scrapers of /metrics ask for it on the same machine, where it only costs.
        sentence: What of it the page can show before any script has run; None: nothing.
    """

    body: bytes
    content_type: str
    status: int = 200
    stale_after_seconds: float | None = None
    may_be_compressed: bool = True
    sentence: str | None = None


class Pages(Struct, frozen=True, kw_only=True):
    """All answers of one snapshot, by path, and when they were finished.

    Attributes:
        event: What whoever listens at /api/v1/stream is told of it; None: nothing.
    """

    by_path: Mapping[str, Page] = field(default_factory=dict)
    boot_seconds: float = field(default_factory=clock.boot_seconds)
    event: bytes | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """A page as it goes over the wire.

    Attributes:
        etag: Of the body; the compressed one has another, as it is not the same bytes.
        compressed: None where that does not pay.
    """

    page: Page
    etag: str
    compressed: bytes | None


def answer_of(page: Page) -> Answer:
    """Return a page with its tag, and compressed where that pays."""
    pays = page.may_be_compressed and len(page.body) >= _LEAST_COMPRESSED
    return Answer(
        page=page,
        etag=hashlib.sha256(page.body).hexdigest()[:16],
        compressed=gzip.compress(page.body, _COMPRESSION, mtime=0) if pays else None,
    )


def json_page(document: Mapping[str, Any], status: int = 200) -> Page:
    """Return a JSON document as a page; a number that is none is not known, and null."""
    return Page(body=encode(document), content_type="application/json", status=status)
