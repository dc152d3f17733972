"""What the agent takes from the server it runs on: CPU and memory, from /proc."""

import http.client
import os
import re
import time
from pathlib import Path

from benchmarks.figures import Table
from benchmarks.server import ENGINES, GPUS, PAGE_LINES, metered_server

CPU_SECONDS_PER_MINUTE = 0.5
RESIDENT_MIB = 64

SCRAPE_SECONDS = 15
TICK_SECONDS = 10
SETTLING_SECONDS = 15
"""The start is over, and the first ticks with it."""


def run(seconds):
    with metered_server({"tick_seconds": TICK_SECONDS, "gpu_seconds": 1}) as agent:
        at_start = cpu_seconds(agent.pid)
        watch(agent, SETTLING_SECONDS)
        resident_before, cpu_before = memory_mib(agent.pid, "VmRSS"), cpu_seconds(agent.pid)
        began = time.monotonic()
        watch(agent, seconds)
        minutes = (time.monotonic() - began) / 60
        spent = cpu_seconds(agent.pid) - cpu_before
        table = Table(
            "resources",
            f"The agent with {GPUS} GPUs sampled each second and {ENGINES} engines of {PAGE_LINES} lines "
            f"read each {TICK_SECONDS} s, history on disk, a scrape each {SCRAPE_SECONDS} s; "
            f"watched for {minutes * 60:.0f} s. The hour is extrapolated.",
        )
        table.add("CPU a minute", spent / minutes, "s", CPU_SECONDS_PER_MINUTE)
        table.add("CPU an hour", spent / minutes * 60, "s", CPU_SECONDS_PER_MINUTE * 60)
        table.add("CPU until the first tick was done", at_start, "s")
        table.add("resident", memory_mib(agent.pid, "VmRSS"), "MiB", RESIDENT_MIB)
        table.add("resident at most", memory_mib(agent.pid, "VmHWM"), "MiB", RESIDENT_MIB)
        table.add("resident, growth", memory_mib(agent.pid, "VmRSS") - resident_before, "MiB")
    return table


def watch(agent, seconds):
    """Scrape as Prometheus does, for so long."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=5)
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        connection.close()
        time.sleep(min(SCRAPE_SECONDS, left))


def cpu_seconds(pid):
    """Return the CPU that all threads of a process have used, without its children (fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid, name):
    kib = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]
    return int(kib) / 1024
