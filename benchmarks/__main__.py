"""Runs the benchmarks that are named, or all of them, and prints them as a Markdown page."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping

from benchmarks import commands, latency, page, pages, proxy, report, resources, tick
from benchmarks.figures import Table, head

BENCHMARKS: Mapping[str, Callable[[float], Table]] = {
    "resources": resources.run,
    "pages": pages.run,
    "latency": latency.run,
    "tick": tick.run,
    "crowd": tick.run_crowded,
    "commands": commands.run,
    "report": report.run,
    "page": page.run,
    "proxy": proxy.run,
}

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(BENCHMARKS)}; none: all")
parser.add_argument(
    "--seconds", type=float, default=120.0, help="how long the agent's resources are watched (default: 120)"
)
arguments = parser.parse_args()
unknown = [name for name in arguments.names if name not in BENCHMARKS]
if unknown:
    parser.error(f"no benchmark is named {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
# Where it is set, each command would compile all that changed since it was installed.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
print(head(sys.orig_argv[1:]), flush=True)
for name in arguments.names or BENCHMARKS:
    print(BENCHMARKS[name](arguments.seconds).rendered(), flush=True)
