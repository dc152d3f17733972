"""The only thing here that gives an engine work: completions of random text, on request, for a load run.

It counts nothing: what was computed is read from the engine's own page.
"""

import http
import random
import string
from types import TracebackType
from typing import Self

import aiohttp

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.exposition import printable
from evenwatt.readings.http import shown_url

__all__ = ["LoadClient", "random_text"]

_COMPLETIONS, _CHAT = "/v1/completions", "/v1/chat/completions"
_CONNECT_SECONDS = 10.0
_SHOWN_BYTES = 1_000
_CHUNK_BYTES = 64 * 2**10
_TOO_LONG = frozenset({http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


def random_text(words: int) -> str:
    """Return words that nobody sent before, so that no cache of prompts helps."""
    draw = random.SystemRandom()
    return " ".join("".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 7))) for _ in range(words))


class LoadClient:
    """Sends requests to one engine; use it as a context manager, whose end closes all that still run.

    Args:
        base_url: Of the engine.
        model: That is asked.
        api_key: Sent as a bearer token.
    """

    def __init__(self, base_url: str, *, model: str, api_key: str | None = None) -> None:
        self._base_url = base_url.rstrip("/").removesuffix("/metrics").rstrip("/")
        self._model = model
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key.strip()}"}
        self._path = _COMPLETIONS

    async def __aenter__(self) -> Self:
        """Open it."""
        # A connection for each request: how many run at once is the run's to say, and none is kept.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            headers=self._headers,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what still runs: the engine sees its clients hang up and stops."""
        await self._session.close()

    async def takes(self, words: int, output_tokens: int) -> bool:
        """Have one request answered; return False where the engine says that it is too long.

        Raises:
            SourceUnavailable: The engine cannot be reached, or broke off.
            SourceContractError: It answers something else.
        """
        status, said = await self._ask(words, output_tokens)
        if status == http.HTTPStatus.NOT_FOUND and self._path == _COMPLETIONS:
            self._path = _CHAT
            status, said = await self._ask(words, output_tokens)
        if status in _TOO_LONG:
            return False
        if status != http.HTTPStatus.OK:
            raise self._unexpected(status, said)
        return True

    async def complete(self, words: int, output_tokens: int) -> None:
        """Have one request answered, to its end.

        Args:
            words: Of its prompt.
            output_tokens: Of its answer, not one less.

        Raises:
            SourceUnavailable: The engine cannot be reached, or broke off.
            SourceContractError: It answers something else.
        """
        status, said = await self._ask(words, output_tokens)
        if status != http.HTTPStatus.OK:
            raise self._unexpected(status, said)

    async def _ask(self, words: int, output_tokens: int) -> tuple[int, bytes]:
        text = random_text(words)
        asked = {"prompt": text} if self._path == _COMPLETIONS else {"messages": [_message(text)]}
        body = {
            "model": self._model,
            "max_tokens": output_tokens,
            "stream": True,
            "temperature": 1.0,
            "ignore_eos": True,
            **asked,
        }
        try:
            async with self._session.post(
                self._base_url + self._path, json=body, allow_redirects=False
            ) as answer:
                if answer.status != http.HTTPStatus.OK:
                    return answer.status, await answer.content.read(_SHOWN_BYTES)
                async for _ in answer.content.iter_chunked(_CHUNK_BYTES):
                    pass
                return answer.status, b""
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise SourceUnavailable(
                f"{shown_url(self._base_url + self._path)}: a request of the load run failed: {error}"
            ) from error

    def _unexpected(self, status: int, said: bytes) -> SourceContractError:
        return SourceContractError(
            f"{shown_url(self._base_url + self._path)} answered HTTP {status}, '{printable(said)}'; expected "
            "a completion. Is it an engine that generates text, and is the model's name right (--model)?"
        )


def _message(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
