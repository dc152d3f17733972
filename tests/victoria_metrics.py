"""A real VictoriaMetrics as a process."""

from pathlib import Path

from engine_process import free_port
from promql_server import PromqlServer

__all__ = ["VictoriaMetrics"]


class VictoriaMetrics(PromqlServer):
    """One that shows at once what it has got; used as a context.

    Args:
        folder: For its data and its log.
        name: Of both.
        arguments: Of the command, beside those that say where things are.
    """

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        port = free_port()
        command = [
            "victoria-metrics",
            f"-storageDataPath={folder / name}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-search.latencyOffset=0s",
            "-search.disableCache",
            "-memory.allowedBytes=134217728",
            *arguments,
        ]
        super().__init__(command, port=port, log=folder / f"{name}.log")
