"""Settings while the agent runs: what a reload takes up, and what the ledger goes by."""

import logging
from pathlib import Path

from evenwatt.config import Settings, load
from evenwatt.errors import ConfigError, SourceError
from evenwatt.ledger import HostRules, LedgerRules, TokenWeights
from evenwatt.service.electricity.tariffs import site_holidays

__all__ = ["ledger_rules", "reloaded_settings"]

_log = logging.getLogger("evenwatt")

_GAP_TICKS = 3


def reloaded_settings(path: Path | None, before: Settings) -> Settings:
    """Return the configuration as it is now.

    What takes effect at the next start only is logged.

    Args:
        path: Of the file; None: the usual places.
        before: What is in force.

    Raises:
        ConfigError: It is wrong, or cannot follow on what is in force.
    """
    settings = load(path)
    try:
        site_holidays(settings)
    except SourceError as error:
        raise ConfigError((str(error),)) from error
    if settings.currency != before.currency:
        raise ConfigError((f"currency cannot change within one history, from {before.currency}",))
    for name, old, new in (
        ("server.listen", before.server, settings.server),
        ("history.path", before.history, settings.history),
        ("sampling.gpu_seconds", before.sampling.gpu_seconds, settings.sampling.gpu_seconds),
    ):
        if old != new:
            _log.warning("%s changed; it takes effect when the agent is started again", name)
    return settings


def ledger_rules(settings: Settings, *, remote_engines: frozenset[str], host: HostRules) -> LedgerRules:
    """Return how the ledger folds readings.

    Args:
        settings: As configured.
        remote_engines: Those on other machines, by name.
        host: How host energy follows from what is measured.
    """
    return LedgerRules(
        gap_after_seconds=_GAP_TICKS * settings.sampling.tick_seconds,
        configured_gpus={
            engine.name: engine.gpus for engine in settings.engines or () if engine.gpus is not None
        },
        in_totals={
            engine.name: engine.in_totals for engine in settings.engines or () if engine.in_totals is not None
        },
        remote_engines=remote_engines,
        host=host,
        weights=TokenWeights(
            input_weight=settings.attribution.input_token_weight,
            output_weight=settings.attribution.output_token_weight,
        ),
    )
