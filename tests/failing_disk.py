"""A disk that fails while a process writes a history: see `fakes/disk/failing_disk.c`."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["POWER_CUT", "FailingDisk"]

_SOURCE = Path(__file__).parent / "fakes" / "disk" / "failing_disk.c"
POWER_CUT = 77
"""The exit code of a process whose power was cut."""


class FailingDisk:
    """Runs works on a disk that fails.

    Args:
        folder: Where the library is built.
        name: Part of the paths of the files that it fails for.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._library, self._name = folder / "failing_disk.so", name
        flags = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread")
        subprocess.run(["gcc", *flags, "-o", self._library, _SOURCE, "-ldl"], check=True)

    def run(self, work: str, *arguments: str, how: str, after: int, count: int = 1, seed: int = 0) -> int:
        """Run `module:function` in a process of its own and return its exit code.

        Args:
            work: The module lies in `tests`.
            arguments: Texts.
            how: `cut`, `eio` or `full`.
            after: How many writes go well.
            count: How many fail then, where the power is not cut.
            seed: What chance begins with.
        """
        module, _, function = work.partition(":")
        program = f"import sys; from {module} import {function} as work; work(*sys.argv[1:])"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *filter(None, sys.path))),
            "LD_PRELOAD": str(self._library),
            "FAILING_DISK_NAME": self._name,
            "FAILING_DISK_HOW": how,
            "FAILING_DISK_AFTER": str(after),
            "FAILING_DISK_FOR": str(count),
            "FAILING_DISK_SEED": str(seed),
        }
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environment, check=False, timeout=120
        )
        return done.returncode
