"""What the running agent sees, judged: its sources, its GPUs, its engines' counters, who scrapes it."""

from collections.abc import Iterator, Mapping
from typing import Any

from evenwatt.service.doctor.direct import broken_engine
from evenwatt.snapshot.checks import Finding, Health

__all__ = ["agent_findings"]

Document = Mapping[str, Any]
"""Of `evenwatt status --json`."""

_OFF_RATIO = 0.1
"""How far the energy counter and integrated power may part."""
_LONG_AGO_SECONDS = 600.0


def agent_findings(status: Document) -> Iterator[Finding]:
    """Yield what the status document of the running agent says of each link."""
    simulated = " It runs on SIMULATED readings." if status["simulated"] else ""
    up = sum(source["up"] for source in status["sources"])
    yield Finding(
        link="agent",
        health=Health.WEAK if status["simulated"] else Health.GOOD,
        text=f"evenwatt {status['version']}, {up} of {len(status['sources'])} sources are up.{simulated}",
        mend="nothing was found to meter; see the links below" if status["simulated"] else None,
    )
    if not status["config_reload_ok"]:
        yield Finding(
            link="configuration",
            health=Health.BROKEN,
            text="the agent refused the file on disk and goes on with the one before",
            mend="see evenwatt check-config, then send the agent SIGHUP",
        )
    yield from _gpus(status)
    for engine in status["engines"]:
        yield _engine(status, engine)
    if not status["engines"]:
        yield Finding(
            link="engines",
            health=Health.BROKEN,
            text="no engine is known, so that no token is counted",
            mend="start one, or write `engines:` with its URL",
        )
    yield _prometheus(status)
    history = status["history"]
    if not history["up"]:
        yield Finding(
            link="history",
            health=Health.BROKEN,
            text=f"not written: {history['error']}",
            mend="see that its disk has room and that the agent's user may write there",
        )


def _gpus(status: Document) -> Iterator[Finding]:
    for gpu in status["gpus"]:
        link = f"GPU {gpu['index']}"
        if gpu["fault"] is not None:
            yield Finding(link=link, health=Health.BROKEN, text=f"{gpu['name']}: {gpu['fault']}")
            continue
        said = f"{gpu['name']}, energy by {gpu['energy_source']}, costs go to {', '.join(gpu['engines'])}"
        ratio = gpu["counter_power_ratio"]
        if ratio is not None and abs(ratio - 1) > _OFF_RATIO:
            yield Finding(
                link=link,
                health=Health.WEAK,
                text=f"{said}; its energy counter says {ratio:.2f} times what its power adds up to",
                mend="compare with a wall meter; a driver update has mended this on some cards",
            )
        else:
            yield Finding(link=link, health=Health.GOOD, text=said)
    if status["gpus_released"]:
        yield Finding(
            link="driver",
            health=Health.BROKEN,
            text="the GPUs are let go on request",
            mend="evenwatt gpu resume",
        )
    elif not status["gpus"]:
        yield Finding(
            link="driver",
            health=Health.WEAK,
            text="no GPU is metered, so that their energy is not known",
            mend="install the NVIDIA driver where there is a GPU; see the agent's log for what it said",
        )


def _engine(status: Document, engine: Document) -> Finding:
    link = f"engine {engine['engine']}"
    if not engine["up"]:
        source = next((s for s in status["sources"] if s["source"] == engine["engine"]), None)
        error = "it did not answer" if source is None else source["error"]
        return broken_engine(engine["engine"], str(error))
    tokens = _tokens(status, engine["engine"])
    models = ", ".join(engine["models"]) or "no model yet"
    if tokens:
        text = f"{engine['kind']} at {engine['address']}, {models}: {tokens:,} tokens counted so far"
        return Finding(link=link, health=Health.GOOD, text=text)
    return Finding(
        link=link,
        health=Health.WEAK,
        text=f"{engine['kind']} at {engine['address']}, {models}: no token counted yet",
        mend="send it a request and look again; what it counted before the agent first saw it is not booked",
    )


def _tokens(status: Document, engine: str) -> int:
    kinds = ("input_tokens", "cached_input_tokens", "output_tokens")
    rows = [row for row in status["totals"] if row["engine"] == engine]
    return sum(row[kind] or 0 for row in rows for kind in kinds)


def _prometheus(status: Document) -> Finding:
    last, agent = status["last_scrape_utc_seconds"], status["last_scrape_by"]
    if last is None:
        return Finding(
            link="prometheus",
            health=Health.WEAK,
            text="nobody has scraped /metrics since the agent started",
            mend="add a scrape job for this agent; it is needed for dashboards and fleet alerts only",
        )
    age_seconds = status["utc_seconds"] - last
    text = f"/metrics was last read {age_seconds:.0f} s ago by {agent}"
    if age_seconds > _LONG_AGO_SECONDS:
        return Finding(
            link="prometheus", health=Health.WEAK, text=text, mend="see the target's state in Prometheus"
        )
    return Finding(link="prometheus", health=Health.GOOD, text=text)
