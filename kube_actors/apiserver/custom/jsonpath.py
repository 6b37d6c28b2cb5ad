"""The JSON paths of printer columns, scales and selectable fields: .spec.a, .spec.l[0], .metadata.labels.x\\.y.

Owns reading a path and finding values by it. Filters that kubectl knows (`[?(@.type=="Ready")]`) are known too.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

_STEP = re.compile(
    r"""\.(?P<deep>\.)?(?P<name>(?:\\.|[^.\[\]\\])+)
    |\[(?P<index>-?\d+)\]
    |\[(?P<slice>-?\d*:-?\d*(?::-?\d*)?)\]
    |\[(?P<star>\*)\]
    |\[['"](?P<quoted>[^'"]*)['"]\]
    |\[\?\(@(?P<where>[^=!<>)]*?)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>[^)]*?))?\s*\)\]
    |\.(?P<all>\*)""",
    re.VERBOSE,
)
Step = tuple[str, Any]


class PathError(ValueError):
    """This is no path."""


@functools.lru_cache(maxsize=512)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path; PathError when it is none."""
    if path.startswith("{") and path.endswith("}"):
        path = path[1:-1]
    steps: list[Step] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise PathError(path)
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match.group("name") is not None:
        name = match.group("name").replace("\\", "")
        return ("deep", name) if match.group("deep") else ("star", None) if name == "*" else ("name", name)
    if match.group("index") is not None:
        return "index", int(match.group("index"))
    if match.group("slice") is not None:
        return "slice", slice(*(int(part) if part else None for part in match.group("slice").split(":")))
    if match.group("quoted") is not None:
        return "name", match.group("quoted")
    if match.group("where") is not None:
        literal = match.group("value")
        return "where", (parse(match.group("where")), match.group("op") or "", _literal(literal or ""))
    return "star", None


def _literal(text: str) -> Any:
    if text[:1] in {"'", '"'}:
        return text[1:-1]
    constants: dict[str, Any] = {"true": True, "false": False, "null": None}
    if text in constants:
        return constants[text]
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def find(path: str, value: Any) -> list[Any]:
    """Every value at the path; nothing where there is none."""
    found = [value]
    for kind, what in parse(path):
        found = [inner for item in found for inner in _take(kind, what, item)]
    return found


def _take(kind: str, what: Any, value: Any) -> Iterator[Any]:
    if kind == "name":
        if isinstance(value, dict) and what in value:
            yield value[what]
    elif kind == "index":
        if isinstance(value, list) and -len(value) <= what < len(value):
            yield value[what]
    elif kind == "slice":
        if isinstance(value, list):
            yield from value[what]
    elif kind == "star":
        if isinstance(value, (list, dict)):
            yield from value.values() if isinstance(value, dict) else value
    elif kind == "where":
        if isinstance(value, list):
            yield from (item for item in value if _holds(what, item))
    elif kind == "deep":
        yield from _anywhere(what, value)


def _anywhere(name: str, value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for item in value.values():
            yield from _anywhere(name, item)
    elif isinstance(value, list):
        for item in value:
            yield from _anywhere(name, item)


_COMPARE: Final = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _holds(condition: tuple[tuple[Step, ...], str, Any], item: Any) -> bool:
    steps, operator, wanted = condition
    found = [item]
    for kind, what in steps:
        found = [inner for one in found for inner in _take(kind, what, one)]
    if not operator:
        return bool(found)
    try:
        return bool(found) and bool(_COMPARE[operator](found[0], wanted))
    except TypeError:
        return False


def names(path: str) -> list[str] | None:
    """The plain names of a path that is nothing but names, else None."""
    try:
        steps = parse(path)
    except PathError:
        return None
    return [what for _, what in steps] if steps and all(kind == "name" for kind, _ in steps) else None


def put(value: dict[str, Any], path: str, new: Any) -> None:
    """Set the value at a path of names, making what is missing on the way."""
    parts = names(path) or []
    for part in parts[:-1]:
        inner = value.get(part)
        if not isinstance(inner, dict):
            inner = value[part] = {}
        value = inner
    if parts:
        value[parts[-1]] = new
