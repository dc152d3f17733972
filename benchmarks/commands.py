"""How long a person waits for a command."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent_process import AgentProcess
from benchmarks.figures import Table, median

TIMES = 10
EVENWATT = str(Path(sys.executable).with_name("evenwatt"))
"""What people type."""


def run(_seconds):
    table = Table("commands", f"Median of {TIMES} runs, start to end; files in the page cache.")
    with tempfile.TemporaryDirectory(prefix="evenwatt-bench-") as name:
        folder = Path(name)
        with AgentProcess(folder, {"engines": []}) as agent:
            add_yardstick(table)
            config = ("--config", str(agent.config))
            for arguments in (("--help",), ("check-config", *config), ("status", *config)):
                wall, cpu = median_seconds(arguments)
                table.add(f"evenwatt {arguments[0]}", wall, "s")
                table.add(f"evenwatt {arguments[0]}, CPU", cpu, "s")
        caches = [folder / f"cache-{number}" for number in range(TIMES)]
        table.add("evenwatt plan, to its first output", _first_output_seconds(caches[:1] * TIMES), "s", 0.5)
        table.add("the same, first time of a day", _first_output_seconds(caches[1:]), "s", 0.5)
    return table


def _first_output_seconds(caches):
    """Return how long a person waits for the verdict; the API prices of a day are kept in the cache."""
    walls = []
    for cache in caches:
        began = time.perf_counter()
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        with subprocess.Popen([EVENWATT, "plan"], stdout=subprocess.PIPE, env=environment) as command:
            command.stdout.read(1)
            walls.append(time.perf_counter() - began)
            command.stdout.read()
    return median(walls)


def add_yardstick(table):
    """Say how fast the machine was: it may be twice as slow an hour later, where others use it too."""
    table.add("python -c pass", _median_seconds(sys.executable, "-c", "pass")[0], "s")


def median_seconds(arguments):
    """Return the wall and CPU time of a command of evenwatt's."""
    return _median_seconds(EVENWATT, *arguments)


def _median_seconds(*command):
    walls, cpus = [], []
    for _ in range(TIMES):
        began, cpu_before = time.perf_counter(), _children_cpu_seconds()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - began)
        cpus.append(_children_cpu_seconds() - cpu_before)
    return median(walls), median(cpus)


def _children_cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
