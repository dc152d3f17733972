"""What is shipped beside the code is true: documents, the example configuration, links."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import typer

from evenwatt.cli.whole import app
from evenwatt.config import parse_settings
from evenwatt.proxy.page import PROXY_METRICS
from evenwatt.sinks.metrics import METRICS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))

PROXY_HISTOGRAMS = {"evenwatt_proxy_time_to_first_token_seconds", "evenwatt_proxy_request_duration_seconds"}
YAML = re.compile(r"^ *```yaml\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
"""A piece of YAML in a page, also within a list."""

OTHERS = ("scrape_configs:", "rule_files:", "groups:", "- alert:")
"""How pieces begin that are for Prometheus, not for the agent."""

SNIPPETS = [
    pytest.param(dedent(snippet), id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, snippet in enumerate(YAML.findall(page.read_text()), 1)
    if not dedent(snippet).startswith(OTHERS)
]

LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
"""The file that a link of a page leads to."""


def commands_of(group, name="evenwatt"):
    """Yield every command as it is typed, groups by their commands."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{name} {word}")
        else:
            yield f"{name} {word}"


def metrics_docs(root, *arguments):
    """Run the script that writes docs/metrics.md as it lies in a copy of the project."""
    command = [sys.executable, str(root / "scripts" / "metrics_docs.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path):
    """A project of its scripts and the shipped document alone, which a test may spoil."""
    for file in ("scripts/metrics_docs.py", "scripts/generated.py", "docs/metrics.md"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_the_metrics_document_says_what_the_code_says():
    """docs/metrics.md is what its script makes of the metrics in the code."""
    check = metrics_docs(ROOT, "--check")

    assert check.returncode == 0, check.stdout + check.stderr


def test_the_metrics_check_shows_where_the_document_differs(project):
    """A document with another word in it fails the check, which shows the line and changes nothing."""
    document = project / "docs" / "metrics.md"
    spoilt = document.read_text().replace("Energy drawn by a GPU.", "Energy of a GPU.")
    document.write_text(spoilt)

    check = metrics_docs(project, "--check")

    assert check.returncode == 1
    assert "Energy of a GPU." in check.stdout
    assert "make docs" in check.stdout
    assert document.read_text() == spoilt


def test_the_metrics_document_is_written_where_it_is_missing(project):
    """Without --check the script writes the document as it is shipped."""
    document = project / "docs" / "metrics.md"
    document.unlink()

    assert metrics_docs(project).returncode == 0
    assert document.read_text() == (ROOT / "docs" / "metrics.md").read_text()


@pytest.mark.parametrize("command", list(commands_of(typer.main.get_command(app))))
def test_the_readme_names_every_command(command):
    """A person finds each command in the README, as it is typed."""
    assert f"`{command}`" in README


def test_the_example_configuration_passes_its_check():
    """`evenwatt check-config` finds nothing wrong with the example as it is shipped."""
    command = [sys.executable, "-m", "evenwatt", "check-config", "--config", "config.example.yaml"]
    check = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)

    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_configuration_in_documents_can_be_taken_as_it_stands(snippet, tmp_path, monkeypatch):
    """Each piece of configuration in a page passes by itself the check that a file does."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in re.findall(r"credential:([\w-]+)", snippet):
        (tmp_path / name).write_text("secret")

    settings = parse_settings(snippet.encode(), "config.yaml")

    assert settings.model_fields_set


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(page):
    """Every file or folder that a page links to is there."""
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]

    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documents_name_only_metrics_that_there_are(page):
    """Every metric in the prose or in a query of a page is one that the agent exports."""
    named = set(re.findall(r"\bevenwatt_\w+", page.read_text()))

    assert named <= {spec.name for spec in METRICS.values()} | PROXY_METRICS.keys() | PROXY_HISTOGRAMS
