"""What all tests share: golden files, rewritten only when asked for with --update."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: no property is judged by the clock.
settings.register_profile("evenwatt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("evenwatt")

pytest_plugins = ["migrated_once"]

LONG = (
    "/properties/test_alerts_agree",
    "/service/test_history_",
    "/service/test_year_of_",
    "/e2e/",
    "/browser/",
)
"""Files that take long: begun first, so that the last core to be done is not the only one that works."""

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser):
    """Add --update: write golden files anew instead of comparing with them; look at the difference then."""
    parser.addoption("--update", action="store_true", help="write the golden files anew")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the long files first; all others stay in the order that they were shuffled into."""
    ranks = {name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: min((r for n, r in ranks.items() if n in str(item.path)), default=len(LONG)))


@pytest.fixture
def matches_golden(request):
    """A function that compares text with a golden file, byte for byte; with --update it writes the file."""

    def matches(name, text):
        path = GOLDEN / name
        if request.config.getoption("--update"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        return path.is_file() and path.read_bytes() == text.encode()

    return matches
