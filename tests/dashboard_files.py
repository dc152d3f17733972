"""The shipped Grafana dashboards, and every query in them as Grafana would ask it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CURRENCY", "DASHBOARDS", "PanelQuery", "panels_of", "queries_of", "with_values"]

FOLDER = Path(__file__).parents[1] / "dashboards" / "grafana"
DASHBOARDS: Mapping[str, Any] = {
    file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))
}
CURRENCY = "currency"


@dataclass(frozen=True, kw_only=True)
class PanelQuery:
    """One query of a panel, a variable or an annotation.

    Attributes:
        title: Of the panel; of a table that of the column.
        legend: What names the series, labels in double braces.
        unit: As Grafana names it; None where there is no number to show.
    """

    dashboard: str
    panel: str
    title: str
    expr: str
    legend: str
    unit: str | None
    is_instant: bool
    is_table: bool

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.title}"

    def asked(self, values: Mapping[str, str]) -> str:
        """Return the query with values in place of variables; those that have none match anything."""
        return with_values(self.expr, values)


def with_values(expression: str, values: Mapping[str, str]) -> str:
    """Return an expression with values in place of variables; those that have none match anything."""
    return re.sub(r"\$\{?([A-Za-z_]\w*)\}?", lambda found: values.get(found[1], ".*"), expression)


def panels_of(page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every panel, those within rows too."""
    for panel in page["panels"]:
        yield panel
        yield from panel.get("panels") or ()


def queries_of(name: str, page: Mapping[str, Any]) -> Iterator[PanelQuery]:
    """Yield every query of a dashboard's panels and annotations."""
    for panel in panels_of(page):
        titles, units = _columns(panel)
        for target in panel.get("targets") or ():
            title = titles.get(target["refId"], panel["title"])
            yield PanelQuery(
                dashboard=name,
                panel=panel["title"],
                title=title,
                expr=target["expr"],
                legend=target.get("legendFormat", ""),
                unit=units.get(title, panel.get("fieldConfig", {}).get("defaults", {}).get("unit")),
                is_instant=target.get("instant", False),
                is_table=target.get("format") == "table",
            )
    for annotation in page["annotations"]["list"]:
        if "expr" in annotation:
            yield PanelQuery(
                dashboard=name,
                panel="annotations",
                title=annotation["name"],
                expr=annotation["expr"],
                legend=annotation.get("titleFormat", ""),
                unit=None,
                is_instant=False,
                is_table=False,
            )


def _columns(panel: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the titles of a table's columns by the letter of their query, and their units by title."""
    if panel["type"] != "table":
        return {}, {}
    (organize,) = [step for step in panel["transformations"] if step["id"] == "organize"]
    names = organize["options"]["renameByName"]
    titles = {
        name.removeprefix("Value #"): title for name, title in names.items() if name.startswith("Value #")
    }
    units = {
        override["matcher"]["options"]: value["value"]
        for override in panel["fieldConfig"]["overrides"]
        for value in override["properties"]
        if value["id"] == "unit"
    }
    return titles, units
