"""The type of every node, before anything runs.

Owns name resolution, overload resolution and the errors of both in cel-go's words. The types found are kept by node
for the interpreter and the cost estimate. It never evaluates anything.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from kube_actors.cel import types
from kube_actors.cel.errors import Problem
from kube_actors.cel.overloads import Overload, Registry
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
from kube_actors.cel.types import BOOL, DYN, ERROR, INT, STRING, Binding, Type

MAX_ERRORS: Final = 100

TYPE_NAMES: Final[dict[str, Type]] = {
    "bool": types.BOOL,
    "int": types.INT,
    "uint": types.UINT,
    "double": types.DOUBLE,
    "string": types.STRING,
    "bytes": types.BYTES,
    "list": types.list_of(DYN),
    "map": types.map_of(DYN, DYN),
    "null_type": types.NULL,
    "type": types.type_of(DYN),
    "optional_type": types.optional_of(DYN),
    "google.protobuf.Timestamp": types.TIMESTAMP,
    "google.protobuf.Duration": types.DURATION,
    "net.IP": types.opaque("net.IP"),
    "net.CIDR": types.opaque("net.CIDR"),
    "kubernetes.URL": types.opaque("kubernetes.URL"),
    "kubernetes.Quantity": types.opaque("kubernetes.Quantity"),
    "kubernetes.Semver": types.opaque("kubernetes.Semver"),
}


class Checked:
    """What the checker found: types and chosen overloads, by node."""

    def __init__(self) -> None:
        self.types: dict[int, Type] = {}
        self.overloads: dict[int, list[Overload]] = {}
        self.names: dict[int, str] = {}
        """Nodes that are one dotted name: a variable, a type or a function's full name."""
        self.problems: list[Problem] = []

    def type_of(self, node: Node) -> Type:
        return self.types[id(node)]


def check(root: Node, variables: Mapping[str, Type], structs: Mapping[str, Type], functions: Registry) -> Checked:
    """Types for every node under root; problems holds what is wrong."""
    checker = _Checker(variables, structs, functions)
    checker.check(root)
    found = checker.found
    found.types = {key: types.substitute(kind, checker.binding, True) for key, kind in found.types.items()}
    return found


class _Checker:
    def __init__(self, variables: Mapping[str, Type], structs: Mapping[str, Type], functions: Registry) -> None:
        self.scopes: list[Mapping[str, Type]] = [variables]
        self.structs = structs
        self.functions = functions
        self.binding: Binding = {}
        self.found = Checked()
        self.fresh = 0

    def problem(self, at: int, message: str) -> Type:
        if len(self.found.problems) < MAX_ERRORS:
            self.found.problems.append(Problem(at, message))
        return ERROR

    def check(self, node: Node) -> Type:
        kind = self.dispatch(node)
        self.found.types[id(node)] = kind
        return kind

    @functools.singledispatchmethod
    def dispatch(self, node: Node) -> Type:
        raise AssertionError(node)

    @dispatch.register
    def _(self, node: Literal) -> Type:
        return types.NULL if node.value is None else TYPE_NAMES[node.kind]

    @dispatch.register
    def _(self, node: Ident) -> Type:
        found = self.lookup(node.name)
        if found is None:
            return self.problem(node.at, f"undeclared reference to '{node.name}' (in container '')")
        self.found.names[id(node)] = node.name
        return found

    def lookup(self, name: str) -> Type | None:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name in TYPE_NAMES:
            return types.type_of(TYPE_NAMES[name])
        return types.type_of(self.structs[name]) if name in self.structs else None

    @dispatch.register
    def _(self, node: Select) -> Type:
        if not node.test and not node.optional and not node.escaped and (name := qualified(node)):
            first = name.partition(".")[0]
            found = self.lookup(name)
            declared = any(name in scope for scope in self.scopes)
            if found is not None and (declared or self.lookup(first) is None or first in self.structs):
                self.found.names[id(node)] = name
                return found
        operand = types.resolve(self.check(node.operand), self.binding)
        wrapped = operand.kind == "optional"
        inner = types.resolve(operand.params[0], self.binding) if wrapped else operand
        result = self.field(node, inner)
        if node.test:
            return BOOL
        return types.optional_of(result) if (node.optional or wrapped) and result is not ERROR else result

    def field(self, node: Select, operand: Type) -> Type:
        match operand.kind:
            case "dyn" | "error":
                return DYN
            case "map":
                return operand.params[1]
            case "object" if operand.closed:
                known = operand.fields.get(node.field)
                if known is None:
                    return self.problem(node.at, f"undefined field '{node.field}'")
                return known.type
            case "param":
                return DYN
        return self.problem(node.at, f"type '{self.show(operand)}' does not support field selection")

    @dispatch.register
    def _(self, node: Call) -> Type:
        if node.target is None:
            args = [self.check(arg) for arg in node.args]
            return self.resolve(node, node.name, args, member=False)
        prefix = qualified(node.target)
        full = f"{prefix}.{node.name}"
        if full in self.functions:
            self.found.names[id(node)] = full
            return self.resolve(node, full, [self.check(arg) for arg in node.args], member=False)
        args = [self.check(node.target), *(self.check(arg) for arg in node.args)]
        return self.resolve(node, node.name, args, member=True)

    def resolve(self, node: Call, name: str, args: list[Type], member: bool) -> Type:
        candidates = [one for one in self.functions.get(name, ()) if one.member == member]
        if name not in self.functions:
            return self.problem(node.at, f"undeclared reference to '{name}' (in container '')")
        result: Type | None = None
        chosen: list[Overload] = []
        for one in candidates:
            found = self.instance(one, args)
            if found is None:
                continue
            chosen.append(one)
            if result is None:
                result = found
            elif not types.same(self.sub(result), self.sub(found)):
                result = DYN
        if result is None:
            if any(types.resolve(arg, self.binding) is ERROR for arg in args):
                return ERROR
            shown = [self.show(arg) for arg in args]
            applied = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
            return self.problem(node.at, f"found no matching overload for '{name}' applied to '{applied}'")
        self.found.overloads[id(node)] = chosen
        return result

    def instance(self, one: Overload, args: list[Type]) -> Type | None:
        """The result of an overload on these arguments, or None when it does not take them."""
        if len(one.params) != len(args):
            return None
        self.fresh += 1
        renamed = {letter: types.param(f"{letter}{self.fresh}") for letter in "ABKV"}
        trial = dict(self.binding)
        for wanted, given in zip(one.params, args, strict=True):
            if not types.assignable(_rename(wanted, renamed), given, trial):
                return None
        self.binding = trial
        return types.substitute(_rename(one.result, renamed), trial)

    @dispatch.register
    def _(self, node: ListLiteral) -> Type:
        joined: Type | None = None
        for at, item in enumerate(node.items):
            kind = self.check(item)
            if at in node.optional:
                kind = self.unwrap(item, kind)
            joined = kind if joined is None else self.join(joined, kind)
        return types.list_of(joined if joined is not None else self.new_param())

    @dispatch.register
    def _(self, node: MapLiteral) -> Type:
        keys: Type | None = None
        values: Type | None = None
        for entry in node.entries:
            key, value = self.check(entry.key), self.check(entry.value)
            if entry.optional:
                value = self.unwrap(entry.value, value)
            keys = key if keys is None else self.join(keys, key)
            values = value if values is None else self.join(values, value)
        if keys is None or values is None:
            return types.map_of(self.new_param(), self.new_param())
        return types.map_of(keys, values)

    @dispatch.register
    def _(self, node: StructLiteral) -> Type:
        kind = self.structs.get(node.name)
        if kind is None:
            for field in node.fields:
                self.check(field.value)
            return self.problem(node.at, f"undeclared reference to '{node.name}' (in container '')")
        for field in node.fields:
            value = self.check(field.value)
            if field.optional:
                value = self.unwrap(field.value, value)
            known = kind.fields.get(field.name)
            if known is None:
                self.problem(field.at, f"undefined field '{field.name}'")
            elif not self.fits(known.type, value):
                self.problem(
                    field.at,
                    f"expected type of field '{field.name}' is '{self.show(known.type)}' "
                    f"but provided type is '{self.show(value)}'",
                )
        return kind

    @dispatch.register
    def _(self, node: Comprehension) -> Type:
        first, second = self.loop_variables(node)
        scope = {node.first: first}
        if node.second:
            scope[node.second] = second
        self.scopes.append(scope)
        try:
            return self.loop_result(node, first)
        finally:
            self.scopes.pop()

    def loop_variables(self, node: Comprehension) -> tuple[Type, Type]:
        over = types.resolve(self.check(node.range), self.binding)
        match over.kind:
            case "list":
                element = over.params[0]
                return (INT, element) if node.second else (element, DYN)
            case "map":
                return over.params[0], over.params[1]
            case "dyn" | "error" | "param":
                return DYN, DYN
        self.problem(
            node.range.at,
            f"expression of type '{self.show(over)}' cannot be range of a comprehension "
            "(must be list, map, or dynamic)",
        )
        return ERROR, ERROR

    def loop_result(self, node: Comprehension, first: Type) -> Type:
        if node.guard is not None:
            self.wants(node.guard, BOOL)
        match node.macro:
            case "all" | "exists" | "existsOne":
                self.wants(node.body, BOOL)
                return BOOL
            case "filter":
                self.wants(node.body, BOOL)
                return types.list_of(first)
            case "map" | "transformList":
                return types.list_of(self.check(node.body))
            case "transformMap":
                over = types.resolve(self.found.types[id(node.range)], self.binding)
                key = over.params[0] if over.kind == "map" else INT if over.kind == "list" else DYN
                return types.map_of(key, self.check(node.body))
        return self.check(node.body)

    def wants(self, node: Node, wanted: Type) -> None:
        given = self.check(node)
        if not self.fits(wanted, given):
            self.problem(node.at, f"expected type '{wanted}' but found '{self.show(given)}'")

    @dispatch.register
    def _(self, node: Bind) -> Type:
        self.scopes.append({node.name: self.check(node.value)})
        result = self.check(node.body)
        self.scopes.pop()
        return result

    @dispatch.register
    def _(self, node: OptionalMap) -> Type:
        inner = self.unwrap(node.target, self.check(node.target))
        self.scopes.append({node.name: inner})
        result = self.check(node.body)
        self.scopes.pop()
        return result if node.flat else types.optional_of(result)

    def unwrap(self, node: Node, kind: Type) -> Type:
        kind = types.resolve(kind, self.binding)
        if kind.kind == "optional":
            return kind.params[0]
        if kind.kind in {"dyn", "error"}:
            return DYN
        self.problem(node.at, f"expected type 'optional_type({self.show(kind)})' but found '{self.show(kind)}'")
        return ERROR

    def join(self, one: Type, other: Type) -> Type:
        """The type of elements that are of both types: the more general one, or dyn."""
        if self.fits(one, other):
            return one
        if self.fits(other, one):
            return other
        return DYN

    def fits(self, wanted: Type, given: Type) -> bool:
        trial = dict(self.binding)
        if not types.assignable(wanted, given, trial):
            return False
        self.binding = trial
        return True

    def new_param(self) -> Type:
        self.fresh += 1
        return types.param(f"_{self.fresh}")

    def sub(self, kind: Type) -> Type:
        return types.substitute(kind, self.binding)

    def show(self, kind: Type) -> str:
        return str(types.substitute(kind, self.binding, True))


def _rename(kind: Type, renamed: Mapping[str, Type]) -> Type:
    if kind.kind == "param":
        return renamed[kind.name]
    if not kind.params:
        return kind
    return Type(kind.kind, tuple(_rename(inner, renamed) for inner in kind.params), kind.name)


def qualified(node: Node) -> str:
    """The dotted name that a node is, or ""."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not (node.test or node.optional or node.escaped):
        inner = qualified(node.operand)
        return f"{inner}.{node.field}" if inner else ""
    return ""


__all__ = ["STRING", "TYPE_NAMES", "Checked", "check", "qualified"]
