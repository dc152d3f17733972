"""The shipped Grafana dashboards: what the code says, only exported names, and units that fit the queries."""

import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

from dashboard_files import CURRENCY, DASHBOARDS, PanelQuery, panels_of, queries_of
from evenwatt.sinks.metrics import METRICS
from promql_units import NUMBER, Unit, unit_of

ROOT = Path(__file__).parents[2]
RULES = {
    rule["record"]: rule["expr"]
    for file in sorted((ROOT / "dashboards" / "prometheus").glob("*.yaml"))
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
    if "record" in rule
}
QUERIES = [query for name, page in DASHBOARDS.items() for query in queries_of(name, page)]
PAGES = pytest.mark.parametrize("name", DASHBOARDS)

OTHERS_METRICS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
"""Of the Prometheus client, on the agent's page too."""

COLOURS = {"#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#8A8F98"}
"""Those of Okabe and Ito, and a grey: all can be told apart with any colour vision."""

PER = {
    None: NUMBER,
    "day": Unit(frozenset({("s", 1)}), 86_400.0),
    "hour": Unit(frozenset({("s", 1)}), 3_600.0),
    "minute": Unit(frozenset({("s", 1)}), 60.0),
    "Mtok": Unit(frozenset({("tok", 1)}), 1e6),
    "kWh": Unit(frozenset({("J", 1)}), 3.6e6),
}
"""What titles say that a panel is per."""

UNITS = {
    "none": NUMBER,
    "short": NUMBER,
    "bool_yes_no": NUMBER,
    "percentunit": NUMBER,
    "suffix: x": NUMBER,
    "locale": Unit(frozenset({("money", 1)})),
    "watt": Unit(frozenset({("J", 1), ("s", -1)})),
    "kwatth": Unit(frozenset({("J", 1)}), 3.6e6),
    "bytes": Unit(frozenset({("B", 1)})),
    "celsius": Unit(frozenset({("celsius", 1)})),
    "s": Unit(frozenset({("s", 1)})),
    "dtdurations": Unit(frozenset({("s", 1)})),
    "si:tok": Unit(frozenset({("tok", 1)})),
    "si:tok/s": Unit(frozenset({("tok", 1), ("s", -1)})),
}
"""What a unit of Grafana stands for."""


def built(root, *arguments):
    """Run the code that builds the dashboards, as it lies in a copy of the project."""
    command = [sys.executable, "-m", "scripts.dashboards", *arguments]
    return subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path):
    """A project of the dashboards and their code alone, which a test may spoil."""
    for folder in ("scripts/dashboards", "dashboards/grafana"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_the_dashboards_are_what_the_code_says():
    """Nobody has edited the JSON by hand, and nobody has forgotten to write it anew."""
    check = built(ROOT, "--check")

    assert check.returncode == 0, check.stdout + check.stderr


def test_the_check_shows_where_a_dashboard_differs(project):
    """A dashboard with another word in it, or one that no code builds, fails the check and stays."""
    file = project / "dashboards" / "grafana" / "overview.json"
    spoilt = file.read_text().replace("evenwatt_cost_per_hour", "evenwatt_cost_each_hour")
    file.write_text(spoilt)
    (file.parent / "strange.json").write_text("{}\n")

    check = built(project, "--check")

    assert check.returncode == 1
    assert "evenwatt_cost_each_hour" in check.stdout
    assert "strange.json" in check.stdout
    assert "make docs" in check.stdout
    assert file.read_text() == spoilt


def test_the_dashboards_are_written_where_they_are_missing(project):
    """Without --check they are written as they are shipped."""
    file = project / "dashboards" / "grafana" / "fleet.json"
    shipped = file.read_text()
    file.unlink()

    assert built(project).returncode == 0
    assert file.read_text() == shipped


@PAGES
def test_grafana_knows_every_key(name):
    """What Grafana's published types read and write again is the same document: no key is misspelt."""
    with warnings.catch_warnings():
        # The SDK prefers the second format of dashboards, which only the newest Grafana imports.
        warnings.simplefilter("ignore", DeprecationWarning)
        from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415 -- it warns on import

        register_default_plugins()
    shipped = DASHBOARDS[name]
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(shipped)))

    assert list(differences(shipped, read)) == []


def differences(shipped, read, place=""):
    """Yield where a document has lost something; what types fill in is no loss."""
    if isinstance(shipped, dict):
        for key, value in shipped.items():
            yield from differences(value, read.get(key) if isinstance(read, dict) else None, f"{place}/{key}")
    elif isinstance(shipped, list) and isinstance(read, list) and len(shipped) == len(read):
        for number, (one, other) in enumerate(zip(shipped, read, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif shipped != read:
        yield place


def test_provisioning_puts_them_where_the_docs_say():
    """Grafana reads the folder that the docs install the files to, and has a source of the type they ask."""
    folder = ROOT / "dashboards" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards" / "evenwatt.yaml").read_text())["providers"]
    (source,) = yaml.safe_load((folder / "datasources" / "evenwatt.yaml").read_text())["datasources"]
    types = {page["templating"]["list"][0]["query"] for page in DASHBOARDS.values()}

    assert provider["type"] == "file"
    assert (
        f"-t {provider['options']['path']} dashboards/grafana/*.json"
        in (ROOT / "docs/grafana.md").read_text()
    )
    assert types == {source["type"]}


def test_dashboards_have_identities_of_their_own():
    """A dashboard does not overwrite another one when it is imported."""
    assert len({page["uid"] for page in DASHBOARDS.values()}) == len(DASHBOARDS) == 5
    assert len({page["title"] for page in DASHBOARDS.values()}) == len(DASHBOARDS)


@PAGES
def test_every_panel_says_what_it_shows(name):
    """Each has a title of its own, a description, a unit, a question, and a source that can be chosen."""
    panels = [panel for panel in panels_of(DASHBOARDS[name]) if panel["type"] != "row"]
    titles = [panel["title"] for panel in panels]

    assert len(set(titles)) == len(titles)
    for panel in panels:
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for source in [panel["datasource"], *(target["datasource"] for target in panel["targets"])]:
            assert source == {"type": "prometheus", "uid": "${datasource}"}


@PAGES
def test_panels_fill_their_places(name):
    """No panel lies on another one, and each section fills the 24 columns to the right end."""
    taken = {}
    for panel in panels_of(DASHBOARDS[name]):
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
    ids = [panel["id"] for panel in panels_of(DASHBOARDS[name])]

    assert len(set(ids)) == len(ids)
    assert {x for x, _ in taken} == set(range(24))
    assert {y for _, y in taken} == set(range(max(y for _, y in taken) + 1))
    assert len(taken) == 24 * (max(y for _, y in taken) + 1)


@PAGES
def test_only_defined_variables_are_used(name):
    """A query or a title with a variable that is not there would ask for something else."""
    page = DASHBOARDS[name]
    defined = {variable["name"] for variable in page["templating"]["list"]}
    words = json.dumps([page["panels"], page["annotations"], page["templating"]])
    used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", words))

    assert {"datasource", "host", "currency"} <= defined
    assert {word for word in used if not word.startswith("__")} == defined
    assert used - defined <= {"__all", "__range", "__rate_interval"}


@PAGES
def test_only_exported_names_are_asked_for(name):
    """Metrics of the agent, recording rules that are shipped, and what Prometheus itself has."""
    asked = {
        word
        for query in QUERIES
        if query.dashboard == name
        for word in re.findall(r"\b(?:evenwatt|process)[\w:]+|\bALERTS\b", query.expr)
    }
    exported = {spec.name for spec in METRICS.values()} | RULES.keys() | OTHERS_METRICS | {"ALERTS"}

    assert asked
    assert asked <= exported


@PAGES
def test_colours_can_be_told_apart_with_any_colour_vision(name):
    """Every colour that a dashboard sets is one of the palette, thresholds and words too."""
    words = json.dumps(DASHBOARDS[name])

    assert set(re.findall(r"#[0-9A-Fa-f]{6}", words)) <= COLOURS
    assert not re.search(r'"(?:color|fixedColor)": "(?:red|green|yellow|orange)', words)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_units_fit_the_queries(query: PanelQuery):
    """The unit of a panel, and what its title says that it is per, is that of what its query works out."""
    if query.unit is None:
        return  # an annotation has none
    per = re.search(r"\b[Pp]er (Mtok|day|hour|minute|kWh)\b", query.title)
    claimed = UNITS[query.unit].times(PER[per[1] if per else None], -1)
    expression = query.asked({"__range": "1h", "__rate_interval": "1m"})

    assert unit_of(expression, RULES).fits(claimed)
    assert (query.unit == "locale") == any(unit == "money" for unit, _ in claimed.powers)


@pytest.mark.parametrize("query", [query for query in QUERIES if query.unit == "locale"], ids=str)
def test_money_says_its_currency(query: PanelQuery):
    """Which currency it is only the data knows: the title of the panel shows it."""
    assert f"${CURRENCY}" in query.panel


@pytest.mark.parametrize(
    ("expression", "unit"),
    [
        ("24 * sum(evenwatt_cost_per_hour)", UNITS["locale"].times(PER["day"], -1)),
        ("86400 * rate(evenwatt_cost_total[5m])", UNITS["locale"].times(PER["day"], -1)),
        ("rate(evenwatt_energy_joules_total[5m])", UNITS["watt"]),
        (
            "1e6 * increase(evenwatt_cost_total[1d]) / increase(evenwatt_tokens_total[1d])",
            UNITS["locale"].times(PER["Mtok"], -1),
        ),
        ("evenwatt:site_cost_per_mtok:1d", UNITS["locale"].times(PER["Mtok"], -1)),
        ("increase(evenwatt_energy_joules_total[1d]) / 3.6e6", UNITS["kwatth"]),
    ],
)
def test_units_of_known_queries(expression, unit):
    """The arithmetic that the dashboards are judged by knows powers, rates and conversions."""
    assert unit_of(expression, RULES).fits(unit)
    assert not unit_of(f"2 * {expression}", RULES).fits(unit)


def test_an_event_is_marked_once_it_is_there(tmp_path):
    """Also the first of its kind, which has no series before; not what was there when scraping began."""
    (events,) = [
        query.asked({}) for query in QUERIES if (query.dashboard, query.title) == ("health", "Other events")
    ]
    host = 'job="e",instance="a"'

    def marked(minute, *kinds):
        samples = [{"labels": f'{{{host},kind="{kind}"}}', "value": value} for kind, value in kinds]
        return {"expr": f"clamp_max({events}, 1)", "eval_time": f"{minute}m", "exp_samples": samples}

    series = {
        f"evenwatt_build_info{{{host}}}": "1x20",
        f'evenwatt_events_total{{{host},kind="engine_found"}}': "2x20",
        f'evenwatt_events_total{{{host},kind="clock_step"}}': "1x9 2x10",
        f'evenwatt_events_total{{{host},kind="history_down"}}': "_x10 1x10",
        f'evenwatt_events_total{{{host},kind="gap"}}': "_x10 1x10",
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            marked(1),
            marked(9),
            marked(11, ("clock_step", 1), ("history_down", 1)),
            marked(15),
        ],
    }
    (tmp_path / "events.yaml").write_text(yaml.safe_dump({"tests": [test]}))
    command = ["promtool", "test", "rules", str(tmp_path / "events.yaml")]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)

    assert answer.returncode == 0, answer.stdout + answer.stderr
