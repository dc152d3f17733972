"""Writes docs/pictures/grafana-*.png anew: the dashboards as Grafana's own components draw them.

Simulated days become the blocks of a real Prometheus, which all queries of a dashboard are asked of; Chromium
draws the answers. Needs the test environment, chromium and npm, which brings Grafana's packages; some ten
minutes.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from evenwatt.clock import utc_seconds

from .hosts import HOSTS, write_history

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RULES = ROOT / "dashboards" / "prometheus" / "fleet.yaml"
RULES_ON_RULES = 9
"""How deep they build on each other: promtool evaluates each on what was there before."""

PROMETHEUS = "127.0.0.1:29090"
SCRAPE_SECONDS = 240
FLAGS = ("--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
SHOTS = {"overview": next(iter(HOSTS)), "models": ".*", "gpus": ".*", "fleet": ".*", "health": ".*"}
"""By dashboard: the hosts that are chosen."""


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(prog="python -m scripts.dashboard_pictures", description=__doc__)
    parser.add_argument("--hours", type=int, default=72, help="how much is simulated")
    parser.add_argument("--build", type=Path, help="keep what npm brings and builds in this folder")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "pictures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evenwatt-pictures-") as name:
        folder = Path(name)
        page = _built(arguments.build or folder / "page")
        end = int(utc_seconds()) - SCRAPE_SECONDS
        _simulate(folder, end - arguments.hours * 3_600, end)
        with _prometheus(folder), _served(page) as address:
            _shoot(page, address, arguments.output, end)


def _built(folder: Path) -> Path:
    """Return the folder of the page that draws a dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "vite.config.js", "index.html", "main.jsx"):
        shutil.copy(HERE / file, folder / file)
    if not (folder / "node_modules").exists():
        _run("npm", "install", "--no-audit", "--no-fund", "--legacy-peer-deps", cwd=folder)
    _run("npx", "vite", "build", "--logLevel=error", cwd=folder)
    return folder / "dist"


def _simulate(folder: Path, first: int, last: int) -> None:
    """Make the data of a Prometheus that scraped the hosts and evaluated the rules."""
    scraped = folder / "scraped.om"
    with scraped.open("w", encoding="utf-8") as file:
        write_history(file, first_utc_seconds=first, last_utc_seconds=last, scrape_seconds=SCRAPE_SECONDS)
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    backfill = ("promtool", "tsdb", "create-blocks-from")
    _run(*backfill, "openmetrics", str(scraped), str(folder / "tsdb"))
    for _ in range(RULES_ON_RULES):
        with _prometheus(folder):
            span = ("--start", str(first), "--end", str(last), "--eval-interval", "10m")
            at = ("--url", f"http://{PROMETHEUS}", "--output-dir", str(folder / "tsdb"))
            _run(*backfill, "rules", *span, *at, str(RULES))


@contextmanager
def _prometheus(folder: Path) -> Iterator[None]:
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={PROMETHEUS}",
        "--query.lookback-delta=10m",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not _is_ready():
            if process.poll() is not None:
                sys.exit((folder / "prometheus.log").read_text())
            time.sleep(0.3)
        yield
    finally:
        process.terminate()
        process.wait(60)


def _is_ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://{PROMETHEUS}/-/ready", timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def _shoot(page_folder: Path, address: str, output: Path, end: int) -> None:
    chosen = {"currency": "EUR", "end": end, "engine": "sim-code", "seconds": 86_400, "window": "24h"}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, host in SHOTS.items():
            shutil.copy(ROOT / "dashboards" / "grafana" / f"{name}.json", page_folder / "dashboard.json")
            asked = {**chosen, "host": host, "prometheus": f"http://{PROMETHEUS}"}
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{address}/index.html?{urlencode(asked)}")
            page.wait_for_function("document.title === 'ready'", timeout=120_000)
            file = output / f"grafana-{name}.png"
            page.screenshot(path=file, full_page=True)
            page.close()
            print(f"{file}: {file.stat().st_size / 1024:.0f} KiB")
        browser.close()


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()
