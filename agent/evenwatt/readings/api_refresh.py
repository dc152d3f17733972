"""Fetching the price catalogue anew, on request alone; what was fetched is kept in a file, with its day.

The library's own updater replaces what it has in memory and keeps nothing.
"""

import http.client
import json
import os
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.readings.api_catalogue import Catalogue, catalogue_version, parsed_catalogue
from evenwatt.readings.http import shown_url

__all__ = ["default_url", "fetch_catalogue"]

_MOST_BYTES = 32 * 2**20
"""Twenty times what the catalogue is."""
_TIMEOUT_SECONDS = 20.0
_REDIRECTS = 3


def default_url() -> str:
    """Return where the library's makers publish the catalogue."""
    # Imported here because it brings the library's HTTP client, which is slow to load.
    from genai_prices.update_prices import DEFAULT_UPDATE_URL  # noqa: PLC0415

    return DEFAULT_UPDATE_URL


def fetch_catalogue(url: str, *, at: datetime, keep: Path) -> Catalogue:
    """Fetch the catalogue, keep it, and return it; nothing is kept that cannot be read.

    Args:
        url: Of a list of providers in the library's format.
        at: Now; its day is kept with it.
        keep: The file, replaced at once.

    Raises:
        SourceUnavailable: It cannot be reached, or not be kept.
        SourceContractError: What is served there is no catalogue.
    """
    body = _body(url)
    try:
        providers = json.loads(body)
        catalogue = parsed_catalogue(providers, fetched_on=at.date())
    except ValueError as exc:
        raise SourceContractError(f"{shown_url(url)} serves no JSON; expected the price catalogue") from exc
    except SourceContractError as exc:
        raise SourceContractError(f"{shown_url(url)} serves no price catalogue: {exc}") from exc
    _keep(
        {
            "fetched_on": at.date().isoformat(),
            "catalogue_version": catalogue_version(),
            "url": shown_url(url),
            "providers": providers,
        },
        keep,
    )
    return catalogue


def _body(url: str) -> bytes:
    try:
        with _pools(url).request(
            "GET",
            url,
            timeout=urllib3.Timeout(total=_TIMEOUT_SECONDS),
            retries=urllib3.Retry(total=0, redirect=_REDIRECTS),
            preload_content=False,
        ) as answer:
            body = answer.read(_MOST_BYTES + 1)
            status = answer.status
    except (urllib3.exceptions.HTTPError, ValueError) as exc:
        raise _unreachable(url, exc) from exc
    if status != http.client.OK:
        raise SourceUnavailable(f"API prices cannot be fetched: {shown_url(url)} answered HTTP {status}")
    if len(body) > _MOST_BYTES:
        raise SourceContractError(f"{shown_url(url)} serves more than {_MOST_BYTES:,} bytes; not read")
    return body


def _pools(url: str) -> urllib3.PoolManager:
    parts = urlsplit(url)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    return urllib3.PoolManager() if proxy is None else urllib3.ProxyManager(proxy)


def _unreachable(url: str, exc: Exception) -> SourceError:
    """Return a failure in words; its own text may hold the whole URL."""
    root: BaseException = exc
    while root.__context__ is not None:
        root = root.__context__
    reason = (root.strerror if isinstance(root, OSError) else None) or type(root).__name__
    return SourceUnavailable(
        f"API prices cannot be fetched: {shown_url(url)} cannot be reached ({reason}). Prices accepted "
        "before stay in use; try again from a network that reaches it, or name another address with --url"
    )


def _keep(document: dict[str, object], path: Path) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_text(json.dumps(document), encoding="utf-8")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as exc:
        raise SourceUnavailable(
            f"{path}: the fetched API prices cannot be kept ({exc.strerror}); refresh as the user that the "
            "agent runs as"
        ) from exc
