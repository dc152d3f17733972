"""What is known of the engine behind a proxy: which one it is, and what it serves. Asked, never guessed."""

import asyncio
import json
from typing import Any, Final

from evenwatt.clock import boot_seconds
from evenwatt.errors import EngineError
from evenwatt.proxy.exchange import Books
from evenwatt.proxy.facts import UNKNOWN_ENGINE, EngineFacts
from evenwatt.proxy.upstream import Upstream

__all__ = ["EngineQuestion", "asked_engine"]

_DEADLINE_SECONDS = 2.0
_QUIET_SECONDS = 30.0
"""How long an engine is left alone that took the question and did not answer."""
_MOST_BYTES = 1 << 20
_LLAMACPP_SERVER_HEADER = b"llama.cpp"
_KIND_BY_OWNER: Final = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp"}


class EngineQuestion:
    """Asks an engine what it is until it has answered; whoever needs to know waits for the same answer.

    Args:
        upstream: The engine.
        books: Where the answer is noted.
        told: What the configuration says; then nothing is asked.
    """

    def __init__(self, upstream: Upstream, books: Books, told: str | None) -> None:
        self._upstream = upstream
        self._books = books
        self._told = told
        self._is_known = told is not None
        self._asking: asyncio.Task[None] | None = None
        self._quiet_until_boot_seconds = 0.0
        if told is not None:
            books.engine = EngineFacts(kind=told)

    @property
    def is_settled(self) -> bool:
        """Whether the engine is known, or cannot be asked now."""
        return self._is_known or boot_seconds() < self._quiet_until_boot_seconds

    async def answered(self) -> None:
        """Return when that is settled."""
        if self.is_settled:
            return
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait({self._asking})

    def forget(self) -> None:
        """Ask again: another engine may come up at the address."""
        self._is_known = self._told is not None

    async def _ask(self) -> None:
        began = boot_seconds()
        facts = await asked_engine(self._upstream)
        self._asking = None
        self._is_known = facts is not None
        self._books.engine = facts or UNKNOWN_ENGINE
        if facts is None and boot_seconds() - began > _DEADLINE_SECONDS / 2:
            self._quiet_until_boot_seconds = boot_seconds() + _QUIET_SECONDS


async def asked_engine(upstream: Upstream) -> EngineFacts | None:
    """Return what an engine says of itself; None where it does not answer.

    Two requests at most, that load no model and change nothing.
    """
    models = await _answer(upstream, b"/v1/models")
    if models is None:
        return None
    server, document = models
    served = _served(document)
    only_model = served[0][0] if len(served) == 1 else None
    if server == _LLAMACPP_SERVER_HEADER:
        return EngineFacts(kind="llamacpp", only_model=only_model)
    kinds = {_KIND_BY_OWNER.get(owner) for _, owner in served}
    if len(kinds) == 1 and (kind := next(iter(kinds))) is not None:
        return EngineFacts(kind=kind, only_model=only_model)
    version = await _answer(upstream, b"/api/version")
    if version is not None and isinstance(version[1], dict) and "version" in version[1]:
        return EngineFacts(kind="ollama")
    return UNKNOWN_ENGINE


async def _answer(upstream: Upstream, path: bytes) -> tuple[bytes | None, Any] | None:
    """Return the Server header and the JSON of an answer, None in its place where there is none."""
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            answer = await upstream.asked(path)
            try:
                body = b""
                while len(body) < _MOST_BYTES and (piece := await answer.read()):
                    body += piece
            finally:
                answer.close()
    except (EngineError, TimeoutError):
        return None
    server = answer.headers.first.get(b"server")
    try:
        return server, json.loads(body)
    except (ValueError, RecursionError):
        return server, None


def _served(document: Any) -> list[tuple[str, str]]:
    entries = document.get("data") if isinstance(document, dict) else None
    return [
        (str(entry["id"]), str(entry.get("owned_by")))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and "id" in entry
    ]
