"""Writes docs/pictures/report-*.png anew: a report on a simulated year, as Chromium shows it.

Needs the test environment and chromium; fonts are those of this machine (the ones there: Inter, Charis SIL).
"""

import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.report import CONFIG, write_year  # noqa: E402 -- found by the path above

from evenwatt.clock import utc_seconds  # noqa: E402
from evenwatt.config import load  # noqa: E402
from evenwatt.service.report.gathering import gathered_report  # noqa: E402
from evenwatt.service.report.window import AskedWindow  # noqa: E402
from evenwatt.sinks.history import history_beside  # noqa: E402
from evenwatt.sinks.history.schema import LEVELS  # noqa: E402
from evenwatt.sinks.report.html import render_html  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
FLAGS = ("--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND")
NAMES = {"one": "anthropic:claude-haiku-4-5", "two": "openai:gpt-4o-mini"}
"""What two of the references of the benchmark are called: their prices are those of these models."""
SHOTS = (
    ("report-desk.png", 1100, 1026, "light", ""),
    ("report-desk-dark.png", 1100, 900, "dark", "#money"),
    ("report-phone.png", 390, 844, "dark", "#load"),
)


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory(prefix="evenwatt-pictures-") as name:
        page = Path(name) / "report.html"
        page.write_text(simulated_page(Path(name)), encoding="utf-8")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            for file, width, height, scheme, part in SHOTS:
                shoot(browser, page.as_uri() + part, PICTURES / file, (width, height), scheme)
            browser.close()


def simulated_page(folder: Path) -> str:
    """Return the page of the last 30 days of a simulated year."""
    config, history, words = folder / "config.yaml", folder / "history.db", CONFIG
    write_year(history)
    with closing(sqlite3.connect(history)) as database:
        for short, long in NAMES.items():
            words = words.replace(f"name: {short},", f'name: "{long}",')
            for level, _ in LEVELS:
                database.execute(f"UPDATE {level}_api SET reference = ? WHERE reference = ?", (long, short))
        for level, _ in LEVELS:
            database.execute(f"DELETE FROM {level}_api WHERE reference = 'three'")
        database.commit()
    words = "\n".join(line for line in words.splitlines() if "name: three" not in line)
    config.write_text(f"{words}\nhistory: {{path: {history}}}\n", encoding="utf-8")
    asked = AskedWindow(window="30d", first=None, last=None, month=None)
    with history_beside(history) as reader:
        found = gathered_report(load(config), reader, asked, now_utc_seconds=utc_seconds())
    return render_html(replace(found, head=replace(found.head, simulated=True, machine="gpu-server")))


def shoot(browser: Browser, address: str, file: Path, size: tuple[int, int], scheme: str) -> None:
    """Write one picture."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    page.screenshot(path=file)
    context.close()
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
