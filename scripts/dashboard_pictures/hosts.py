"""Days of a few simulated hosts as a scrape history: the demo's agent on a clock of ours, page by page.

`promtool tsdb create-blocks-from openmetrics` makes a Prometheus of it in one go.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from unittest import mock

from evenwatt import clock
from evenwatt.config import load
from evenwatt.model import Moment
from evenwatt.readings.simulated import simulated_server
from evenwatt.service.agent import Agent
from evenwatt.sinks.web import Pages

__all__ = ["HOSTS", "write_history"]

TICK_SECONDS = 60
SAMPLE_SECONDS = 10

COMMON = """
sampling: {tick_seconds: 60, gpu_seconds: 10}
server: {listen: "127.0.0.1:29787"}
host_power: {source: none}
references: [anthropic:claude-haiku-4-5, openai:gpt-4o-mini]
currency: EUR
usd_rate: {rate: 0.92, date: 2026-11-01}
"""

HOSTS = {
    "gpu-01:9787": (
        "paris",
        "hardware: {purchase_price: 5200, lifetime_years: 4}\nelectricity: {price_per_kwh: 0.27}\n",
    ),
    "gpu-02:9787": (
        "paris",
        "hardware: {purchase_price: 9800, lifetime_years: 4}\nelectricity: {price_per_kwh: 0.21}\n",
    ),
    "gpu-03:9787": ("oslo", "hardware: {mode: rented_always_on, rent_per_hour: 0.48}\n"),
}
"""By instance: site, and what its configuration has beside what is common."""

_SAMPLE = re.compile(rb"^(\w+)(?:\{(.*)\})? (\S+)$")


def write_history(
    file: TextIO, *, first_utc_seconds: int, last_utc_seconds: int, scrape_seconds: int
) -> None:
    """Write what a Prometheus would have scraped, as OpenMetrics with time stamps."""
    for number, (instance, (site, own)) in enumerate(HOSTS.items()):
        labels = f'instance="{instance}",job="evenwatt",site="{site}"'
        scraped = _pages(COMMON + own, first_utc_seconds, last_utc_seconds, seed=number)
        for utc_seconds, page in scraped:
            if (utc_seconds - first_utc_seconds) % scrape_seconds < TICK_SECONDS:
                file.writelines(_lines(page, labels, utc_seconds))
    file.write("# EOF\n")


def _lines(page: bytes, labels: str, utc_seconds: int) -> Iterator[str]:
    for line in page.splitlines():
        found = _SAMPLE.match(line)
        if found is not None:
            name, own, value = (part.decode() if part else "" for part in found.groups())
            yield f"{name}{{{labels}{',' if own else ''}{own}}} {value} {utc_seconds}\n"


def _pages(configuration: str, first: int, last: int, *, seed: int) -> Iterator[tuple[int, bytes]]:
    """Yield the metrics page of each minute."""
    at = [float(first)]

    def now() -> Moment:
        return Moment(utc_seconds=at[0], boot_seconds=at[0], boot_id="simulated")

    def seconds() -> float:
        return at[0]

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(clock, "now", now),
        mock.patch.object(clock, "utc_seconds", seconds),
        mock.patch.object(clock, "boot_seconds", seconds),
    ):
        file = Path(folder) / "config.yaml"
        file.write_text(configuration)
        gpus, *engines = simulated_server(now, seed=seed)
        agent = Agent(
            load(file), gpus=gpus, engines=engines, history_path=Path(folder) / "history.db", config_path=file
        )
        published: list[Pages] = []
        # It ticks on a clock of ours instead of running, and its pages are taken instead of asked for.
        with agent._opened, mock.patch.object(agent._web, "publish", published.append):  # noqa: SLF001
            while at[0] < last:
                for _ in range(TICK_SECONDS // SAMPLE_SECONDS):
                    at[0] += SAMPLE_SECONDS
                    gpus.sample()
                agent.tick()
                yield int(at[0]), published.pop().by_path["/metrics"].body
