"""What is shipped for the proxy is true: its page, its units, its recipes."""

import configparser
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from prometheus_client.parser import text_string_to_metric_families

from config_fixtures import settings_of
from evenwatt.cli.whole import app
from evenwatt.proxy.exchange import Books
from evenwatt.proxy.facts import UNKNOWN_ENGINE
from evenwatt.proxy.observations import Observations
from evenwatt.proxy.page import PROXY_METRICS, Page
from evenwatt.proxy.totals import Finished, Sums

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "proxy.md").read_text()
UNITS = sorted((ROOT / "systemd").glob("*proxy*"))


class Shown:
    """Totals that stand still."""

    def __init__(self):
        owner = Finished("m", "other", "local", "completed", "exact")
        self.shown = {owner: Sums(requests=1, reasoning_tokens=1, input_tokens=1)}
        self.counting_since_utc_seconds = 1.0
        self.unwritten = 0
        self.fault = None


def page():
    """Return the families of a page with one of everything."""
    observations = Observations(set())
    observations.observe("m", "completed", 1.0, 0.1)
    rendered = Page(
        Books(totals=Shown(), observations=observations, engine=UNKNOWN_ENGINE), "http://e"
    ).rendered()
    return list(text_string_to_metric_families(rendered.decode()))


def test_the_document_lists_the_page():
    """Each metric with its labels and its help, and none that there is not."""
    rows = {
        row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", DOCUMENT, re.MULTILINE)
    }
    shown = {}
    for family in (family for family in page() if not family.name.endswith("_created")):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        shown[name] = (labels, family.documentation)

    assert rows.keys() == shown.keys()
    for name, (labels, text) in rows.items():
        assert (set(labels.split(", ")) - {"-"}, text) == shown[name]
    assert PROXY_METRICS.keys() < shown.keys()


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL))
def test_the_recipes_are_configurations(block, monkeypatch, tmp_path):
    """Each can be written into the file as it stands."""
    (tmp_path / "team-a").write_text("key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert settings_of(_dedented(block)).proxy


def _dedented(block):
    document = yaml.safe_load(
        re.sub(r"^ {3}", "", block, flags=re.MULTILINE) if block.startswith(" ") else block
    )
    return yaml.safe_dump(document)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_can_be_read_and_start_what_there_is(unit):
    """Sections of systemd, a command of ours, and the port that the recipe names."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(unit)

    assert set(parser.sections()) <= {"Unit", "Service", "Install"}
    start = parser.get("Service", "ExecStart", fallback=None)
    if start is not None:
        program, command, *_ = shlex.split(start)
        assert Path(program).name == "evenwatt"
        assert command in typer.main.get_command(app).commands
    else:
        assert parser.get("Service", "Environment") == "OLLAMA_HOST=127.0.0.1:11435"
        assert "http://127.0.0.1:11435" in DOCUMENT
