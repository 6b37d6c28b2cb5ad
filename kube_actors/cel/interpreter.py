"""A checked tree into Python closures, made once and called for every evaluation.

Owns how each node runs: laziness and error absorption of && and ||, loops, optional selection, dispatch by run-time
types where the checker saw only dyn, and the charge of every step to the evaluation's budget. Values stay JSON;
a field is converted to what its schema says when it is selected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from kube_actors.cel import cost, types
from kube_actors.cel.checker import Checked
from kube_actors.cel.errors import BudgetError, EvaluationError
from kube_actors.cel.overloads import Overload, matches
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
from kube_actors.cel.values import NONE, Coercion, Optional, Struct, TypeValue, Uint, coercion

METER: Final = 0
"""The frame's key under which the remaining budget is kept, as a list of one number."""

Frame = dict[Any, Any]
Code = Callable[[Frame], Any]

NO_OVERLOAD: Final = "no such overload"
OVERRUN: Final = "operation cancelled: actual cost limit exceeded"


def spend(frame: Frame, amount: int) -> None:
    meter = frame[METER]
    meter[0] -= amount
    if meter[0] < 0:
        raise BudgetError(OVERRUN)


class Compiler:
    """Compiles one checked tree."""

    def __init__(self, checked: Checked, structs: Mapping[str, Type], globals_: Mapping[str, Type]) -> None:
        self.checked = checked
        self.structs = structs
        self.globals = globals_
        self.scope: dict[str, Any] = {}
        self.slots = METER

    def local(self) -> int:
        self.slots += 1
        return self.slots

    def code(self, node: Node) -> Code:
        return self.dispatch(node)

    def converts(self, node: Node) -> Coercion | None:
        return coercion(self.checked.type_of(node))

    @functools.singledispatchmethod
    def dispatch(self, node: Node) -> Code:
        raise AssertionError(node)

    @dispatch.register
    def _(self, node: Literal) -> Code:
        value = Uint(node.value) if node.kind == "uint" else node.value
        return lambda frame: value

    @dispatch.register
    def _(self, node: Ident) -> Code:
        return self.name(node.name, node)

    def name(self, name: str, node: Node) -> Code:
        if name not in self.scope and name not in self.globals:
            constant = TypeValue(_type_value_name(self.checked.type_of(node)))
            return lambda frame: constant
        key = self.scope.get(name, name)
        convert = self.converts(node) if key is name else None

        def read(frame: Frame) -> Any:
            spend(frame, 1)
            try:
                value = frame[key]
            except KeyError:
                raise EvaluationError(f"no such attribute(s): {name}") from None
            return convert(value) if convert is not None else value

        return read

    @dispatch.register
    def _(self, node: Select) -> Code:
        if id(node) in self.checked.names:
            return self.name(self.checked.names[id(node)], node)
        operand = self.code(node.operand)
        key = self.key_of(node)
        if node.test:
            return lambda frame: _has(operand(frame), key)
        kind = self.checked.type_of(node)
        if kind.kind == "optional":
            convert_inner = coercion(kind.params[0])
            return lambda frame: _select_optional(operand(frame), key, convert_inner)
        convert = coercion(kind)

        def select(frame: Frame) -> Any:
            value = operand(frame)
            spend(frame, 1)
            value = _select(value, key)
            return convert(value) if convert is not None else value

        return select

    def key_of(self, node: Select) -> str:
        operand = self.checked.type_of(node.operand)
        if operand.kind == "optional":
            operand = operand.params[0]
        if operand.kind == "object" and operand.closed and node.field in operand.fields:
            return operand.fields[node.field].key
        return node.field

    @dispatch.register
    def _(self, node: Call) -> Code:
        match node.name:
            case "_&&_":
                return _logical(self.code(node.args[0]), self.code(node.args[1]), False)
            case "_||_":
                return _logical(self.code(node.args[0]), self.code(node.args[1]), True)
            case "_?_:_":
                return _conditional(*(self.code(arg) for arg in node.args))
            case "_[_]" | "_[?_]":
                return self.index(node)
            case "orValue" | "or" if node.target is not None:
                return _or_value(self.code(node.target), self.code(node.args[0]), node.name == "or")
        full = self.checked.names.get(id(node))
        parts = list(node.args) if node.target is None or full else [node.target, *node.args]
        return _call(node, self.checked.overloads[id(node)], [self.code(part) for part in parts])

    def index(self, node: Call) -> Code:
        operand, key = (self.code(arg) for arg in node.args)
        kind = self.checked.type_of(node)
        if node.name == "_[?_]" or kind.kind == "optional":
            convert_inner = coercion(kind.params[0]) if kind.kind == "optional" else None
            return lambda frame: _index_optional(operand(frame), key(frame), convert_inner)
        convert = coercion(kind)

        def index(frame: Frame) -> Any:
            value = operand(frame)
            spend(frame, 1)
            value = _index(value, key(frame))
            return convert(value) if convert is not None else value

        return index

    @dispatch.register
    def _(self, node: ListLiteral) -> Code:
        codes = [self.code(item) for item in node.items]
        optional = node.optional

        def build(frame: Frame) -> list[Any]:
            spend(frame, cost.LIST_BASE)
            if not optional:
                return [code(frame) for code in codes]
            items = []
            for at, code in enumerate(codes):
                value = code(frame)
                if at not in optional:
                    items.append(value)
                elif value.present:
                    items.append(value.value)
            return items

        return build

    @dispatch.register
    def _(self, node: MapLiteral) -> Code:
        codes = [(self.code(entry.key), self.code(entry.value), entry.optional) for entry in node.entries]

        def build(frame: Frame) -> dict[Any, Any]:
            spend(frame, cost.MAP_BASE)
            made: dict[Any, Any] = {}
            for key_code, value_code, optional in codes:
                key, value = key_code(frame), value_code(frame)
                if optional:
                    if not value.present:
                        continue
                    value = value.value
                if key in made:
                    raise EvaluationError(f"Failed with repeated key: {key}")
                made[key] = value
            return made

        return build

    @dispatch.register
    def _(self, node: StructLiteral) -> Code:
        kind = self.structs[node.name]
        codes = [(kind.fields[field.name].key, self.code(field.value), field.optional) for field in node.fields]

        def build(frame: Frame) -> Struct:
            spend(frame, cost.STRUCT_BASE)
            made: dict[str, Any] = {}
            for key, code, optional in codes:
                value = code(frame)
                if not optional:
                    made[key] = value
                elif value.present:
                    made[key] = value.value
            return Struct(node.name, made)

        return build

    @dispatch.register
    def _(self, node: Bind) -> Code:
        value = self.code(node.value)
        slot = self.local()
        body = self.within({node.name: slot}, node.body)

        def run(frame: Frame) -> Any:
            frame[slot] = value(frame)
            return body(frame)

        return run

    @dispatch.register
    def _(self, node: OptionalMap) -> Code:
        target = self.code(node.target)
        slot = self.local()
        body = self.within({node.name: slot}, node.body)

        def run(frame: Frame) -> Any:
            optional = target(frame)
            if not optional.present:
                return NONE
            frame[slot] = optional.value
            value = body(frame)
            return value if node.flat else Optional(value)

        return run

    @dispatch.register
    def _(self, node: Comprehension) -> Code:
        over = self.code(node.range)
        first = self.local()
        scope = {node.first: first}
        second = self.local() if node.second else 0
        if second:
            scope[node.second] = second
        guard = self.within(scope, node.guard) if node.guard is not None else None
        body = self.within(scope, node.body)
        return loop(node.macro, _items(over, first, second), body, guard, first)

    def within(self, names: dict[str, Any], node: Node) -> Code:
        outer = self.scope
        self.scope = {**outer, **names}
        try:
            return self.code(node)
        finally:
            self.scope = outer


def _type_value_name(kind: Type) -> str:
    inner = kind.params[0] if kind.params else kind
    proto = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}
    return proto.get(inner.kind) or ("null_type" if inner.kind == "null" else inner.name or inner.kind)


def _select(value: Any, key: str) -> Any:
    if not isinstance(value, Mapping):
        if isinstance(value, Optional):
            return _select_optional(value, key, None)
        raise EvaluationError(f"no such key: {key}" if value is None else NO_OVERLOAD)
    try:
        return value[key]
    except KeyError:
        raise EvaluationError(f"no such key: {key}") from None


def _has(value: Any, key: str) -> bool:
    if isinstance(value, Optional):
        return value.present and _has(value.value, key)
    if not isinstance(value, Mapping):
        raise EvaluationError(f"no such key: {key}" if value is None else NO_OVERLOAD)
    return key in value


def _select_optional(value: Any, key: str, convert: Coercion | None) -> Optional:
    if isinstance(value, Optional):
        if not value.present:
            return NONE
        value = value.value
    if not isinstance(value, Mapping):
        raise EvaluationError(NO_OVERLOAD)
    if key not in value:
        return NONE
    found = value[key]
    return Optional(convert(found) if convert is not None else found)


def _position(key: Any) -> int:
    if isinstance(key, bool) or not isinstance(key, (int, float)) or key != int(key):
        raise EvaluationError(NO_OVERLOAD)
    return int(key)


def _index(value: Any, key: Any) -> Any:
    if isinstance(value, list):
        at = _position(key)
        if not 0 <= at < len(value):
            raise EvaluationError(f"index out of bounds: {at}")
        return value[at]
    if isinstance(value, Mapping):
        try:
            return value[key]
        except (KeyError, TypeError):
            raise EvaluationError(f"no such key: {key}") from None
    raise EvaluationError(NO_OVERLOAD)


def _index_optional(value: Any, key: Any, convert: Coercion | None) -> Optional:
    if isinstance(value, Optional):
        if not value.present:
            return NONE
        value = value.value
    if isinstance(value, list):
        at = _position(key)
        if not 0 <= at < len(value):
            return NONE
        found = value[at]
    elif isinstance(value, Mapping):
        if key not in value:
            return NONE
        found = value[key]
    else:
        raise EvaluationError(NO_OVERLOAD)
    return Optional(convert(found) if convert is not None else found)


def _truth(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise EvaluationError(NO_OVERLOAD)


def _logical(left: Code, right: Code, decisive: bool) -> Code:
    """&& and ||: the deciding value wins over an error on the other side, whichever side it is on."""

    def run(frame: Frame) -> bool:
        try:
            if _truth(left(frame)) is decisive:
                return decisive
        except BudgetError:
            raise
        except EvaluationError:
            if _truth(right(frame)) is decisive:
                return decisive
            raise
        return _truth(right(frame))

    return run


def _conditional(test: Code, then: Code, otherwise: Code) -> Code:
    return lambda frame: then(frame) if _truth(test(frame)) else otherwise(frame)


def _or_value(target: Code, other: Code, keep: bool) -> Code:
    def run(frame: Frame) -> Any:
        optional = target(frame)
        if not isinstance(optional, Optional):
            raise EvaluationError(NO_OVERLOAD)
        if optional.present:
            return optional if keep else optional.value
        return other(frame)

    return run


def _call(node: Call, overloads: list[Overload], codes: list[Code]) -> Code:
    charge = cost.charges(node.name)
    if len(overloads) == 1 and not any(_loose(kind) for kind in overloads[0].params):
        implementation = overloads[0].call

        def direct(frame: Frame) -> Any:
            args = [code(frame) for code in codes]
            spend(frame, charge(args))
            try:
                return implementation(*args)
            except (TypeError, AttributeError):
                raise EvaluationError(NO_OVERLOAD) from None

        return direct

    def choose(frame: Frame) -> Any:
        args = [code(frame) for code in codes]
        spend(frame, charge(args))
        for one in overloads:
            if all(matches(kind, arg) for kind, arg in zip(one.params, args, strict=True)):
                try:
                    return one.call(*args)
                except (TypeError, AttributeError):
                    break
        raise EvaluationError(NO_OVERLOAD)

    return choose


def _loose(kind: Type) -> bool:
    """Whether values that the checker let through may still be of another type: numbers and lists of them."""
    return kind.kind not in {"dyn", "param"}


def _items(over: Code, first: int, second: int) -> Callable[[Frame], Any]:
    """Puts each element into its slots, one after the other."""

    def walk(frame: Frame) -> Any:
        value = over(frame)
        if isinstance(value, list):
            for at, item in enumerate(value):
                spend(frame, 1)
                frame[first] = at if second else item
                if second:
                    frame[second] = item
                yield at
        elif isinstance(value, Mapping):
            for key in list(value):
                spend(frame, 1)
                frame[first] = key
                if second:
                    frame[second] = value[key]
                yield key
        else:
            raise EvaluationError(NO_OVERLOAD)

    return walk


def loop(macro: str, items: Callable[[Frame], Any], body: Code, guard: Code | None, first: int) -> Code:
    """The code of one macro."""
    match macro:
        case "all":
            return _quantified(items, body, False)
        case "exists":
            return _quantified(items, body, True)
        case "existsOne":
            return lambda frame: sum(_truth(body(frame)) for _ in items(frame)) == 1
        case "filter":
            return lambda frame: [frame[first] for _ in items(frame) if _truth(body(frame))]
        case "map" | "transformList":
            return lambda frame: [body(frame) for _ in items(frame) if guard is None or _truth(guard(frame))]
        case "transformMap":
            return lambda frame: {k: body(frame) for k in items(frame) if guard is None or _truth(guard(frame))}
    return _merged(items, body, guard)


def _merged(items: Callable[[Frame], Any], body: Code, guard: Code | None) -> Code:
    def run(frame: Frame) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for _ in items(frame):
            if guard is None or _truth(guard(frame)):
                for key, value in body(frame).items():
                    if key in made:
                        raise EvaluationError(f"insert failed: key {key} already exists")
                    made[key] = value
        return made

    return run


def _quantified(items: Callable[[Frame], Any], body: Code, decisive: bool) -> Code:
    """all and exists: a deciding element wins over errors of others."""

    def run(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        for _ in items(frame):
            try:
                if _truth(body(frame)) is decisive:
                    return decisive
            except BudgetError:
                raise
            except EvaluationError as error:
                failed = error
        if failed is not None:
            raise failed
        return not decisive

    return run


__all__ = ["METER", "Compiler", "types"]
