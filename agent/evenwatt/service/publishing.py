"""From a snapshot to all finished pages of the port."""

from collections.abc import Mapping
from functools import cache

from evenwatt.sinks.metrics import CONTENT_TYPE, render_metrics
from evenwatt.sinks.status import render_status
from evenwatt.sinks.web import Page, Pages
from evenwatt.sinks.web.files import INDEX, page_files
from evenwatt.snapshot import Snapshot

__all__ = ["first_pages", "pages"]

_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_JSON = "application/json"
_MARK = b'<p class="simulated" hidden>'
"""Where the page says that nothing was measured; shown by the server, so that no script has to run for it."""


def first_pages() -> Pages:
    """Return what is answered before the first tick is done: alive, not ready."""
    waiting = Page(body=b"the first tick is not done yet\n", content_type=_TEXT, status=503)
    return Pages(
        by_path={
            **_files(is_simulated=False),
            "/healthz": Page(body=b"ok\n", content_type=_TEXT),
            "/readyz": waiting,
            "/metrics": waiting,
            "/api/v1/live": waiting,
            "/api/v1/status": waiting,
        }
    )


def pages(
    snapshot: Snapshot, *, stale_after_seconds: float, live: tuple[bytes, bytes] | None = None
) -> Pages:
    """Return all pages of a snapshot.

    Args:
        snapshot: What they show.
        stale_after_seconds: The age at which they are no longer shown as the present, and the agent no
            longer counts as alive.
        live: This tick as an event, and with those before it as a document; None: nobody keeps them.
    """

    def page(body: bytes, content_type: str, *, may_be_compressed: bool = True) -> Page:
        return Page(
            body=body,
            content_type=content_type,
            stale_after_seconds=stale_after_seconds,
            may_be_compressed=may_be_compressed,
        )

    return Pages(
        by_path={
            **_files(is_simulated=snapshot.simulated),
            "/healthz": page(b"ok\n", _TEXT),
            "/readyz": page(b"ready\n", _TEXT),
            "/metrics": page(render_metrics(snapshot), CONTENT_TYPE, may_be_compressed=False),
            **({} if live is None else {"/api/v1/live": page(live[1], _JSON)}),
            "/api/v1/status": page(render_status(snapshot), _JSON),
        },
        event=None if live is None else live[0],
    )


@cache
def _files(*, is_simulated: bool) -> Mapping[str, Page]:
    """Return the page's files by path; the same objects each time, so that they are compressed once."""
    files = page_files()
    html = files[INDEX].body
    shown = html.replace(_MARK, _MARK.replace(b" hidden", b"")) if is_simulated else html
    return {
        **{f"/page/{name}": page for name, page in files.items() if name not in {INDEX, "openapi.json"}},
        "/": Page(body=shown, content_type=_HTML),
        "/api/v1/openapi.json": files["openapi.json"],
    }
