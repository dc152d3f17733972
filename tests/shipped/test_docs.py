"""What is shipped beside the code is true: documents, the example configuration, links."""

import re
import shutil
import subprocess
import sys

import pytest
import typer

from documents import PAGES, ROOT
from evenwatt.cli.whole import app
from evenwatt.proxy.page import PROXY_METRICS
from evenwatt.sinks.metrics import METRICS

README = (ROOT / "README.md").read_text()

PROXY_HISTOGRAMS = {"evenwatt_proxy_time_to_first_token_seconds", "evenwatt_proxy_request_duration_seconds"}
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
"""The file that a link of a page leads to."""


def commands_of(group, name="evenwatt"):
    """Yield every command as it is typed, groups by their commands."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{name} {word}")
        else:
            yield f"{name} {word}"


WRITTEN = {
    "api": ("What the agent sees now", "What the agent saw then"),
    "metrics": ("Energy drawn by a GPU.", "Energy of a GPU."),
    "configuration-keys": ("What one USD is worth", "What one dollar is worth"),
    "history-tables": ("`output_tokens` INTEGER", "`output_words` INTEGER"),
}
"""Documents that are made from the code, with words that each has and others that it has not."""

SCRIPTS = {
    "api": "api_docs.py",
    "configuration-keys": "config_docs.py",
    "history-tables": "history_docs.py",
    "metrics": "metrics_docs.py",
}

READ = (
    "scripts/generated.py",
    "scripts/openapi.py",
    "config.example.yaml",
    "agent/evenwatt/sinks/web/page/openapi.json",
)
"""What the scripts read beside the code that is installed."""


def run_script(root, name, *arguments):
    """Run the script that writes a document as it lies in a copy of the project."""
    command = [sys.executable, str(root / "scripts" / SCRIPTS[name]), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path):
    """A project of its scripts and the shipped documents alone, which a test may spoil."""
    scripts = [f"scripts/{script}" for script in SCRIPTS.values()]
    for file in (*scripts, *READ, *(f"docs/{name}.md" for name in WRITTEN)):
        (tmp_path / file).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_document_says_what_the_code_says(name):
    """A document is what its script makes of the code."""
    check = run_script(ROOT, name, "--check")

    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("name", WRITTEN)
def test_the_check_of_a_document_shows_where_it_differs(project, name):
    """A document with another word in it fails the check, which shows the line and changes nothing."""
    document = project / "docs" / f"{name}.md"
    right, wrong = WRITTEN[name]
    spoilt = document.read_text().replace(right, wrong)
    document.write_text(spoilt)

    check = run_script(project, name, "--check")

    assert check.returncode == 1
    assert wrong in check.stdout
    assert "make docs" in check.stdout
    assert document.read_text() == spoilt


@pytest.mark.parametrize("name", WRITTEN)
def test_a_document_is_written_where_it_is_missing(project, name):
    """Without --check the script writes the document as it is shipped."""
    document = project / "docs" / f"{name}.md"
    document.unlink()

    assert run_script(project, name).returncode == 0
    assert document.read_text() == (ROOT / "docs" / f"{name}.md").read_text()


@pytest.mark.parametrize("command", list(commands_of(typer.main.get_command(app))))
def test_the_readme_names_every_command(command):
    """A person finds each command in the README, as it is typed."""
    assert f"`{command}`" in README


def test_the_example_configuration_passes_its_check():
    """`evenwatt check-config` finds nothing wrong with the example as it is shipped."""
    command = [sys.executable, "-m", "evenwatt", "check-config", "--config", "config.example.yaml"]
    check = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)

    assert check.returncode == 0, check.stdout + check.stderr


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
