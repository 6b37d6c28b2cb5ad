"""Custom resources as Tables: additionalPrinterColumns, or name and age."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api.time import TimeError, parse_time
from kube_actors.apiserver.custom import jsonpath
from kube_actors.apiserver.tables import CUSTOM
from kube_actors.apiserver.tables.printer import Cells, Column, Printer, name_column, name_of, since

JSONObject = dict[str, Any]


def printer(columns: list[JSONObject]) -> Printer:
    """The printer of these columns."""
    if not columns:
        return CUSTOM
    shown = tuple(
        Column(c["name"], _description(c), c["type"], c.get("format", ""), c.get("priority", 0)) for c in columns
    )

    def cells(obj: Any, now: float) -> Cells:
        return [name_of(obj), *(cell(column, obj, now) for column in columns)]

    return Printer((name_column(), *shown), cells)


def _description(column: JSONObject) -> str:
    return column.get("description") or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"


def cell(column: JSONObject, obj: JSONObject, now: float) -> Any:
    """What stands in a column: the first value at its path, null when there is none of the column's type."""
    try:
        found = jsonpath.find(column["jsonPath"], obj)
    except jsonpath.PathError:
        return None
    if not found or found[0] is None:
        return None
    return _of_type(column["type"], found[0], now)


def _of_type(kind: str, value: Any, now: float) -> Any:
    match kind:
        case "integer":
            return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        case "number":
            return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _age(value, now)
    if isinstance(value, str):
        return value
    return ("true" if value else "false") if isinstance(value, bool) else fields.go_json(value)


def _age(value: Any, now: float) -> str:
    if not isinstance(value, str):
        return "<invalid>"
    try:
        parse_time(value)
    except TimeError:
        return "<invalid>"
    return since(value, now)
