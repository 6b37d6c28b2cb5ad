"""Quantities and semantic versions."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from kube_actors.api import quantity
from kube_actors.api.quantity import Quantity, QuantityError
from kube_actors.cel.errors import EvaluationError
from kube_actors.cel.values import INT_MAX, INT_MIN

_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_IDENT: Final = r"(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_IDENT}(?:\.{_IDENT})*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)


def _quantity(text: str) -> Quantity:
    try:
        return quantity.parse(text)
    except QuantityError as error:
        raise EvaluationError(str(error)) from None


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except QuantityError:
        return False
    return True


def _is_integer(amount: Quantity) -> bool:
    return amount.amount == amount.amount.to_integral_value() and INT_MIN <= amount.amount <= INT_MAX


def _as_integer(amount: Quantity) -> int:
    if not _is_integer(amount):
        raise EvaluationError("cannot convert value to integer")
    return int(amount.amount)


def _compare(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


@functools.total_ordering
class Semver:
    """A version by semver.org's order; build metadata does not count."""

    cel_type = "kubernetes.Semver"
    __slots__ = ("numbers", "pre")

    def __init__(self, numbers: tuple[int, int, int], pre: tuple[tuple[int, int, str], ...]) -> None:
        self.numbers = numbers
        self.pre = pre

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.numbers, not self.pre, self.pre)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self.key == other.key

    def __lt__(self, other: Semver) -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _normalise(text: str) -> str:
    text = text.removeprefix("v")
    core, mark, rest = text, "", ""
    for sign in "-+":
        head, found, tail = core.partition(sign)
        if found:
            core, mark, rest = head, found, tail + (mark + rest if mark else "")
    parts = [part.lstrip("0") or "0" for part in core.split(".")]
    parts += ["0"] * (3 - len(parts))
    return ".".join(parts) + mark + rest


def _semver(text: str, normalise: bool = False) -> Semver:
    match = _SEMVER.fullmatch(_normalise(text) if normalise else text)
    if match is None:
        raise EvaluationError(
            "No Major.Minor.Patch elements found" if text.count(".") < 2 else f"Invalid version {text!r}"
        )
    pre = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in (match.group(4).split(".") if match.group(4) else ())
    )
    return Semver((int(match.group(1)), int(match.group(2)), int(match.group(3))), pre)


def _is_semver(text: str, normalise: bool = False) -> bool:
    return _SEMVER.fullmatch(_normalise(text) if normalise else text) is not None


_Q: Final = "kubernetes.Quantity"
_S: Final = "kubernetes.Semver"

FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    f"quantity(string) -> {_Q}": _quantity,
    "isQuantity(string) -> bool": _is_quantity,
    f"{_Q}.sign() -> int": lambda amount: amount.sign,
    f"{_Q}.isInteger() -> bool": _is_integer,
    f"{_Q}.asInteger() -> int": _as_integer,
    f"{_Q}.asApproximateFloat() -> double": lambda amount: float(amount.amount),
    f"{_Q}.isGreaterThan({_Q}) -> bool": lambda a, b: a > b,
    f"{_Q}.isLessThan({_Q}) -> bool": lambda a, b: a < b,
    f"{_Q}.compareTo({_Q}) -> int": _compare,
    f"{_Q}.add({_Q}) -> {_Q}": lambda a, b: a + b,
    f"{_Q}.add(int) -> {_Q}": lambda a, b: a + Quantity(Decimal(b)),
    f"{_Q}.sub({_Q}) -> {_Q}": lambda a, b: a - b,
    f"{_Q}.sub(int) -> {_Q}": lambda a, b: a - Quantity(Decimal(b)),
    f"semver(string) -> {_S}": _semver,
    f"semver(string, bool) -> {_S}": _semver,
    "isSemver(string) -> bool": _is_semver,
    "isSemver(string, bool) -> bool": _is_semver,
    f"{_S}.major() -> int": lambda version: version.numbers[0],
    f"{_S}.minor() -> int": lambda version: version.numbers[1],
    f"{_S}.patch() -> int": lambda version: version.numbers[2],
    f"{_S}.isGreaterThan({_S}) -> bool": lambda a, b: a > b,
    f"{_S}.isLessThan({_S}) -> bool": lambda a, b: a < b,
    f"{_S}.compareTo({_S}) -> int": _compare,
}
