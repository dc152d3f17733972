"""The page's own files: HTML, style, scripts and the chart library, read once.

They are read in the thread that starts the agent, so that no request ever waits for a disk.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from evenwatt.sinks.web.answers import Page

__all__ = ["INDEX", "page_files"]

_FOLDER: Final = Path(__file__).parent / "page"
_PALETTE: Final = Path(__file__).parents[1] / "palette.css"
"""What the page shares with the report."""
INDEX: Final = "index.html"
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
    own = {path.relative_to(_FOLDER).as_posix(): path for path in sorted(_FOLDER.rglob("*"))}
    return {
        name: Page(body=path.read_bytes(), content_type=_CONTENT_TYPES[path.suffix])
        for name, path in (own | {_PALETTE.name: _PALETTE}).items()
        if path.suffix in _CONTENT_TYPES
    }
