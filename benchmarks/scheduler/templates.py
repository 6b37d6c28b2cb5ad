"""Templates of objects as scheduler_perf's files use them: YAML with `{{.Index}}` and a little arithmetic in it.

Owns the part of Go's text/template that such files need: fields, numbers, strings, calls of the arithmetic functions,
parentheses and comments. Everything else (conditions, loops, pipes) is refused with its file and line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kube_actors.api.codec import CodecError
from kube_actors.api.manifests import load_documents

from .errors import WorkloadError

Scope = Mapping[str, Any]
Expression = Callable[[Scope], Any]

_ACTION = re.compile(r"(?:\s*\{\{-\s|\{\{)(.*?)(?:\s-\}\}\s*|\}\})", re.DOTALL)
_TOKEN = re.compile(r"""\s*(?:([()])|("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?)|(\.?[A-Za-z_]\w*)|(\S))""")


def _divide(left: float, right: float) -> float:
    if right == 0:
        raise ValueError("division by zero")
    return left / right


def _remainder(left: float, right: float) -> int:
    """As Go's %: the sign is the left one's."""
    if int(right) == 0:
        raise ValueError("division by zero")
    return int(math.fmod(int(left), int(right)))


_FUNCTIONS: dict[str, tuple[Callable[..., Any], int | None]] = {
    "AddFloat": (lambda *numbers: sum(numbers), None),
    "AddInt": (lambda *numbers: int(sum(numbers)), None),
    "SubtractFloat": (lambda left, right: left - right, 2),
    "SubtractInt": (lambda left, right: int(left - right), 2),
    "MultiplyFloat": (lambda *numbers: math.prod(numbers), None),
    "MultiplyInt": (lambda *numbers: int(math.prod(numbers)), None),
    "DivideFloat": (_divide, 2),
    "DivideInt": (lambda left, right: int(_divide(left, right)), 2),
    "Mod": (_remainder, 2),
}
"""Each function, and how many numbers it takes (None: any number of them)."""


class Template:
    """A file that becomes an object; `varies` tells whether the objects made from it differ at all."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self._parts: list[str | Expression] = []
        at = 0
        for action in _ACTION.finditer(text):
            self._parts.append(text[at : action.start()])
            at = action.end()
            inner = action.group(1).strip()
            if not (inner.startswith("/*") and inner.endswith("*/")):
                line = text.count("\n", 0, action.start(1)) + 1
                self._parts.append(_Parser(inner, f"{source}:{line}").whole())
        self._parts.append(text[at:])
        self.varies = any(not isinstance(part, str) for part in self._parts)
        self._same: dict[str, Any] | None = None

    @classmethod
    def read(cls, path: Path, field: str) -> Template:
        """From a file; `field` says who named it, for the refusal."""
        try:
            return cls(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise WorkloadError(f"{field}: {path}: cannot be read: {reason}") from None

    def render(self, scope: Scope) -> dict[str, Any]:
        """The object for these values. Without a placeholder it is the same one each time: do not change it."""
        if not self.varies and self._same is not None:
            return self._same
        try:
            text = "".join(part if isinstance(part, str) else _text(part(scope)) for part in self._parts)
            found = [each for each in load_documents(text, strict=True) if each is not None]
        except (CodecError, ValueError) as error:
            raise WorkloadError(f"{self.source}: {error}") from None
        if len(found) != 1 or not isinstance(found[0], dict):
            raise WorkloadError(f"{self.source}: one object is expected, not {len(found)} documents")
        self._same = found[0]
        return self._same


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class _Parser:
    """One action between braces, by recursive descent."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._text = text
        self._tokens = [match for match in _TOKEN.finditer(text) if match.group(0).strip()]
        self._at = 0

    def whole(self) -> Expression:
        found = self._call()
        if self._at != len(self._tokens):
            raise self._refuse()
        return found

    def _refuse(self, why: str = "is not understood; fields, numbers and arithmetic functions are") -> WorkloadError:
        return WorkloadError(f"{self._where}: {{{{{self._text}}}}} {why}")

    def _peek(self) -> re.Match[str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _call(self) -> Expression:
        first = self._peek()
        word = first.group(4) if first is not None else None
        if not word or word.startswith("."):
            return self._operand()
        if word not in _FUNCTIONS:
            raise self._refuse(f"uses {word!r}; known are {', '.join(sorted(_FUNCTIONS))}")
        self._at += 1
        operands: list[Expression] = []
        while (token := self._peek()) is not None and token.group(1) != ")":
            operands.append(self._operand())
        function, wanted = _FUNCTIONS[word]
        if (wanted is not None and len(operands) != wanted) or not operands:
            raise self._refuse(f"gives {len(operands)} operands to {word}")
        return lambda scope: function(*(_number(each(scope), self._where) for each in operands))

    def _operand(self) -> Expression:
        token = self._peek()
        if token is None:
            raise self._refuse("is empty")
        self._at += 1
        bracket, string, number, word, _ = token.groups()
        if bracket == "(":
            inner = self._call()
            closing = self._peek()
            if closing is None or closing.group(1) != ")":
                raise self._refuse("lacks a closing parenthesis")
            self._at += 1
            return inner
        if string is not None:
            text = string[1:-1].replace('\\"', '"')
            return lambda scope: text
        if number is not None:
            value = float(number) if "." in number else int(number)
            return lambda scope: value
        if word is not None and word.startswith("."):
            return self._field(word[1:])
        raise self._refuse()

    def _field(self, name: str) -> Expression:
        def value(scope: Scope) -> Any:
            if name not in scope:
                raise WorkloadError(f"{self._where}: .{name} is not given; there are {', '.join(sorted(scope))}")
            return scope[name]

        return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise WorkloadError(f"{where}: {value!r} is not a number") from None
