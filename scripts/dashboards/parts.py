"""What all dashboards are made of: variables, queries, panels, and one vocabulary of units and colours.

Money has none of Grafana's units: each of those carries a currency, and only the data knows which one it is.
Titles say it through the variable `currency`, and dashboards show hosts of one currency at a time.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart; where one means good
or bad, the number or a word beside it says so too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

__all__ = [
    "ALERTS",
    "BAD_BELOW_ONE",
    "BLUE",
    "CACHE",
    "COMPONENTS",
    "GREEN",
    "GREY",
    "HOSTS",
    "MONEY",
    "ORANGE",
    "PURPLE",
    "SKY",
    "STATES",
    "TIMES",
    "TOKEN_TYPES",
    "VERMILION",
    "Column",
    "Page",
    "Query",
    "Section",
    "Variable",
    "asked_now",
    "bars",
    "colours",
    "dashed",
    "data_source",
    "events",
    "figure",
    "hosts_of_one_currency",
    "legend",
    "lines",
    "logarithmic",
    "magnitudes",
    "mapped",
    "one_host",
    "one_of",
    "painted",
    "rows",
    "stacked",
    "states",
    "steps",
    "titled",
    "transformed",
    "verdicts",
]

BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILION, PURPLE, GREY = "#E69F00", "#D55E00", "#CC79A7", "#8A8F98"

MONEY: Final = "locale"
"""A number with separators of thousands; the title says the currency."""

TIMES: Final = "suffix: x"
"""How many times one thing is another."""

COMPONENTS: Final = {"hardware": BLUE, "energy": ORANGE, "labour": PURPLE, "other": GREY}
STATES: Final = {"active": BLUE, "idle_loaded": ORANGE, "idle_empty": GREY}
TOKEN_TYPES: Final = {"input": BLUE, "cached_input": SKY, "output": ORANGE}
CACHE: Final = {"observed": BLUE, "none": ORANGE}

HOSTS: Final = 'instance=~"$host"'
"""Selects the hosts of a dashboard on which several can be chosen."""

_SOURCE: Final = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_COLUMNS = 24

Panel = Any
"""A builder of any kind of panel; the SDK has no common type that has the methods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question to Prometheus.

    Attributes:
        legend: How Grafana names each series, labels in double braces.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of numbers of a table: one query, whose labels name the rows.

    Attributes:
        thresholds: The colours of its cells, where they mean something.
    """

    title: str
    expr: str
    unit: str
    decimals: int | None = None
    thresholds: Sequence[tuple[float | None, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A drop-down whose values are those of a label.

    Attributes:
        several: Whether more than one value, and all, can be chosen.
    """

    name: str
    title: str
    description: str
    query: str
    several: bool = False
    hidden: bool = False
    first: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled row of panels, each with its width of 24 and the height of all."""

    title: str
    height: int
    panels: Sequence[tuple[int, Panel]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One dashboard.

    Attributes:
        file: Its name in dashboards/grafana/.
        span: The time range that it opens with, up to now.
    """

    file: str
    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    sections: Sequence[Section]
    annotations: Sequence[builders.AnnotationQuery] = ()
    span: str = "now-24h"

    def build(self) -> models.Dashboard:
        """Return the dashboard as the SDK encodes it."""
        dashboard = (
            builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags(["evenwatt"])
            .refresh("1m")
            .time(self.span, "now")
            .timezone("browser")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .link(_links())
            .with_variable(data_source())
        )
        for variable in self.variables:
            dashboard = dashboard.with_variable(_variable(variable))
        for annotation in self.annotations:
            dashboard = dashboard.annotation(annotation)
        number = 0
        for section in self.sections:
            number += 1
            dashboard = dashboard.with_row(builders.Row(section.title).id(number))
            for width, panel in section.panels:
                number += 1
                dashboard = dashboard.with_panel(panel.id(number).span(width).height(section.height))
        return dashboard.build()


def data_source() -> builders.DatasourceVariable:
    """Return the variable that every query goes to."""
    return (
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus, or what speaks its language, that scrapes the hosts.")
        .type("prometheus")
    )


def _variable(variable: Variable) -> builders.QueryVariable:
    drop_down = (
        builders.QueryVariable(variable.name)
        .label(variable.title)
        .description(variable.description)
        .query(variable.query)
        .definition(variable.query)
        .datasource(_SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
    )
    if variable.hidden:
        drop_down = drop_down.hide(models.VariableHide.HIDE_VARIABLE)
    if variable.several:
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        # `.*` also takes what has no such label: a fleet without sites is one site.
        return drop_down.multi(True).include_all(True).all_value(".*").current(everything)
    if variable.first is not None:
        first = models.VariableOption(selected=True, text=variable.first, value=variable.first)
        return drop_down.current(first)
    return drop_down


def one_of(name: str, title: str, description: str, query: str, *, first: str | None = None) -> Variable:
    """Return a drop-down of which one value is chosen."""
    return Variable(name=name, title=title, description=description, query=query, first=first)


def one_host() -> tuple[Variable, Variable]:
    """Return the choice of a host, and its currency, which follows."""
    host = one_of(
        "host", "Host", "The agent, as it is scraped.", "label_values(evenwatt_build_info, instance)"
    )
    currency = Variable(
        name="currency",
        title="Currency",
        description="Of all money of the host.",
        query='label_values(evenwatt_money_info{instance="$host"}, currency)',
        hidden=True,
    )
    return host, currency


def hosts_of_one_currency() -> tuple[Variable, Variable]:
    """Return the choice of a currency, and of the hosts whose money is in it."""
    currency = one_of(
        "currency",
        "Currency",
        "Money of different currencies is not added up: these are hosts of one.",
        "label_values(evenwatt_money_info, currency)",
    )
    hosts = Variable(
        name="host",
        title="Host",
        description="The agents, as they are scraped.",
        query='label_values(evenwatt_money_info{currency="$currency"}, instance)',
        several=True,
    )
    return currency, hosts


def _links() -> builders.DashboardLink:
    return (
        builders.DashboardLink("evenwatt")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(["evenwatt"])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


# --- queries -----------------------------------------------------------------------------------------------


def _query(number: int, query: Query) -> prometheus.Dataquery:
    asked = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number)).datasource(_SOURCE)
    return asked.legend_format(query.legend) if query.legend else asked


def _over_time(panel: Panel, queries: Sequence[Query]) -> Panel:
    for number, query in enumerate(queries):
        panel = panel.with_target(_query(number, query).range())
    return panel


def asked_now(panel: Panel, queries: Sequence[Query], *, as_table: bool = False) -> Panel:
    """Ask for what is now: a number for each series or, as a table, a row for each."""
    for number, query in enumerate(queries):
        asked = _query(number, query).instant()
        if as_table:
            asked = asked.format(prometheus_models.PromQueryFormat.TABLE)
        panel = panel.with_target(asked)
    return panel


def transformed(panel: Panel, *transformations: tuple[str, Mapping[str, Any]]) -> Panel:
    """Add transformations, each by its id and options."""
    for name, options in transformations:
        panel = panel.with_transformation(models.DataTransformerConfig(id_val=name, options=dict(options)))
    return panel


# --- colours -----------------------------------------------------------------------------------------------


def steps(*levels: tuple[float | None, str]) -> builders.ThresholdsConfig:
    """Return thresholds: each colour from its value on, the first from anything on."""
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=colour) for value, colour in levels])
    )


BAD_BELOW_ONE: Final = ((None, VERMILION), (1.0, SKY))
"""Colours of a ratio of API bill to own cost."""


def colours(panel: Panel, by_name: Mapping[str, str]) -> Panel:
    """Give each series its colour by its name, so that it is the same on every panel."""
    for name, colour in by_name.items():
        panel = panel.override_by_name(name, [painted(colour)])
    return panel


def painted(colour: str) -> models.DynamicConfigValue:
    """Return the property of a series that has a colour of its own."""
    return models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def mapped(*names: tuple[float, str, str]) -> list[models.ValueMapping]:
    """Return words and colours for values that stand for something."""
    options = {
        f"{value:g}": models.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, text, colour) in enumerate(names)
    }
    return [models.ValueMap(options=options)]


def verdicts() -> list[models.ValueMapping]:
    """Return the words for a ratio of API bill to own cost."""
    return [
        models.RangeMap(
            options=models.DashboardRangeMapOptions(
                from_val=low,
                to=high,
                result=models.ValueMappingResult(text=text, color=colour, index=index),
            )
        )
        # Upper ends belong to a range, and the first that fits is taken.
        for index, (low, high, text, colour) in enumerate(
            ((1.0, None, "own cheaper", SKY), (None, 1.0, "API cheaper", VERMILION))
        )
    ]


def dashed(panel: Panel, *queries: str) -> Panel:
    """Draw what some queries bring, named by their letters, as dashed lines: what to compare with."""
    for query in queries:
        panel = panel.override_by_query(
            query,
            [
                models.DynamicConfigValue(id_val="custom.lineStyle", value={"dash": [8, 6], "fill": "dash"}),
                models.DynamicConfigValue(id_val="custom.lineWidth", value=1),
            ],
        )
    return panel


# --- panels ------------------------------------------------------------------------------------------------


def titled(panel: Panel, title: str, description: str, unit: str) -> Panel:
    """Give a panel what every panel has."""
    return panel.title(title).description(description).datasource(_SOURCE).unit(unit)


def lines(title: str, description: str, unit: str, *queries: Query, zero: bool = True) -> Panel:
    """Return lines over time; `zero` tells whether their axis begins there."""
    panel = _over_time(titled(timeseries.Panel(), title, description, unit), queries)
    panel = (
        panel.line_width(2)
        .fill_opacity(0)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(legend())
        .tooltip(_tooltip())
    )
    return panel.min(0) if zero else panel


def magnitudes(title: str, description: str, unit: str, *queries: Query) -> Panel:
    """Return lines over time on a logarithmic axis, for what differs by powers of ten."""
    return lines(title, description, unit, *queries, zero=False).scale_distribution(logarithmic())


def logarithmic() -> common.ScaleDistributionConfig:
    """Return the axis of powers of ten."""
    return common.ScaleDistributionConfig().type(common_models.ScaleDistribution.LOG).log(10)


def stacked(title: str, description: str, unit: str, *queries: Query) -> Panel:
    """Return areas over time that add up."""
    return (
        lines(title, description, unit, *queries)
        .line_width(1)
        .fill_opacity(70)
        .stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    )


def legend() -> common.VizLegendOptions:
    """Return the legend of all lines: names below, one after the other."""
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(common_models.LegendDisplayMode.LIST)
        .placement(common_models.LegendPlacement.BOTTOM)
        .calcs([])
    )


def _tooltip() -> common.VizTooltipOptions:
    return (
        common.VizTooltipOptions()
        .mode(common_models.TooltipDisplayMode.MULTI)
        .sort(common_models.SortOrder.DESCENDING)
    )


def figure(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    thresholds: Sequence[tuple[float | None, str]] = ((None, SKY),),
    words: Sequence[models.ValueMapping] = (),
    decimals: int | None = None,
) -> Panel:
    """Return one large number for each series, as it stands now."""
    panel = asked_now(titled(stat.Panel(), title, description, unit), queries)
    panel = (
        panel.reduce_options(_last())
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .text_mode(common_models.BigValueTextMode.AUTO)
        .text(common.VizTextDisplayOptions().title_size(13).value_size(24))
        .thresholds(steps(*thresholds))
        .no_value("not known")
    )
    if words:
        panel = panel.mappings(list(words))
    return panel if decimals is None else panel.decimals(decimals)


def bars(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    thresholds: Sequence[tuple[float | None, str]] = ((None, BLUE),),
    most: float | None = None,
    decimals: int | None = None,
    names_above: bool = False,
) -> Panel:
    """Return a bar for each series, as it stands now; few with long names have them above."""
    panel = asked_now(titled(bargauge.Panel(), title, description, unit), queries)
    panel = (
        panel.reduce_options(_last())
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .text(common.VizTextDisplayOptions().title_size(13).value_size(18))
        .thresholds(steps(*thresholds))
        .min(0)
        .no_value("not known")
    )
    if names_above:
        panel = panel.name_placement(common_models.BarGaugeNamePlacement.TOP)
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel if most is None else panel.max(most)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def states(title: str, description: str, *queries: Query, words: Sequence[models.ValueMapping]) -> Panel:
    """Return a band over time for each series, coloured by its state."""
    panel = _over_time(titled(statetimeline.Panel(), title, description, "none"), queries)
    return (
        panel.mappings(list(words))
        .show_value(common_models.VisibilityMode.NEVER)
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(80)
        .legend(legend())
    )


_WIDTHS: Final = {"API": 205, "Model": 150, "Setting": 190}
"""In pixels, of columns whose names are longer than an even share of a table."""


def rows(title: str, description: str, names: Mapping[str, str], *columns: Column, sort: str) -> Panel:
    """Return a table: a row for each set of labels, which `names` gives titles, a column for each query.

    Rows are sorted by the column that has the title `sort`, greatest first.
    """
    panel = table.Panel().title(title).description(description).datasource(_SOURCE).min_width(60)
    panel = asked_now(panel, [Query(expr=column.expr) for column in columns], as_table=True)
    values = {f"Value #{chr(ord('A') + number)}": column.title for number, column in enumerate(columns)}
    titles = {**names, **values}
    panel = transformed(
        panel,
        ("merge", {}),
        (
            "organize",
            {
                "excludeByName": {"Time": True},
                "indexByName": {name: index for index, name in enumerate(titles)},
                "renameByName": titles,
            },
        ),
    )
    for name, width in _WIDTHS.items():
        if name in names.values():
            wide = models.DynamicConfigValue(id_val="custom.width", value=width)
            panel = panel.override_by_name(name, [wide])
    for column in columns:
        panel = panel.override_by_name(column.title, _cells(column))
    return panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(True)]).no_value("-")


def _cells(column: Column) -> list[models.DynamicConfigValue]:
    properties = [models.DynamicConfigValue(id_val="unit", value=column.unit)]
    if column.decimals is not None:
        properties.append(models.DynamicConfigValue(id_val="decimals", value=column.decimals))
    if column.thresholds:
        levels = [{"value": value, "color": colour} for value, colour in column.thresholds]
        properties += [
            models.DynamicConfigValue(id_val="color", value={"mode": "thresholds"}),
            models.DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": levels}),
            models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        ]
    return properties


# --- events ------------------------------------------------------------------------------------------------

_OTHER_EVENTS: Final = 'evenwatt_events_total{%(hosts)s,kind!~"config_refused|engine_restart|gap|gpu_lost"}'
"""All but those that have a mark of their own, which says more."""

_EVENTS: Final = (
    (
        "Engine restarts",
        "increase(evenwatt_engine_restarts_total{%(hosts)s}[2m]) > 0",
        "{{engine}} of {{instance}} restarted",
        "What it counted between its last reading and its end is not known.",
        PURPLE,
    ),
    (
        "Engine down",
        "evenwatt_engine_up{%(hosts)s} == bool 0 > 0",
        "{{engine}} of {{instance}} does not answer",
        "No tokens are counted; its costs go on.",
        VERMILION,
    ),
    (
        "GPU lost",
        "evenwatt_gpu_up{%(hosts)s} == bool 0 > 0",
        "GPU {{gpu}} of {{instance}} does not answer",
        "Its energy is not known meanwhile.",
        VERMILION,
    ),
    (
        "Not watched",
        "increase(evenwatt_gap_seconds_total{%(hosts)s}[2m]) > 0",
        "{{source}} of {{instance}} was not watched",
        "What was counted in the gap is an even spread.",
        ORANGE,
    ),
    (
        "Agent started",
        "changes(process_start_time_seconds{%(hosts)s}[2m]) > 0 and on (job, instance) evenwatt_build_info",
        "The agent of {{instance}} started anew",
        "",
        GREY,
    ),
    (
        "Configuration refused",
        "evenwatt_config_last_reload_successful{%(hosts)s} == bool 0 > 0",
        "{{instance}} goes on with its old configuration",
        "evenwatt check-config says where the file is wrong.",
        ORANGE,
    ),
    (
        "Other events",
        # A kind that there was none of yet has no series to rise.
        (
            f"increase({_OTHER_EVENTS}[2m]) > 0 or ({_OTHER_EVENTS} unless {_OTHER_EVENTS} offset 2m)"
            " and on (job, instance) evenwatt_build_info{%(hosts)s} offset 2m"
        ),
        "{{kind}} on {{instance}}",
        "evenwatt status and its page list the latest events, with their words.",
        GREY,
    ),
)


ALERTS: Final = (
    builders.AnnotationQuery()
    .name("Alerts")
    .datasource(_SOURCE)
    .enable(True)
    .icon_color(VERMILION)
    .expr('ALERTS{alertname=~"Evenwatt.*",alertstate="firing"}')
    .step("60s")
    .title_format("{{alertname}}")
    .text_format("{{instance}} {{engine}} {{reference}} {{source}}")
    .tag_keys("severity")
)


def events(hosts: str) -> tuple[builders.AnnotationQuery, ...]:
    """Return what happened on some hosts as marks on every time axis."""
    found = [
        builders.AnnotationQuery()
        .name(name)
        .datasource(_SOURCE)
        .enable(True)
        .icon_color(colour)
        .expr(expr % {"hosts": hosts})
        .step("60s")
        .title_format(title)
        .text_format(text)
        for name, expr, title, text, colour in _EVENTS
    ]
    return (ALERTS, *found)
