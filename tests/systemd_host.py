"""A machine with a real systemd, as its administrator prepares it: GPUs, an engine, a secret."""

import shutil
import subprocess
from pathlib import Path

import yaml

from engine_process import free_port
from fake_nvml import FakeGpu, Scenario, build_library
from llama_server import prebuilt_server
from systemd_container import Container
from tiny_gguf import write_tiny_gguf

__all__ = ["KEY", "Host"]

SHOWN = "/opt/shown"
LLAMA = "/opt/llama"
KEY = "not-told-to-anybody"

UNIT = f"""
[Service]
Environment=LD_LIBRARY_PATH={SHOWN}/nvml EVENWATT_FAKE_NVML=/srv/nvml/scenario.txt
# The fake keeps a file for each of its clients.
ReadWritePaths=/srv/nvml
"""

LLAMA_UNIT = """
[Service]
Environment=LD_LIBRARY_PATH={libraries}
ExecStart={binary} --model {shown}/tiny.gguf --alias tiny --host 127.0.0.1 --port {port} --metrics -np 2 \
 -t 1 -c 2048 --device none --offline --no-ui --api-key {key}
DynamicUser=yes
"""


class Host:
    """A machine with GPUs out of a file and a llama.cpp server as a unit, on which nothing of ours is yet."""

    def __init__(self, folder: Path, packages: Path) -> None:
        binary, environment = prebuilt_server()
        self.port, self.llama_port = free_port(), free_port()
        shown = folder / "shown"
        shown.mkdir()
        library = build_library(folder / "nvml-build")
        (shown / "nvml").mkdir()
        shutil.copy(library, shown / "nvml")
        self._scenario = folder / "scenario.txt"
        Scenario(self._scenario, FakeGpu("GPU-0", watts=100.0), FakeGpu("GPU-1", watts=50.0))
        write_tiny_gguf(shown / "tiny.gguf")
        shown.chmod(0o755)
        (shown / "tiny.gguf").chmod(0o644)
        folders = [Path(part) for part in environment["LD_LIBRARY_PATH"].split(":") if Path(part).is_dir()]
        inside = {part: f"{LLAMA}/{number}" for number, part in enumerate([*folders, Path(binary).parent])}
        devices = folder / "devices"
        devices.mkdir()
        # NVIDIA's numbers, without a driver behind them; and those of a real one (tun).
        for name, minor in (("nvidiactl", 255), ("nvidia0", 0)):
            subprocess.run(["mknod", "-m", "666", devices / name, "c", "195", str(minor)], check=True)
        subprocess.run(["mknod", "-m", "666", devices / "other", "c", "10", "200"], check=True)
        self._llama_unit = LLAMA_UNIT.format(
            libraries=":".join(inside[part] for part in folders),
            binary=f"{inside[Path(binary).parent]}/{Path(binary).name}",
            shown=SHOWN,
            port=self.llama_port,
            key=KEY,
        )
        self.container = Container(
            folder,
            {shown: SHOWN, packages: "/opt/packages", **inside}
            | {devices / name: f"/dev/{name}" for name in ("nvidiactl", "nvidia0", "other")},
        )

    def prepare(self) -> None:
        """Write what an administrator would, and start the engine."""
        inside = self.container
        inside.write("/etc/systemd/system/llama.service", self._llama_unit)
        inside.write("/etc/systemd/system/evenwatt.service.d/test.conf", UNIT)
        inside.write("/etc/evenwatt/credentials/chat-key", KEY, mode=0o600)
        inside.write("/srv/nvml/scenario.txt", self._scenario.read_text())
        self.configure()
        inside.run("chmod -R a+rwX /srv/nvml && systemctl daemon-reload && systemctl start llama")

    def configure(self, **more: object) -> None:
        """Write the configuration."""
        settings = {
            "server": {"listen": f"127.0.0.1:{self.port}"},
            "sampling": {"tick_seconds": 0.5, "gpu_seconds": 0.1},
            "references": [{"name": "flat", "input": 1.0, "cached_input": 0.1, "output": 5.0}],
            "electricity": {"price_per_kwh": 0.3},
            "engines": [
                {
                    "name": "chat",
                    "url": f"http://127.0.0.1:{self.llama_port}",
                    "api_key": "credential:chat-key",
                    "gpus": [0, 1],
                }
            ],
            **more,
        }
        self.container.write("/etc/evenwatt/config.yaml", yaml.safe_dump(settings))
