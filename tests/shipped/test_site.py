"""The documents build as a site, and every link within it leads somewhere."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from justhtml import JustHTML

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make site` builds it, without a warning."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert not built.stderr
    return folder


def addresses(page):
    """Yield what a page links to and loads."""
    document = JustHTML(page.read_text())
    for name in ("href", "src"):
        for element in document.query(f"[{name}]"):
            yield element.attrs[name]


def test_every_link_of_the_site_leads_somewhere(site):
    """Pages, pictures and files that are linked are part of it, and nothing is fetched from elsewhere."""
    missing, elsewhere = set(), set()
    for page in site.rglob("*.html"):
        for address in addresses(page):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                elsewhere.add(parts.netloc)
            elif parts.path and page.name != "404.html":
                target = page.parent / unquote(parts.path)
                found = target / "index.html" if target.is_dir() else target
                if not found.exists():
                    missing.add(f"{page.relative_to(site)}: {address}")

    assert not missing
    assert not [name for name in elsewhere if "font" in name or "cdn" in name]


def test_every_document_is_a_page(site):
    """None is left out of the site."""
    for document in (ROOT / "docs").rglob("*.md"):
        name = document.relative_to(ROOT / "docs").with_suffix("")
        assert (site / name / "index.html").exists()
