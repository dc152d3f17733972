"""Every exception that crosses a module boundary.

EvenwattError
├── ConfigError            the user's configuration cannot be used; carries all faults at once
├── SourceError            a source gave no reading this time; data for the health page, not a crash
│   ├── SourceUnavailable      no answer: closed, refused, timed out, lost
│   └── SourceContractError    an answer that is not what this kind of source says
├── HistoryError           the history cannot be opened or written
│   └── HistoryInUse           another agent holds it
├── OptionError            what was typed means nothing, or cannot hold together
├── ReportError            a report that was asked for cannot be made
├── ExchangeError          an export, import or backup cannot be made
├── CalibrationRefused     a load run is not begun, or found nothing
├── InstallationRefused    the service cannot be installed, removed or asked for
├── AgentUnreachable       a command found no running agent to talk to
└── EngineError            the engine behind a proxy did not do its part
    ├── EngineUnreachable      it could not be connected to: nothing was sent
    └── EngineBroke            it broke off, or does not speak HTTP
"""

__all__ = [
    "AgentUnreachable",
    "CalibrationRefused",
    "ConfigError",
    "EngineBroke",
    "EngineError",
    "EngineUnreachable",
    "EvenwattError",
    "ExchangeError",
    "HistoryError",
    "HistoryInUse",
    "InstallationRefused",
    "OptionError",
    "ReportError",
    "SourceContractError",
    "SourceError",
    "SourceUnavailable",
]


class EvenwattError(Exception):
    """Root of everything evenwatt raises on purpose; the message is a sentence for a person."""


class ConfigError(EvenwattError):
    """The configuration cannot be used.

    Attributes:
        faults: One finished line of text for each fault, in the order of the file.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class SourceError(EvenwattError):
    """A source gave no reading; the message names its address and what to try."""


class SourceUnavailable(SourceError):
    """The source did not answer: closed port, timeout, lost device, released driver."""


class SourceContractError(SourceError):
    """The source answered something that is not a page or value of its kind."""


class HistoryError(EvenwattError):
    """The history database cannot be opened, read or written."""


class HistoryInUse(HistoryError):
    """Another agent writes this history.

    Attributes:
        pid: The process that holds it, where known.
    """

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class CalibrationRefused(EvenwattError):
    """A load run would disturb somebody, cannot be done, or found nothing; the message says what to do."""


class AgentUnreachable(EvenwattError):
    """No running agent answered at the address of the configuration."""


class InstallationRefused(EvenwattError):
    """The service cannot be installed or removed here; the message says what to do."""


class OptionError(EvenwattError):
    """What was typed means nothing; the message names the option and what it takes."""


class ReportError(EvenwattError):
    """A report cannot be made: of a window that is none, that holds nothing, or that cannot be written."""


class ExchangeError(EvenwattError):
    """An export, an import or a backup cannot be made; the message names the file and says what to do."""


class EngineError(EvenwattError):
    """The engine behind a proxy did not do its part."""


class EngineUnreachable(EngineError):
    """The engine could not be connected to; nothing was sent to it.

    Attributes:
        is_late: Whether it did not accept in time, and did not refuse.
    """

    def __init__(self, message: str, *, is_late: bool = False) -> None:
        super().__init__(message)
        self.is_late = is_late


class EngineBroke(EngineError):
    """The engine closed the connection before its answer had ended, or answered something that is no HTTP."""
