"""How a kind becomes rows: columns, and a function from object and time to cells. Pure.

Owns the shape of a printer and the small words that cells are made of: ages, counts, names of ports. Never decodes
bytes, never reads a clock.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from kube_actors.api.time import TimeError, parse_time

JSONObject = Mapping[str, Any]
Cells = list[Any]

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"
EMPTY: JSONObject = {}


class Column(Struct, frozen=True):
    """One column. doc is its text, or with a leading "=" the schema's field whose description it shows.

    priority 1 is shown by `-o wide` only.
    """

    name: str
    doc: str = ""
    type: str = "string"
    format: str = ""
    priority: int = 0

    def definition(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": text_of(self.doc),
            "priority": self.priority,
        }


class Printer(Struct, frozen=True):
    """A kind's table. conditions gives a row's conditions (None: it has none)."""

    columns: tuple[Column, ...]
    cells: Callable[[JSONObject, float], Cells]
    conditions: Callable[[JSONObject], list[dict[str, str]] | None] | None = None


def text_of(doc: str) -> str:
    """A column's description."""
    return _texts().get(doc[1:], "") if doc.startswith("=") else doc


@functools.cache
def _texts() -> dict[str, str]:
    """Descriptions of fields that are columns, generated from the published schema."""
    path = Path(__file__).with_name("column_texts.json")
    return msgspec.json.decode(path.read_bytes(), type=dict[str, str])


def name_column() -> Column:
    return Column("Name", "=meta.v1.ObjectMeta.name", format="name")


def age_column() -> Column:
    return Column("Age", "=meta.v1.ObjectMeta.creationTimestamp")


def wide(name: str, doc: str = "") -> Column:
    return Column(name, doc, priority=1)


# -- reading ----------------------------------------------------------------------------------------------------


def at(obj: JSONObject, *path: str) -> Any:
    """The value at a path of keys; None where it breaks off."""
    value: Any = obj
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def part(obj: JSONObject, *path: str) -> JSONObject:
    """As `at`, an empty mapping where it breaks off."""
    return at(obj, *path) or EMPTY


def items(obj: JSONObject, *path: str) -> list[Any]:
    return at(obj, *path) or []


def name_of(obj: JSONObject) -> str:
    return str(part(obj, "metadata").get("name", ""))


# -- words ------------------------------------------------------------------------------------------------------


def age_of(obj: JSONObject, now: float) -> str:
    """The Age column."""
    return since(part(obj, "metadata").get("creationTimestamp"), now)


def since(time: str | None, now: float) -> str:
    """Time gone by since a moment; unknown when there is none."""
    if not time:
        return UNKNOWN
    try:
        return human_duration(now - parse_time(time))
    except TimeError:
        return UNKNOWN


def human_duration(seconds: float) -> str:
    """A span in two or three signs' worth of precision, as kubectl shows ages: 5s, 2m30s, 3h, 4d2h, 2y10d."""
    if seconds <= -2:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if hours < 24 * 365 * 8 else f"{years}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


def some(values: Iterable[str], shown: int = 3) -> str:
    """The first few, and how many more."""
    found = list(values)
    text = ",".join(found[:shown])
    return f"{text} + {len(found) - shown} more..." if len(found) > shown else text


def labels_text(labels: JSONObject | None) -> str:
    """A map as a selector is written."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: JSONObject | None) -> str:
    """A LabelSelector as people write it."""
    if selector is None:
        return NONE
    words = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for wanted in selector.get("matchExpressions") or []:
        values = ",".join(sorted(wanted.get("values") or []))
        key, operator = wanted.get("key", ""), wanted.get("operator")
        plain = {"Exists": key, "DoesNotExist": f"!{key}"}.get(operator)
        words.append(plain or f"{key} {'in' if operator == 'In' else 'notin'} ({values})")
    return ",".join(words) or NONE


def containers_of(template: JSONObject) -> Cells:
    """The Containers and Images cells of a pod template."""
    containers = items(template, "spec", "containers")
    return [",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)]


ACCESS_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def access_modes(modes: Iterable[str]) -> str:
    given = set(modes)
    return ",".join(short for mode, short in ACCESS_MODES.items() if mode in given)
