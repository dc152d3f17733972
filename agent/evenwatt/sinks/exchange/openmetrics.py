"""Time series as OpenMetrics text with time stamps, as central stores take them in afterwards."""

from collections.abc import Iterable, Iterator, Mapping
from typing import IO

from msgspec import Struct

__all__ = ["Family", "Series", "write_openmetrics"]


class Series(Struct, frozen=True):
    """One series: its labels, and its values by time, oldest first."""

    labels: Mapping[str, str]
    points: Iterable[tuple[int, float]]


class Family(Struct, frozen=True):
    """All series of one metric.

    Attributes:
        name: As Prometheus stores it, `_total` included.
        is_counter: Else a gauge.
    """

    name: str
    help: str
    is_counter: bool
    series: Iterable[Series]


def write_openmetrics(file: IO[bytes], families: Iterable[Family], *, labels: Mapping[str, str]) -> None:
    """Write series and the end that OpenMetrics asks for.

    Args:
        file: To write to.
        families: One after the other, series by series: no time may come back within one.
        labels: Added to all, such as the `instance` that the store knows the machine by.
    """
    for family in families:
        head = _head(family)
        for series in family.series:
            prefix = f"{family.name}{_braced({**series.labels, **labels})} "
            for utc_seconds, value in series.points:
                file.write(f"{head}{prefix}{value!r} {utc_seconds}\n".encode())
                head = ""
    file.write(b"# EOF\n")


def _head(family: Family) -> str:
    name = family.name.removesuffix("_total") if family.is_counter else family.name
    kind = "counter" if family.is_counter else "gauge"
    return f"# HELP {name} {_escaped(family.help)}\n# TYPE {name} {kind}\n"


def _braced(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(_pairs(labels)) + "}" if labels else ""


def _pairs(labels: Mapping[str, str]) -> Iterator[str]:
    for name, value in labels.items():
        yield f'{name}="{_escaped(value)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
