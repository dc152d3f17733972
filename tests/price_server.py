"""A price catalogue of a test's own, in the library's format, served on loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopback_servers import PageServer

__all__ = ["catalogue_of", "serving"]


def catalogue_of(**models: Any) -> list[dict[str, Any]]:
    """Return a catalogue whose only seller, `acme`, has these models: prices, or a list of dated ones."""
    return [
        {
            "id": "acme",
            "name": "Acme",
            "api_pattern": "https://acme",
            "models": [
                {"id": name, "match": {"equals": name}, "prices": prices} for name, prices in models.items()
            ],
        },
        {
            "id": "anthropic",
            "name": "Anthropic",
            "api_pattern": "https://anthropic",
            "models": [
                {
                    "id": "claude-haiku-4-5",
                    "match": {"starts_with": "claude-haiku-4-5"},
                    "prices": {
                        "input_mtok": 0.8,
                        "cache_read_mtok": 0.08,
                        "cache_write_mtok": 1,
                        "output_mtok": 4,
                    },
                }
            ],
        },
    ]


@contextmanager
def serving(content: Any, *, status: int = 200) -> Iterator[str]:
    """Serve a document, or bytes as they are, and return the address."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    with PageServer(pages={"/data.json": (status, {}, body)}) as server:
        yield f"{server.url}/data.json"
