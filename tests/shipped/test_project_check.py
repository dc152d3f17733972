"""The project's own check is a test, so that `make test` is all that has to pass."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_the_check_finds_nothing():
    """Format, lint, types, import rules, spelling and generated documents are as they should be."""
    check = subprocess.run(["scripts/check", "--fast"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert check.returncode == 0, check.stdout[-6000:] + check.stderr[-2000:]
