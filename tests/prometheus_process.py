"""A real Prometheus as a process, on a configuration of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from engine_process import free_port
from promql_server import PromqlServer

__all__ = ["PrometheusProcess", "rules_evaluated_each"]


class PrometheusProcess(PromqlServer):
    """A Prometheus that is started, asked and ended; used as a context.

    Args:
        folder: For its configuration, its data (`tsdb`) and its log.
        configuration: As prometheus.yml has it.
        arguments: Of the command, beside those that say where things are.
    """

    def __init__(
        self, folder: Path, configuration: Mapping[str, Any], *, arguments: Sequence[str] = ()
    ) -> None:
        port, file = free_port(), folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(dict(configuration)))
        place = f"127.0.0.1:{port}"
        command = [
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={place}",
            *arguments,
        ]
        super().__init__(
            command, port=port, log=folder / "prometheus.log", health_url=f"http://{place}/-/ready"
        )


def rules_evaluated_each(seconds: float, files: Sequence[Path], folder: Path) -> list[str]:
    """Copy rule files to a folder, with another interval and no other difference; return where they are."""
    copies = []
    for file in files:
        document = yaml.safe_load(file.read_text())
        for group in document["groups"]:
            group["interval"] = f"{seconds:g}s"
        copy = folder / file.name
        copy.write_text(yaml.safe_dump(document, sort_keys=False))
        copies.append(str(copy))
    return copies
