"""Kubernetes' list library: isSorted, sum, min, max, indexOf, lastIndexOf."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

from kube_actors.cel.errors import EvaluationError
from kube_actors.cel.values import Duration, Uint, checked, checked_uint, equal

_ORDERED: Final = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")


def _sorted(items: list[Any]) -> bool:
    try:
        return all(a <= b for a, b in itertools.pairwise(items))
    except TypeError:
        raise EvaluationError("no such overload") from None


def _extreme(name: str, choose: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    def pick(items: list[Any]) -> Any:
        if not items:
            raise EvaluationError(f"{name} called on empty list")
        try:
            return choose(items)
        except TypeError:
            raise EvaluationError("no such overload") from None

    return pick


def _index(items: list[Any], wanted: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, wanted)), -1)


def _last_index(items: list[Any], wanted: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(items[at], wanted)), -1)


def _ordered() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for kind in _ORDERED:
        found[f"list({kind}).isSorted() -> bool"] = _sorted
        found[f"list({kind}).min() -> {kind}"] = _extreme("min", min)
        found[f"list({kind}).max() -> {kind}"] = _extreme("max", max)
    return found


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **_ordered(),
    "list(int).sum() -> int": lambda items: checked(sum(items)),
    "list(uint).sum() -> uint": lambda items: checked_uint(sum(map(int, items), Uint(0))),
    "list(double).sum() -> double": lambda items: float(sum(items)),
    "list(duration).sum() -> duration": lambda items: Duration(sum(item.nanos for item in items)),
    "list(A).indexOf(A) -> int": _index,
    "list(A).lastIndexOf(A) -> int": _last_index,
}
