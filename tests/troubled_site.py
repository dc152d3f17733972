"""A machine at which all goes wrong that a dashboard or a rule has something to say of."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from signal import SIGHUP
from typing import Any

from agent_process import AgentProcess
from counting_engine import Counts
from evenwatt.sinks.history import History, PriceRow
from fake_nvml import FakeGpu, Scenario
from loopback_servers import PageServer
from metered_site import ENGINE, MeteredSite

__all__ = ["TroubledSite", "troubled_site", "unused_machine"]

_REFERENCE = "anthropic:claude-haiku-4-5"
_BUSY = Counts(input_tokens=2_000, output_tokens=500)
_AWAY_SECONDS = 4.0
"""Longer than an interval that counts as watched."""
_SCRAPED_SECONDS = 3.0
"""In which a Prometheus that scrapes each second has seen what was."""


class TroubledSite:
    """A real agent over a fake driver and a counting engine, which is well until `go_wrong`."""

    def __init__(self, site: MeteredSite) -> None:
        self._site = site
        self.agent = site.agent

    def go_wrong(self) -> None:
        """Be away; let the engine restart and end, a GPU get lost, and a configuration be refused at last."""
        self.agent.kill()
        self._have_compared(self._site.counter_gpu.uuid)
        time.sleep(_AWAY_SECONDS)
        self.agent.start()
        self.agent.wait_until_ready()
        self._wait_for(lambda ratio: ratio is not None, "gpu_energy_counter_power_ratio")
        for reloads in (1, 2):
            self.agent.signal(SIGHUP)
            self._wait_for(
                lambda told, reloads=reloads: told == reloads, "events_total", kind="config_reloaded"
            )
            time.sleep(_SCRAPED_SECONDS)
        self._site.engine.kill()
        self._site.engine.start()
        self._wait_for(lambda restarts: restarts == 1, "engine_restarts_total")
        self._site.engine.kill()
        self._site.lose_sampled_gpu()
        self.agent.config.write_text("currency: [\n")
        self.agent.signal(SIGHUP)
        self._wait_for(lambda is_up: is_up == 0, "engine_up")
        self._wait_for(lambda number: number == 1, "gpu_up")
        self._wait_for(lambda is_good: is_good == 0, "config_last_reload_successful")

    def _wait_for(self, condition: Callable[[float | None], bool], metric: str, **labels: str) -> None:
        self.agent.wait_for(lambda: condition(self.agent.metric(f"evenwatt_{metric}", **labels)))

    def _have_compared(self, uuid: str) -> None:
        """Let a GPU have been busy for almost the five minutes over which energy and power are compared."""
        with closing(sqlite3.connect(self.agent.history)) as database, database:
            (changed,) = database.execute(
                "UPDATE cursor SET state = json_set(state, '$.cross_check.seconds', 299.0) WHERE source = ?"
                " RETURNING source",
                (f"gpu:{uuid}",),
            ).fetchall()
        assert changed


@contextmanager
def troubled_site(folder: Path, library: Path, settings: Mapping[str, Any]) -> Iterator[TroubledSite]:
    """Run such a machine.

    From the beginning its electricity feed has no price for now, and the catalogue has another price for a
    reference than the one that was accepted.

    Args:
        folder: Empty, for everything that is written.
        library: Of the fake GPUs.
        settings: Of the agent, beside its engine, its feed and its references.
    """
    hour = int(time.time()) // 3_600 * 3_600
    prices = [{"start": hour - 7_200, "end": hour - 3_600, "price": 0.31}]
    feed = PageServer(pages={"/prices": (200, {}, json.dumps(prices).encode())})
    site = MeteredSite(folder, library, tick_seconds=settings["sampling"]["tick_seconds"])
    with feed, site:
        site.agent.configure(
            {
                **settings,
                "engines": [{"name": ENGINE, "kind": "vllm", "url": site.engine.url}],
                "electricity": {
                    "feed": {"url": f"{feed.url}/prices", "start": "start", "end": "end", "price": "price"}
                },
                "references": [_REFERENCE],
            }
        )
        with closing(History(site.agent.history, currency=settings["currency"])) as history:
            history.settle_prices([_price_of_last_year()])
        site.agent.start()
        site.agent.wait_until_ready()
        site.start_engine()
        site.engine.set_rates(_BUSY)
        site.draw_power()
        site.agent.wait_until_read_anew(ENGINE)
        yield TroubledSite(site)


def unused_machine(folder: Path, library: Path, settings: Mapping[str, Any]) -> AgentProcess:
    """Return an agent, not started yet, of a machine that costs money and serves nobody."""
    scenario = Scenario(folder / "gpus", FakeGpu("GPU-spare", watts=80.0, utilization_percent=0))
    return AgentProcess(folder, {**settings, "engines": []}, environment=scenario.environment(library))


def _price_of_last_year() -> PriceRow:
    return PriceRow(
        reference=_REFERENCE,
        valid_from_utc_seconds=0.0,
        accepted_utc_seconds=time.time() - 365 * 86_400,
        input_usd_per_mtok=0.8,
        cached_input_usd_per_mtok=0.08,
        output_usd_per_mtok=4.0,
        source="genai-prices 0.0.1",
    )
