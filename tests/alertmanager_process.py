"""A real Alertmanager as a process, on a configuration of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from engine_process import ChildServer, free_port

__all__ = ["AlertmanagerProcess"]


class AlertmanagerProcess(ChildServer):
    """An Alertmanager that is started and ended; used as a context.

    Args:
        folder: For its configuration, its data and its log.
        configuration: As alertmanager.yml has it.
    """

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        port, file = free_port(), folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(dict(configuration)))
        self.place = f"127.0.0.1:{port}"
        command = [
            "prometheus-alertmanager",
            f"--config.file={file}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={self.place}",
            # Empty: it would look for a private address to gossip on.
            "--cluster.listen-address=",
        ]
        super().__init__(
            command, port=port, log=folder / "alertmanager.log", health_url=f"http://{self.place}/-/ready"
        )
