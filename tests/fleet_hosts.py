"""Fifty hosts for a Prometheus to scrape: pages as agents render them, and by hand what is in them.

All hosts stand at a first reading, and go on to a second one at once when told to: so each rises by numbers
that are known, however a scraper's clock ticks.
"""

import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from evenwatt.economics.cost import PriceBook
from evenwatt.economics.ownership import Rented
from evenwatt.economics.tariffs import flat_tariff
from evenwatt.sinks.metrics import render_metrics
from evenwatt.snapshot import Sums, sums_with
from sink_fixtures import FLAT, HOUR, MINUTE, idle, served, snapshot, tick

__all__ = ["HOSTS", "Host", "served_hosts"]

RENT_PER_MINUTE = 600.0
KWH_PER_MINUTE = 1_000.0
PRICE_PER_KWH = 0.36


@dataclass(frozen=True)
class Host:
    """One host, whose numbers a person can follow: each minute it does the same."""

    number: int

    @property
    def instance(self) -> str:
        return f"gpu-{self.number:02}:9787"

    @property
    def site(self) -> str:
        return ("paris", "oslo", "porto")[self.number % 3]

    @property
    def currency(self) -> str:
        return "USD" if self.number % 4 == 3 else "EUR"

    @property
    def is_priced(self) -> bool:
        return not 40 <= self.number < 45

    @property
    def is_unused(self) -> bool:
        return self.number >= 45

    @property
    def tells_cache_hits(self) -> bool:
        return self.number % 5 != 0

    @property
    def model(self) -> str:
        return ("small", "large")[self.number % 2]

    @property
    def tokens(self) -> Mapping[str, float]:
        """In a minute, by type."""
        if self.is_unused:
            return {}
        found = {"input": 1e9 * (1 + self.number % 7), "output": 1e8 * (1 + self.number % 6)}
        return {**found, "cached_input": 5e8} if self.tells_cache_hits else found

    @property
    def cost(self) -> float:
        """In a minute: rent where its price is known, and electricity."""
        return (RENT_PER_MINUTE if self.is_priced else 0.0) + KWH_PER_MINUTE * PRICE_PER_KWH

    @property
    def api_cost(self) -> float:
        """In a minute, at 1 for a million of input, 0.10 from cache, 5 of output."""
        tokens = self.tokens
        prices = {"input": 1.0, "cached_input": 0.1, "output": 5.0}
        return sum(prices[kind] * number / 1e6 for kind, number in tokens.items())

    def page(self, minutes: int) -> bytes:
        """Return what its agent shows after some such minutes."""
        book = PriceBook(
            hardware=Rented(rent_per_hour=60 * RENT_PER_MINUTE) if self.is_priced else None,
            tariff=flat_tariff(PRICE_PER_KWH),
            references=(FLAT,),
        )
        sums = Sums()
        for minute in range(minutes):
            rows = {(HOUR + minute * MINUTE, "chat", self.model): self._usage()}
            sums = sums_with(sums, tick(rows, book=book))
        return render_metrics(snapshot(totals=sums, currency=self.currency))

    def _usage(self) -> object:
        joules = KWH_PER_MINUTE * 3.6e6
        if self.is_unused:
            return idle(idle_loaded_joules=joules)
        tokens = self.tokens
        return served(
            read=int(tokens["input"]),
            wrote=int(tokens["output"]),
            cached=int(tokens["cached_input"]) if self.tells_cache_hits else None,
            active_joules=joules,
        )


HOSTS = tuple(Host(number) for number in range(50))


class _Fleet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = {f"/{host.instance}": (host.page(1), host.page(2)) for host in HOSTS}
        self.reading = 0

    @property
    def scrape_config(self) -> dict:
        """The job of a prometheus.yml that scrapes all hosts, each by its name and site."""
        groups = [
            {
                "targets": [f"127.0.0.1:{self.server_port}"],
                "labels": {
                    "__metrics_path__": f"/{host.instance}",
                    "instance": host.instance,
                    "site": host.site,
                },
            }
            for host in HOSTS
        ]
        return {"job_name": "evenwatt", "scrape_interval": "1s", "static_configs": groups}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Fleet

    def do_GET(self) -> None:
        body = self.server.pages[self.path][self.server.reading]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served_hosts():
    """Serve all hosts; `reading` 0 or 1 says where they stand."""
    server = _Fleet()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
