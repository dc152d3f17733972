"""One message on its way to one notifier: a process of its own, run as a module, that ends when it is done.

What sends (apprise above all) takes more memory than all of the agent, and may hang; so the agent has none
of it. An order comes in as JSON on standard input, where no list of processes shows its secrets. What became
of it goes out as one line without them; the exit status is 0 where the message was taken.
"""

import json
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["main", "send", "without_secrets"]

_ATTEMPTS_SECONDS = 45.0
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 15.0
_TIMEOUT_SECONDS = 10.0
_LEAST_SECRET = 4
_LONGEST_REASON = 300
_MOST_ANSWER = 200
_MOST_MEMORY_BYTES = 96 * 2**20
"""Half of it is what apprise takes; the unit grants the agent and all that it starts 256 MiB."""
_TOO_MANY_REQUESTS = 429
_CLIENT_ERRORS = range(400, 500)
_PAYLOAD_VERSION = "4"


class _NotTaken(Exception):
    """A message was not taken; it may be, if it is sent again."""


class _Refused(Exception):
    """A message was not taken, and never will be as it is."""


def main() -> int:
    """Deliver the order on standard input; return the exit status."""
    _bound_memory()
    order = json.load(sys.stdin)
    try:
        send(order, seconds=float(order.get("seconds", _ATTEMPTS_SECONDS)))
    except Exception as error:  # noqa: BLE001 -- whatever a library raises, it is a reason and no traceback
        sys.stdout.write(without_secrets(str(error) or type(error).__name__, order))
        return 1
    return 0


def _bound_memory() -> None:
    """Let an answer without end, which apprise reads to its end, cost this process only."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    bound = _MOST_MEMORY_BYTES if most == resource.RLIM_INFINITY else min(_MOST_MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, most))


def send(order: Mapping[str, Any], *, seconds: float) -> None:
    """Send a message, again and again for a while, further and further apart.

    Args:
        order: `kind`, `url`, `token`, `name` of the notifier, and `message`.
        seconds: For how long.

    Raises:
        Exception: It was not taken.
    """
    import tenacity  # noqa: PLC0415 -- the agent imports this module's names without it

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_NotTaken),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_WAIT_SECONDS, max=_LONGEST_WAIT_SECONDS),
        stop=tenacity.stop_after_delay(seconds),
        reraise=True,
    )
    attempts(_WAYS[order["kind"]], order)


def without_secrets(text: str, order: Mapping[str, Any]) -> str:
    """Return text in one line without the address and the token of an order, or any part of them."""
    url = str(order.get("url", ""))
    parts = urlsplit(url)
    pieces = {url, order.get("token") or "", parts.netloc.rpartition("@")[0], parts.query, parts.path}
    for piece in (parts.netloc.rpartition("@")[0], parts.query, parts.path):
        pieces.update(_split(piece))
    if order.get("kind") == "apprise":
        pieces.update(_split(parts.netloc))
    for piece in sorted({*pieces, *map(unquote, pieces)}, key=len, reverse=True):
        if len(piece) >= _LEAST_SECRET:
            text = text.replace(piece, "<secret>")
    return " ".join(text.split())[:_LONGEST_REASON]


def _split(text: str) -> list[str]:
    for mark in "/:@&=?;,":
        text = text.replace(mark, " ")
    return text.split()


def _by_apprise(order: Mapping[str, Any]) -> None:
    import logging  # noqa: PLC0415 -- see main

    import apprise  # noqa: PLC0415 -- 30 MB, of which the other ways need nothing

    notifier = apprise.Apprise()
    message = order["message"]
    # Warnings say what the service answered; what is below them has addresses in it.
    capture: Any = apprise.LogCapture
    with capture(level=logging.WARNING, fmt="%(message)s") as log:
        if not notifier.add(order["url"]):
            # Its own words show the ends of each part of an address.
            raise _Refused("apprise does not take this address; its wiki has the form of each service")
        is_taken = notifier.notify(title=message["title"], body=message["text"], notify_type=message["kind"])
        if not is_taken:
            lines = log.getvalue().strip().splitlines()
            raise _NotTaken(lines[-1] if lines else "it was not taken, and nothing was said")


def _by_webhook(order: Mapping[str, Any]) -> None:
    message = order["message"]
    alerts = message["alerts"]
    firing = any(alert["status"] == "firing" for alert in alerts)
    _post(
        order,
        order["url"],
        {
            "version": _PAYLOAD_VERSION,
            "receiver": order["name"],
            "status": "firing" if firing else "resolved",
            "title": message["title"],
            "text": f"{message['title']}\n{message['text']}",
            "alerts": alerts,
            "groupLabels": {},
            "commonLabels": _common(alerts, "labels"),
            "commonAnnotations": _common(alerts, "annotations"),
            "externalURL": "",
            "groupKey": "evenwatt",
            "truncatedAlerts": 0,
        },
    )


def _by_alertmanager(order: Mapping[str, Any]) -> None:
    wanted = ("labels", "annotations", "startsAt", "endsAt")
    alerts = [{name: alert[name] for name in wanted} for alert in order["message"]["alerts"]]
    _post(order, f"{order['url'].rstrip('/')}/api/v2/alerts", alerts)


def _common(alerts: list[dict[str, Any]], part: str) -> dict[str, str]:
    first, *others = alerts
    return {
        name: value
        for name, value in first[part].items()
        if all(other[part].get(name) == value for other in others)
    }


def _post(order: Mapping[str, Any], url: str, document: Any) -> None:
    import urllib3  # noqa: PLC0415 -- see main

    parts = urlsplit(url)
    headers = {"User-Agent": "evenwatt"}
    if order.get("token"):
        headers["Authorization"] = f"Bearer {order['token']}"
    elif parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers |= urllib3.make_headers(basic_auth=user)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        answer = urllib3.request(
            "POST",
            place,
            json=document,
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
            retries=False,
            preload_content=False,  # an answer may have no end
        )
        if 200 <= answer.status < 300:  # noqa: PLR2004 -- what HTTP calls a success
            return
        said = answer.read1(_MOST_ANSWER, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise _NotTaken(_in_words(error)) from None
    reason = f"HTTP {answer.status}: {said.decode(errors='replace')}"
    if answer.status in _CLIENT_ERRORS and answer.status != _TOO_MANY_REQUESTS:
        raise _Refused(reason)
    raise _NotTaken(reason)


def _in_words(error: Exception) -> str:
    """Return the reason without the address, which the library puts before it."""
    return str(error).rpartition("): ")[2] or str(error)


_WAYS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "apprise": _by_apprise,
    "webhook": _by_webhook,
    "alertmanager": _by_alertmanager,
}

if __name__ == "__main__":
    sys.exit(main())
