"""Instant queries to a server of the Prometheus family: how one is asked, and the one value of its answer."""

from typing import Any
from urllib.parse import urlencode

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.exposition import printable
from evenwatt.readings.json_path import value_at

__all__ = ["query_path", "value_now"]


def query_path(query: str) -> str:
    """Return what is asked of a server for the value of an expression now."""
    return f"/api/v1/query?{urlencode({'query': query})}"


def value_now(document: Any, place: str) -> Any:
    """Return the value in the answer to a query, as text: of a scalar, or of the one series that there is.

    Args:
        document: The answer.
        place: What to call the server in a fault.

    Raises:
        SourceUnavailable: There is no series now.
        SourceContractError: There are several, or it is no answer to an instant query.
    """
    kind = value_at(document, "data.resultType", place)
    result = value_at(document, "data.result", place)
    if kind == "scalar":
        return value_at(result, "[1]", place)
    if kind != "vector" or not isinstance(result, list):
        found = printable(str(kind))
        raise SourceContractError(f"{place} answers the query with a {found}; expected one value now")
    if not result:
        raise SourceUnavailable(f"{place} has no series for the query now; is what it asks for scraped?")
    if len(result) > 1:
        raise SourceContractError(
            f"{place} answers the query with {len(result)} series; expected one: add labels, or sum()"
        )
    return value_at(result, "[0].value[1]", place)
