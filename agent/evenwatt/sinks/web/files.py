"""The page's own files: HTML, style, scripts and the chart library, read once.

They are read in the thread that starts the agent, so that no request ever waits for a disk.
"""

import html
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Final

from msgspec.structs import replace

from evenwatt.sinks.web.answers import Page

__all__ = ["INDEX", "page_files", "with_sentence"]

_FOLDER: Final = Path(__file__).parent / "page"
_PALETTE: Final = Path(__file__).parents[1] / "palette.css"
"""What the page shares with the report: it comes before the page's own style, in one file with it."""
_STYLE: Final = "page.css"
INDEX: Final = "index.html"
_TOLD: Final = b'<p id="told" class="soft" elementtiming="verdict">'
"""Where the page has the verdict in words until its scripts have drawn it."""
_CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@cache
def page_files() -> Mapping[str, Page]:
    """Return every file of the page by its path below `page/`."""
    bodies = {
        path.relative_to(_FOLDER).as_posix(): path.read_bytes()
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _CONTENT_TYPES
    }
    bodies[_STYLE] = _PALETTE.read_bytes() + bodies[_STYLE]
    return {
        name: Page(body=body, content_type=_CONTENT_TYPES[PurePath(name).suffix])
        for name, body in bodies.items()
    }


def with_sentence(page: Page, sentence: str) -> Page:
    """Return the page's HTML with a sentence where the verdict will stand; it is text, whatever is in it."""
    return replace(page, body=page.body.replace(_TOLD, _TOLD + html.escape(sentence).encode()))
