"""The connections to the engine: kept open between requests, over TCP, TLS or a unix socket."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

__all__ = ["MOST_FIELD_BYTES", "MOST_HEADERS", "Upstream"]

MOST_FIELD_BYTES = 64 * 1024
"""The longest header, and request line, that is passed on either way: no shorter than what engines take."""
MOST_HEADERS = 256

_CONNECT_SECONDS = 10.0
_KEPT_SECONDS = 3.0
"""How long an idle connection is kept: less than the 5 s after which vLLM, SGLang and llama.cpp close it, so
that no request is sent into a connection that is just being closed."""
_AUTOMATIC = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class Upstream:
    """Sends requests to one engine; to be made and used in one event loop.

    Args:
        address: As `ProxySettings.upstream` has it.
        ca_file: As `ProxySettings.ca_file`.

    Attributes:
        host: What a request to it says in its Host header.
    """

    def __init__(self, address: str, ca_file: Path | None = None) -> None:
        self.address = address
        self._tls: ssl.SSLContext | None = None
        if address.startswith("unix:"):
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(
                path=address.removeprefix("unix:"), limit=0, keepalive_timeout=_KEPT_SECONDS
            )
            self._base, self.host = "http://localhost", "localhost"
        else:
            if address.startswith("https:"):
                self._tls = ssl.create_default_context(cafile=ca_file)
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_SECONDS, ssl=self._tls or True)
            self._base = address.rstrip("/")
            self.host = urlsplit(address).netloc.rpartition("@")[2]
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTOMATIC,
            max_line_size=MOST_FIELD_BYTES,
            max_field_size=MOST_FIELD_BYTES,
            max_headers=MOST_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        )

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | None = None,
        *,
        deadline_seconds: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return the answer once its head is there; the body is still to be read.

        Args:
            method: As the client wrote it.
            path: As the client wrote it, query included.
            headers: All that are sent, Host included; Content-Length where the length of the body is known.
            body: Its pieces.
            deadline_seconds: For everything; None: as long as it takes.

        Raises:
            aiohttp.ClientError: The engine cannot be reached, or does not speak HTTP.
            TimeoutError: It could not be connected to in time.
        """
        return await self._session.request(
            method,
            URL(self._base + path, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=deadline_seconds, sock_connect=_CONNECT_SECONDS),
        )

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection for one use of its own.

        Raises:
            OSError: The engine cannot be reached.
        """
        async with asyncio.timeout(_CONNECT_SECONDS):
            if self.address.startswith("unix:"):
                return await asyncio.open_unix_connection(
                    self.address.removeprefix("unix:"), limit=MOST_FIELD_BYTES
                )
            parts = urlsplit(self.address)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            return await asyncio.open_connection(parts.hostname, port, ssl=self._tls, limit=MOST_FIELD_BYTES)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
