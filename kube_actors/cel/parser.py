"""Tokens into a syntax tree.

Owns CEL's grammar, with the optional syntax that Kubernetes turns on (`a.?b`, `a[?b]`, `{?k: v}`) and the expansion
of macros. It knows no types. Nesting and length are limited, so no text can exhaust the stack.
"""

from __future__ import annotations

from typing import Final

from kube_actors.cel import macros
from kube_actors.cel.errors import CompileError, Problem, describe
from kube_actors.cel.lexer import LexError, Token, tokens
from kube_actors.cel.syntax import (
    Call,
    Entry,
    FieldInit,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    Select,
    StructLiteral,
)

MAX_DEPTH: Final = 100
MAX_LENGTH: Final = 100_000
_RESERVED: Final = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
})  # fmt: skip
_RELATIONS: Final = frozenset({"<", "<=", ">=", ">", "==", "!=", "in"})
_START: Final = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
_INT_LIMIT: Final = 1 << 63


class _Stop(Exception):
    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(at, message)


def parse(source: str) -> Node:
    """The tree of the expression, or CompileError."""
    if len(source) > MAX_LENGTH:
        raise CompileError(describe("", [Problem(0, f"expression code point size exceeds limit: size: {len(source)}")]))
    try:
        return _Parser(tokens(source)).whole()
    except (_Stop, LexError, macros.MacroError) as error:
        raise CompileError(describe(source, [error.problem])) from None


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.index = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.next
        self.index += 1
        return token

    def is_op(self, *texts: str) -> bool:
        token = self.next
        return token.kind == "op" and token.text in texts

    def accept(self, text: str) -> Token | None:
        return self.take() if self.is_op(text) else None

    def expect(self, text: str) -> Token:
        if not self.is_op(text):
            raise _Stop(self.next.at, f"Syntax error: missing '{text}' at '{self.next.text}'")
        return self.take()

    def unexpected(self, expecting: str) -> _Stop:
        token = self.next
        how = "mismatched" if token.kind == "end" else "extraneous"
        return _Stop(token.at, f"Syntax error: {how} input '{token.text}' expecting {expecting}")

    def whole(self) -> Node:
        node = self.expression()
        if self.next.kind != "end":
            token = self.next
            raise _Stop(token.at, f"Syntax error: extraneous input '{token.text}' expecting <EOF>")
        return node

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Stop(self.next.at, f"expression recursion limit exceeded: {MAX_DEPTH}")
        node = self.disjunction()
        if question := self.accept("?"):
            then = self.disjunction()
            self.expect(":")
            node = Call(question.at, "_?_:_", [node, then, self.expression()])
        self.depth -= 1
        return node

    def disjunction(self) -> Node:
        node = self.conjunction()
        while op := self.accept("||"):
            node = Call(op.at, "_||_", [node, self.conjunction()])
        return node

    def conjunction(self) -> Node:
        node = self.relation()
        while op := self.accept("&&"):
            node = Call(op.at, "_&&_", [node, self.relation()])
        return node

    def relation(self) -> Node:
        node = self.sum()
        while self.next.text in _RELATIONS and self.next.kind in {"op", "name"}:
            op = self.take()
            name = "@in" if op.text == "in" else f"_{op.text}_"
            node = Call(op.at, name, [node, self.sum()])
        return node

    def sum(self) -> Node:
        node = self.product()
        while self.is_op("+", "-"):
            op = self.take()
            node = Call(op.at, f"_{op.text}_", [node, self.product()])
        return node

    def product(self) -> Node:
        node = self.unary()
        while self.is_op("*", "/", "%"):
            op = self.take()
            node = Call(op.at, f"_{op.text}_", [node, self.unary()])
        return node

    def unary(self) -> Node:
        if self.is_op("!", "-"):
            first = self.next
            count = 0
            while self.is_op(first.text):
                self.take()
                count += 1
            if first.text == "-" and count == 1 and self.next.kind in {"int", "float"}:
                return self.member(self.negative(first))
            node = self.member(self.primary())
            return Call(first.at, "!_" if first.text == "!" else "-_", [node]) if count % 2 else node
        return self.member(self.primary())

    def negative(self, sign: Token) -> Node:
        number = self.take()
        if number.kind == "float":
            return Literal(sign.at, -number.value, "double")
        if number.value > _INT_LIMIT:
            raise _Stop(sign.at, "Syntax error: invalid int literal")
        return Literal(sign.at, -number.value, "int")

    def member(self, node: Node) -> Node:
        while True:
            if op := self.accept("."):
                node = self.select(node, op)
            elif op := self.accept("["):
                optional = self.accept("?") is not None
                index = self.expression()
                self.expect("]")
                node = Call(op.at, "_[?_]" if optional else "_[_]", [node, index])
            elif self.is_op("{") and (name := _qualified(node)):
                node = self.struct(name)
            else:
                return node

    def select(self, node: Node, op: Token) -> Node:
        optional = self.accept("?") is not None
        token = self.take()
        if token.kind == "quoted":
            return Select(op.at, node, token.value, optional=optional, escaped=True)
        if token.kind != "name":
            raise _Stop(token.at, "Syntax error: no viable alternative at input '.'")
        if not optional and self.is_op("("):
            paren = self.take()
            return macros.member(paren.at, node, token.text, self.arguments(")"))
        return Select(op.at, node, token.text, optional=optional)

    def arguments(self, closing: str) -> list[Node]:
        found: list[Node] = []
        while not self.is_op(closing):
            found.append(self.expression())
            if not self.accept(","):
                break
        self.expect(closing)
        return found

    def primary(self) -> Node:
        token = self.next
        if token.kind in {"int", "uint", "float", "string", "bytes"}:
            self.take()
            return self.literal(token)
        if token.kind == "name":
            return self.named()
        if token.kind == "op":
            if self.accept("("):
                inner = self.expression()
                self.expect(")")
                return inner
            if self.accept("["):
                return self.list_literal(token)
            if self.accept("{"):
                return self.map_literal(token)
            if self.accept("."):
                return self.named()
        raise self.unexpected(_START)

    def literal(self, token: Token) -> Node:
        if token.kind == "int" and token.value >= _INT_LIMIT:
            raise _Stop(token.at, "Syntax error: invalid int literal")
        if token.kind == "uint" and token.value >= 1 << 64:
            raise _Stop(token.at, "Syntax error: invalid uint literal")
        return Literal(token.at, token.value, "double" if token.kind == "float" else token.kind)

    def named(self) -> Node:
        token = self.take()
        if token.kind != "name":
            raise _Stop(token.at, f"Syntax error: no viable alternative at input '.{token.text}'")
        if token.text in {"true", "false"}:
            return Literal(token.at, token.text == "true", "bool")
        if token.text == "null":
            return Literal(token.at, None, "null")
        if token.text in _RESERVED:
            raise _Stop(token.at, f"Syntax error: reserved identifier: {token.text}")
        if token.text == "in":
            raise _Stop(token.at, f"Syntax error: extraneous input 'in' expecting {_START}")
        if self.is_op("("):
            paren = self.take()
            return macros.free(paren.at, token.text, self.arguments(")"))
        return Ident(token.at, token.text)

    def list_literal(self, opening: Token) -> Node:
        items: list[Node] = []
        optional: set[int] = set()
        while not self.is_op("]"):
            if self.accept("?"):
                optional.add(len(items))
            items.append(self.expression())
            if not self.accept(","):
                break
        self.expect("]")
        return ListLiteral(opening.at, items, frozenset(optional))

    def map_literal(self, opening: Token) -> Node:
        entries: list[Entry] = []
        while not self.is_op("}"):
            optional = self.accept("?") is not None
            key = self.expression()
            colon = self.expect(":")
            entries.append(Entry(colon.at, key, self.expression(), optional))
            if not self.accept(","):
                break
        self.expect("}")
        return MapLiteral(opening.at, entries)

    def struct(self, name: str) -> Node:
        opening = self.expect("{")
        fields: list[FieldInit] = []
        while not self.is_op("}"):
            optional = self.accept("?") is not None
            token = self.take()
            if token.kind not in {"name", "quoted"}:
                raise _Stop(token.at, f"Syntax error: mismatched input '{token.text}' expecting IDENTIFIER")
            colon = self.expect(":")
            fields.append(FieldInit(colon.at, token.value, self.expression(), optional))
            if not self.accept(","):
                break
        self.expect("}")
        return StructLiteral(opening.at, name, fields)


def _qualified(node: Node) -> str:
    """The dotted name that the node is, or ""."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test and not node.optional and not node.escaped:
        inner = _qualified(node.operand)
        return f"{inner}.{node.field}" if inner else ""
    return ""
