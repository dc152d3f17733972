"""From a snapshot to all finished pages of the port."""

from evenwatt import __version__
from evenwatt.sinks.metrics import CONTENT_TYPE, render_metrics
from evenwatt.sinks.status import render_status
from evenwatt.sinks.web import Page, Pages
from evenwatt.snapshot import Snapshot

__all__ = ["first_pages", "pages"]

_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"


def first_pages() -> Pages:
    """Return what is answered before the first tick is done: alive, not ready."""
    waiting = Page(body=b"the first tick is not done yet\n", content_type=_TEXT, status=503)
    return Pages(
        by_path={
            "/": Page(body=_landing(""), content_type=_HTML),
            "/healthz": Page(body=b"ok\n", content_type=_TEXT),
            "/readyz": waiting,
            "/metrics": waiting,
            "/api/v1/status": waiting,
        }
    )


def pages(snapshot: Snapshot, *, stale_after_seconds: float) -> Pages:
    """Return all pages of a snapshot.

    Args:
        snapshot: What they show.
        stale_after_seconds: The age at which they are no longer shown as the present, and the agent no
            longer counts as alive.
    """

    def page(body: bytes, content_type: str) -> Page:
        return Page(body=body, content_type=content_type, stale_after_seconds=stale_after_seconds)

    marked = " <strong>SIMULATED: nothing here was measured.</strong>" if snapshot.simulated else ""
    return Pages(
        by_path={
            "/": Page(body=_landing(marked), content_type=_HTML),
            "/healthz": page(b"ok\n", _TEXT),
            "/readyz": page(b"ready\n", _TEXT),
            "/metrics": page(render_metrics(snapshot), CONTENT_TYPE),
            "/api/v1/status": page(render_status(snapshot), "application/json"),
        }
    )


def _landing(marked: str) -> bytes:
    links = "".join(
        f'<li><a href="{path.lstrip("/")}">{path}</a> {what}</li>'
        for path, what in (
            ("/metrics", "for Prometheus"),
            ("/api/v1/status", "what the agent sees now, as JSON"),
            ("/healthz", "alive"),
            ("/readyz", "first tick done"),
        )
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>evenwatt</title>"
        "<style>body{font:1rem/1.5 system-ui,sans-serif;margin:3rem auto;max-width:40rem}</style>"
        f"<h1>evenwatt {__version__}</h1><p>What a million tokens really costs on this machine.{marked}</p>"
        f"<ul>{links}</ul>"
    ).encode()
