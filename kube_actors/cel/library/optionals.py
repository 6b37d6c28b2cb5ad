"""Optional values: making, asking and unwrapping. orValue and or are lazy in CEL; here their argument is cheap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kube_actors.cel.errors import EvaluationError
from kube_actors.cel.values import NONE, Optional, equal

_ZEROS: Final[tuple[Any, ...]] = (False, 0, "", b"", [], {})


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise EvaluationError("optional.none() dereference")
    return optional.value


def _non_zero(value: Any) -> Optional:
    empty = value is None or any(equal(value, zero) for zero in _ZEROS)
    return NONE if empty else Optional(value)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "@optional.of(A) -> optional(A)": Optional,
    "@optional.ofNonZeroValue(A) -> optional(A)": _non_zero,
    "@optional.none() -> optional(A)": lambda: NONE,
    "optional(A).hasValue() -> bool": lambda optional: optional.present,
    "optional(A).value() -> A": _value,
    "optional(A).or(optional(A)) -> optional(A)": lambda optional, other: optional if optional.present else other,
    "optional(A).orValue(A) -> A": lambda optional, other: optional.value if optional.present else other,
    "@optional.unwrap(list(optional(A))) -> list(A)": lambda items: [one.value for one in items if one.present],
    "list(optional(A)).unwrapOpt() -> list(A)": lambda items: [one.value for one in items if one.present],
}
