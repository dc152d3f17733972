"""Figures beside the budgets they are held against: `python -m benchmarks`.

Nothing here fails: a figure depends on the machine, and is for a person to judge. The programs that are
measured are the real ones; GPUs and engines are those of the tests.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
