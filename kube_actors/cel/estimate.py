"""The cost of an expression before it runs, from the largest sizes that its types allow.

Owns cel-go's static cost model with Kubernetes' function costs: what decides whether a rule may be put into a
CustomResourceDefinition. It reads the checked tree and evaluates nothing.
"""

from __future__ import annotations

import functools
import math
from typing import Final

from msgspec import Struct

from kube_actors.cel import cost
from kube_actors.cel.checker import Checked
from kube_actors.cel.syntax import (
    Bind,
    Call,
    Comprehension,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    OptionalMap,
    Select,
    StructLiteral,
)
from kube_actors.cel.types import Type

UNBOUNDED: Final = (1 << 64) - 1


def _cap(value: float) -> int:
    return UNBOUNDED if value >= UNBOUNDED else int(value)


class Estimate(Struct, frozen=True):
    """A range of costs or sizes; arithmetic stays below UNBOUNDED."""

    low: int = 0
    high: int = 0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(_cap(self.low + other.low), _cap(self.high + other.high))

    def __mul__(self, other: Estimate) -> Estimate:
        return Estimate(_cap(self.low * other.low), _cap(self.high * other.high))

    def times(self, factor: float) -> Estimate:
        return Estimate(_cap(math.ceil(self.low * factor)), _cap(math.ceil(self.high * factor)))

    def union(self, other: Estimate) -> Estimate:
        return Estimate(min(self.low, other.low), max(self.high, other.high))


_ONE: Final = Estimate(1, 1)
_ANY: Final = Estimate(0, UNBOUNDED)
_SIZED: Final = frozenset({"string", "bytes", "list", "map", "dyn"})


def estimate(root: Node, checked: Checked) -> Estimate:
    return _Estimator(checked).cost(root)


class _Estimator:
    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.sizes: dict[int, Estimate] = {}
        self.locals: dict[str, Estimate] = {}

    def kind(self, node: Node) -> Type:
        return self.checked.type_of(node)

    def size(self, node: Node) -> Estimate:
        known = self.sizes.get(id(node))
        if known is not None:
            return known
        if isinstance(node, Literal) and isinstance(node.value, (str, bytes)):
            return Estimate(len(node.value), len(node.value))
        if isinstance(node, ListLiteral):
            return Estimate(len(node.items), len(node.items))
        if isinstance(node, MapLiteral):
            return Estimate(len(node.entries), len(node.entries))
        if isinstance(node, Ident) and node.name in self.locals:
            return self.locals[node.name]
        return _size_of(self.kind(node))

    @functools.singledispatchmethod
    def cost(self, node: Node) -> Estimate:
        raise AssertionError(node)

    @cost.register
    def _(self, node: Literal) -> Estimate:
        return Estimate()

    @cost.register
    def _(self, node: Ident) -> Estimate:
        return _ONE

    @cost.register
    def _(self, node: Select) -> Estimate:
        if id(node) in self.checked.names:
            return _ONE
        operand = self.cost(node.operand)
        if node.test or self.kind(node.operand).kind not in {"map", "object"}:
            return operand
        return operand + _ONE

    @cost.register
    def _(self, node: ListLiteral) -> Estimate:
        return sum((self.cost(item) for item in node.items), Estimate(cost.LIST_BASE, cost.LIST_BASE))

    @cost.register
    def _(self, node: MapLiteral) -> Estimate:
        base = Estimate(cost.MAP_BASE, cost.MAP_BASE)
        return sum((self.cost(entry.key) + self.cost(entry.value) for entry in node.entries), base)

    @cost.register
    def _(self, node: StructLiteral) -> Estimate:
        base = Estimate(cost.STRUCT_BASE, cost.STRUCT_BASE)
        return sum((self.cost(field.value) for field in node.fields), base)

    @cost.register
    def _(self, node: Bind) -> Estimate:
        # A bind is a loop over an empty list that never runs, and pays for making that list.
        value = self.cost(node.value) + Estimate(cost.LIST_BASE, cost.LIST_BASE)
        body = self.within(node.name, self.size(node.value), node.body)
        self.sizes[id(node)] = self.size(node.body)
        return value + body

    @cost.register
    def _(self, node: OptionalMap) -> Estimate:
        target = self.cost(node.target)
        body = self.within(node.name, _ANY, node.body) + Estimate(cost.LIST_BASE, cost.LIST_BASE) + _ONE
        return target + _ONE + Estimate(0, body.high)

    def within(self, name: str, size: Estimate, node: Node) -> Estimate:
        outer = self.locals
        self.locals = {**outer, name: size}
        try:
            return self.cost(node)
        finally:
            self.locals = outer

    @cost.register
    def _(self, node: Comprehension) -> Estimate:
        over = self.cost(node.range)
        outer = self.locals
        self.locals = {**outer, **self.loop_sizes(node)}
        body = self.cost(node.body)
        guard = self.cost(node.guard) if node.guard is not None else None
        self.locals = outer
        step, start, end = _loop(node.macro, body, guard)
        count = self.size(node.range)
        if node.macro in {"filter", "map", "transformList", "transformMap", "transformMapEntry"}:
            self.sizes[id(node)] = count
        return over + start + end + count * step

    def loop_sizes(self, node: Comprehension) -> dict[str, Estimate]:
        kind = self.kind(node.range)
        if kind.kind == "list":
            item = _size_of(kind.params[0])
            return {node.first: _ONE, node.second: item} if node.second else {node.first: item}
        if kind.kind == "map":
            sizes = {node.first: _size_of(kind.params[0])}
            return {**sizes, node.second: _size_of(kind.params[1])} if node.second else sizes
        return {node.first: _ANY, node.second: _ANY}

    @cost.register
    def _(self, node: Call) -> Estimate:
        full = node.target is None or id(node) in self.checked.names
        parts = node.args if full or node.target is None else [node.target, *node.args]
        costs = [self.cost(part) for part in parts]
        match node.name:
            case "_&&_" | "_||_":
                return Estimate(costs[0].low, (costs[0] + costs[1]).high)
            case "_?_:_":
                self.sizes[id(node)] = self.size(parts[1]).union(self.size(parts[2]))
                return costs[0] + costs[1].union(costs[2])
        return sum(costs, Estimate()) + self.call(node, parts)

    def call(self, node: Call, parts: list[Node]) -> Estimate:
        sizes = [self.size(part) for part in parts]
        match node.name:
            case "check":
                return Estimate(cost.CHECK, cost.CHECK)
            case "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf":
                return self.traversal(parts[0], sizes[0])
            case "url" | "isURL" | "string" | "bytes" | "format" | "quantity" | "isQuantity" | "isIP" | "isCIDR":
                return sizes[0].times(cost.TRAVERSAL) if self.kind(parts[0]).kind in _SIZED else _ONE
            case "lowerAscii" | "upperAscii" | "substring" | "trim":
                self.sizes[id(node)] = sizes[0]
                return sizes[0].times(cost.TRAVERSAL)
            case "replace" | "split":
                self.sizes[id(node)] = self.grown(node.name, sizes)
                return sizes[0].times(2 * cost.TRAVERSAL)
            case "join":
                return self.joined(node, parts, sizes)
            case "find" | "findAll" | "matches":
                self.sizes[id(node)] = Estimate(0, sizes[0].high)
                return (sizes[0] + _ONE).times(cost.TRAVERSAL) * sizes[1].times(cost.REGEX)
            case "contains" if len(sizes) == 2 and self.kind(parts[0]).kind == "string":
                return sizes[0].times(cost.TRAVERSAL) * sizes[1].times(cost.TRAVERSAL)
            case "startsWith" | "endsWith":
                return sizes[1].times(cost.TRAVERSAL)
            case "@in":
                return sizes[1] if self.kind(parts[1]).kind == "list" else _ONE
            case "_+_" if self.kind(parts[0]).kind in {"string", "bytes", "list"}:
                self.sizes[id(node)] = sizes[0] + sizes[1]
                return _ONE if self.kind(parts[0]).kind == "list" else (sizes[0] + sizes[1]).times(cost.TRAVERSAL)
            case "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_":
                return self.compared(parts, sizes)
        return _ONE

    def traversal(self, node: Node, size: Estimate) -> Estimate:
        kind = self.kind(node)
        if kind.kind != "list":
            return size.times(cost.TRAVERSAL)
        element = kind.params[0]
        each = _ONE + _size_of(element).times(cost.TRAVERSAL) if element.kind in {"string", "bytes"} else _ONE
        return size * each

    def grown(self, name: str, sizes: list[Estimate]) -> Estimate:
        whole = sizes[0]
        if name == "split" or len(sizes) < 3:
            return Estimate(0, whole.high)
        old, new = sizes[1], sizes[2]
        if old.low == 0:
            return Estimate(0, _cap((whole.high + 1) * new.high + whole.high))
        if new.high <= old.low:
            return Estimate(0, whole.high)
        return Estimate(0, _cap(math.ceil(whole.high / old.low) * new.high))

    def joined(self, node: Call, parts: list[Node], sizes: list[Estimate]) -> Estimate:
        kind = self.kind(parts[0])
        total = sizes[0] * _size_of(kind.params[0]) if kind.kind == "list" else _ANY
        if len(sizes) > 1:
            total += sizes[1] * Estimate(max(sizes[0].low - 1, 0), max(sizes[0].high - 1, 0))
        self.sizes[id(node)] = total
        return total.times(cost.TRAVERSAL)

    def compared(self, parts: list[Node], sizes: list[Estimate]) -> Estimate:
        if not any(self.kind(part).kind in _SIZED or self.kind(part).kind == "object" for part in parts):
            return _ONE
        most = min(size.high for size in sizes)
        return Estimate(1 if most else 0, most).times(cost.TRAVERSAL)


def _size_of(kind: Type) -> Estimate:
    if kind.kind in {"string", "bytes", "list", "map", "dyn"}:
        return Estimate(0, UNBOUNDED if kind.limits is None else kind.limits)
    return _ONE if kind.kind != "object" else Estimate(0, UNBOUNDED if kind.limits is None else kind.limits)


def _loop(macro: str, body: Estimate, guard: Estimate | None) -> tuple[Estimate, Estimate, Estimate]:
    """What one turn, the start and the end of a macro's loop cost, as the loop that the macro stands for."""
    empty = Estimate(cost.LIST_BASE, cost.LIST_BASE)
    condition = guard if guard is not None else Estimate()
    match macro:
        case "all" | "exists":
            # Per turn: @not_strictly_false(accumulator) and accumulator && body, which may stop at the accumulator.
            return (
                Estimate(3 if macro == "exists" else 2, 0) + Estimate(1, body.high + (4 if macro == "exists" else 3)),
                Estimate(),
                _ONE,
            )
        case "existsOne":
            return Estimate(body.low, body.high + 2) + _ONE, Estimate(), Estimate(2, 2)
        case "filter":
            return Estimate(body.low + 1, body.high + 2 + cost.LIST_BASE + 1), empty, _ONE
        case "transformMap" | "transformMapEntry":
            return condition + body + Estimate(2, 2), Estimate(cost.MAP_BASE, cost.MAP_BASE), _ONE
    step = body + empty + Estimate(2, 2)
    return (condition + Estimate(min(1, step.low), step.high)) if guard is not None else step, empty, _ONE
