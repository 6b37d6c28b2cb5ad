"""Label and field selectors, compiled once and matched often.

Owns both languages: their text form with Kubernetes' own complaints, the structured LabelSelector, and matching.
It never fetches the labels or fields it is matched against.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from kube_actors.api import names
from kube_actors.api.field_errors import NO_FIELD, invalid, join, quote
from kube_actors.api.types.meta_v1 import LabelSelector

IN: Final = "in"
NOT_IN: Final = "notin"
EQUALS: Final = "="
DOUBLE_EQUALS: Final = "=="
NOT_EQUALS: Final = "!="
EXISTS: Final = "exists"
NOT_EXISTS: Final = "!"
GREATER: Final = "gt"
LESS: Final = "lt"

_STRUCTURED = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": NOT_EXISTS}
_CACHE_SIZE = 2048

Labels = Mapping[str, str]


class SelectorError(ValueError):
    """The selector cannot be understood; the text is what the server answers."""


class Requirement(Struct, frozen=True):
    """One condition on one key."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        operator = self.operator
        if operator == EQUALS:  # nearly always
            return value == self.values[0]
        if operator in (EQUALS, DOUBLE_EQUALS, IN):
            return value is not None and value in self.values
        if operator in (NOT_EQUALS, NOT_IN):
            return value is None or value not in self.values
        if operator == EXISTS:
            return value is not None
        if operator == NOT_EXISTS:
            return value is None
        number = None if value is None else _integer(value)
        limit = int(self.values[0])
        return number is not None and (number > limit if operator == GREATER else number < limit)

    def __str__(self) -> str:
        if self.operator == EXISTS:
            return self.key
        if self.operator == NOT_EXISTS:
            return "!" + self.key
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
        sign = {GREATER: ">", LESS: "<"}.get(self.operator, self.operator)
        return f"{self.key}{sign}{self.values[0]}"


class Selector(Struct, frozen=True):
    """All requirements hold. No requirements match everything; `nothing` matches nothing."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Labels) -> bool:
        if self.nothing:
            return False
        for requirement in self.requirements:  # noqa: SIM110 - all() with a generator takes twice as long
            if not requirement.matches(labels):
                return False
        return True

    @property
    def is_everything(self) -> bool:
        return not self.nothing and not self.requirements

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING: Final = Selector()
NOTHING: Final = Selector(nothing=True)


def from_labels(labels: Labels) -> Selector:
    """Every label has exactly this value (a Service's or ReplicationController's selector)."""
    return Selector(tuple(Requirement(key, EQUALS, (labels[key],)) for key in sorted(labels)))


def compile_selector(selector: LabelSelector | None) -> Selector:
    """The structured form: absent matches nothing, empty matches everything."""
    if selector is None:
        return NOTHING
    found = [_checked(key, EQUALS, (value,)) for key, value in selector.match_labels.items()]
    for expression in selector.match_expressions:
        operator = _STRUCTURED.get(expression.operator)
        if operator is None:
            raise SelectorError(f"{quote(expression.operator)} is not a valid label selector operator")
        found.append(_checked(expression.key, operator, expression.values))
    return Selector(tuple(sorted(found, key=lambda requirement: requirement.key)))


@functools.lru_cache(maxsize=_CACHE_SIZE)
def parse(text: str) -> Selector:
    """The text form: a=b, a==b, a!=b, a in (b,c), a notin (b,c), a, !a, a>1, a<1, joined by commas."""
    requirements = _Parser(text).parse()
    return Selector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))


def _integer(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _checked(key: str, operator: str, values: tuple[str, ...]) -> Requirement:
    """A requirement whose key and values are lawful, or SelectorError."""
    problems = _key_problems(key, "key")
    path = "values"
    if operator in (IN, NOT_IN) and not values:
        problems.append(str(invalid(path, [], "for 'in', 'notin' operators, values set can't be empty")))
    elif operator in (EXISTS, NOT_EXISTS) and values:
        problems.append(str(invalid(path, values, "values set must be empty for exists and does not exist")))
    elif operator in (GREATER, LESS) and _integer(values[0]) is None:
        detail = "for 'Gt', 'Lt' operators, the value must be an integer"
        problems.append(str(invalid(f"{path}[0]", values[0], detail)))
    for position, value in enumerate(values):
        wrong = names.label_value(value)
        if wrong:
            problems.append(str(invalid(f"{path}[{position}][{key}]", value, "; ".join(wrong))))
    if problems:
        raise SelectorError(join(problems))
    return Requirement(key, operator, values)


def _key_problems(key: str, path: str) -> list[str]:
    wrong = names.qualified_name(key)
    return [str(invalid(path, key, "; ".join(wrong)))] if wrong else []


_SPECIAL = frozenset("=!(),><")
_SYMBOLS = frozenset([")", ",", "!", "==", "=", ">", "!=", "(", "<"])
_KEYWORDS = frozenset([IN, NOT_IN])
_OPERATORS = {"=": EQUALS, "==": DOUBLE_EQUALS, "!=": NOT_EQUALS, ">": GREATER, "<": LESS, "in": IN, "notin": NOT_IN}
_EXPECTED_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_WORD = "word"


def _tokens(text: str) -> list[tuple[str, str]]:
    """Pairs of kind and text: kind is `word` or the symbol itself; the end is ("", "")."""
    found = []
    position = 0
    while position < len(text):
        start = position
        if text[position] in " \t\r\n":
            position += 1
            continue
        if text[position] in _SPECIAL:
            position += 2 if text[position : position + 2] in _SYMBOLS else 1
            found.append((text[start:position], text[start:position]))
            continue
        while position < len(text) and text[position] not in _SPECIAL and text[position] not in " \t\r\n":
            position += 1
        found.append((_WORD, text[start:position]))
    return [*found, ("", "")]


class _Parser:
    """Reads a label selector as apimachinery does, so that it complains in the same places."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            kind, text = self._peek()
            if not kind:
                return found
            if kind not in (_WORD, "!"):
                raise SelectorError(f"found '{text}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            kind, text = self._take()
            if not kind:
                return found
            if kind != ",":
                raise SelectorError(f"found '{text}', expected: ',' or 'end of string'")
            kind, text = self._peek()
            if kind not in (_WORD, "!"):
                raise SelectorError(f"found '{text}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        kind, key = self._take()
        negated = kind == "!"
        if negated:
            kind, key = self._take()
        if kind != _WORD:
            raise SelectorError(f"found '{key}', expected: identifier")
        problems = _key_problems(key, NO_FIELD)
        if problems:
            raise SelectorError(problems[0])
        if negated:
            return Requirement(key, NOT_EXISTS)
        if self._peek()[0] in ("", ","):
            return Requirement(key, EXISTS)
        kind, text = self._take()
        operator = _OPERATORS.get(text if kind == _WORD and text in _KEYWORDS else kind)
        if operator is None:
            raise SelectorError(f"found '{text}', expected: {_EXPECTED_OPERATORS}")
        values = self._values() if operator in (IN, NOT_IN) else (self._exact_value(),)
        return _checked(key, operator, values)

    def _exact_value(self) -> str:
        if self._peek()[0] in ("", ","):
            return ""
        kind, text = self._take()
        if kind != _WORD:
            raise SelectorError(f"found '{text}', expected: identifier")
        return text

    def _values(self) -> tuple[str, ...]:
        kind, text = self._take()
        if kind != "(":
            raise SelectorError(f"found '{text}' expected: '('")
        kind, text = self._peek()
        if kind == ")":
            self._take()
            return ("",)
        if kind not in (_WORD, ","):
            raise SelectorError(f"found '{text}', expected: ',', ')' or identifier")
        values = self._identifiers()
        kind, text = self._take()
        if kind != ")":
            raise SelectorError(f"found '{text}', expected: ')'")
        return tuple(sorted(values))

    def _identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            kind, text = self._take()
            following, next_text = self._peek()
            if kind == _WORD:
                values.add(text)
                if following == ")":
                    return values
                if following != ",":
                    raise SelectorError(f"found '{next_text}', expected: ',' or ')'")
            elif kind == ",":
                if not values:
                    values.add("")
                if following == ")":
                    return values | {""}
                if following == ",":
                    self._take()
                    values.add("")
            else:
                raise SelectorError(f"found '{text}', expected: ',', or identifier")


class FieldTerm(Struct, frozen=True):
    """One condition on one field: its text equals the value, or does not."""

    field: str
    value: str
    equal: bool = True


class FieldSelector(Struct, frozen=True):
    """All terms hold; no terms match everything."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, field: Callable[[str], str]) -> bool:
        """`field` gives the text of a field, "" when it is absent."""
        return all((field(term.field) == term.value) is term.equal for term in self.terms)

    def required(self, field: str) -> str | None:
        """The value that this field must have, when there is exactly one."""
        return next((term.value for term in self.terms if term.field == field and term.equal), None)

    def __str__(self) -> str:
        return ",".join(f"{t.field}{'=' if t.equal else '!='}{_escape(t.value)}" for t in self.terms)


@functools.lru_cache(maxsize=_CACHE_SIZE)
def parse_fields(text: str) -> FieldSelector:
    """The text form of a field selector: a=b, a==b, a!=b, joined by commas; backslash escapes , = and itself."""
    terms = []
    for part in _split_terms(text):
        if not part:
            continue
        field, operator, value = _split_term(part)
        if not operator:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append(FieldTerm(field, _unescape(value), operator != NOT_EQUALS))
    return FieldSelector(tuple(terms))


def _split_terms(text: str) -> Iterable[str]:
    start = position = 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == ",":
            yield text[start:position]
            start = position + 1
        position += 1
    yield text[start:]


def _split_term(part: str) -> tuple[str, str, str]:
    for position in range(len(part)):
        for operator in (NOT_EQUALS, DOUBLE_EQUALS, EQUALS):
            if part.startswith(operator, position):
                return part[:position], operator, part[position + len(operator) :]
    return part, "", ""


def _unescape(value: str) -> str:
    found = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", ",", "=") or not escaped:
                shown = f"\\{escaped}"
                raise SelectorError(f"invalid field selector: invalid escape sequence: {shown}")
            found.append(escaped)
        elif character in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(character)}")
        else:
            found.append(character)
    return "".join(found)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
