"""`evenwatt doctor`: proves the chain link by link, with the running agent's own eyes where there is one."""

from collections.abc import Iterator
from pathlib import Path

from evenwatt.config import Settings
from evenwatt.errors import AgentUnreachable
from evenwatt.service.access import local_socket
from evenwatt.service.client import running_status
from evenwatt.service.doctor.agent import agent_findings
from evenwatt.service.doctor.direct import engine_findings, gpu_findings
from evenwatt.service.doctor.machine import clock_finding, history_finding, process_finding
from evenwatt.service.doctor.settings import price_findings, settings_finding
from evenwatt.snapshot.checks import Finding, Health

__all__ = ["findings"]


def findings(settings: Settings, config_path: Path | None) -> Iterator[Finding]:
    """Yield what is found of each link, in the order in which figures travel.

    Every look is bounded in time. Nothing is written and no model is loaded; without an agent the engines are
    asked for their pages once.

    Args:
        settings: As loaded.
        config_path: Where from; None: there is no file.
    """
    yield settings_finding(settings, config_path)
    yield clock_finding()
    yield process_finding()
    try:
        status = running_status(settings.server.listen, local_socket(settings))
    except AgentUnreachable as error:
        mend = "start it with `evenwatt run`; until then the links below are looked at without it"
        yield Finding(link="agent", health=Health.BROKEN, text=str(error), mend=mend)
        yield from gpu_findings()
        yield from engine_findings(settings)
    else:
        yield from agent_findings(status)
    yield from price_findings(settings)
    yield history_finding(settings.history.path)
