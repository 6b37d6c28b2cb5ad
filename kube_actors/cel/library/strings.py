"""The strings extension, Kubernetes' regex library and JSON pointer escaping.

Owns charAt, indexOf, join, split, replace, substring, trim, format, find, findAll and their errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from kube_actors.cel.errors import EvaluationError
from kube_actors.cel.library.core import number_text, pattern
from kube_actors.cel.values import (
    Duration,
    Timestamp,
    TypeValue,
    Uint,
    format_duration,
    format_timestamp,
    type_name,
)

MAX_PRECISION: Final = 1000


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise EvaluationError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if not 0 <= start <= len(text) and part:
        raise EvaluationError(f"index out of range: {start}")
    return text.find(part, start)


def _last_index_of(text: str, part: str, last: int | None = None) -> int:
    if last is None:
        return text.rfind(part)
    if not 0 <= last <= len(text):
        raise EvaluationError(f"index out of range: {last}")
    return text.rfind(part, 0, last + len(part))


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    if not 0 <= stop <= len(text):
        raise EvaluationError(f"index out of range: {stop}")
    if start > stop:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {stop}")
    return text[start:stop]


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if not separator:
        letters = list(text)
        return letters if limit < 0 or len(letters) <= limit else [*letters[: limit - 1], "".join(letters[limit - 1 :])]
    return text.split(separator, -1 if limit < 0 else limit - 1)


def _join(items: list[Any], separator: str = "") -> str:
    if not all(isinstance(item, str) for item in items):
        raise EvaluationError("no such overload")
    return separator.join(items)


_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_SPACE: Final = " \t\n\v\f\r\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_QUOTED: Final = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
                  "\\": "\\\\", '"': '\\"'}  # fmt: skip


def _find(text: str, expression: str) -> str:
    found = pattern(expression).search(text)
    return found.group() if found else ""


def _find_all(text: str, expression: str, limit: int = -1) -> list[str]:
    found: list[str] = []
    for match in pattern(expression).finditer(text):
        if 0 <= limit <= len(found):
            break
        found.append(match.group())
    return found


_VERB = re.compile(r"%(%|(?:\.([0-9]+))?([a-zA-Z]))")


def format_text(template: str, args: list[Any]) -> str:
    """template with its %s, %d, %f, %e, %b, %x, %X, %o clauses filled in."""
    taken = iter(args)

    def fill(match: re.Match[str]) -> str:
        if match.group(1) == "%":
            return "%"
        try:
            value = next(taken)
        except StopIteration:
            raise EvaluationError(f"index {len(args)} out of range") from None
        precision = int(match.group(2)) if match.group(2) else 6
        if precision > MAX_PRECISION:
            raise EvaluationError(f"precision {precision} exceeds maximum allowed precision of {MAX_PRECISION}")
        return _clause(match.group(3), value, precision)

    return _VERB.sub(fill, template)


def _clause(verb: str, value: Any, precision: int) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match verb:
        case "s":
            return display(value)
        case "d" if number and not isinstance(value, float):
            return str(int(value))
        case "f" if number:
            return f"{value:.{precision}f}"
        case "e" if number:
            return f"{value:.{precision}e}"
        case "b" if isinstance(value, int):
            return f"{int(value):b}"
        case "o" if number:
            return f"{int(value):o}"
        case "x" | "X" if isinstance(value, (str, bytes)):
            text = (value.encode() if isinstance(value, str) else value).hex()
            return text.upper() if verb == "X" else text
        case "x" | "X" if isinstance(value, int) and number:
            return f"{value:{verb}}"
    if verb not in "sdfeboxX":
        raise EvaluationError(f'unrecognized formatting clause "{verb}"')
    raise EvaluationError(f"error during formatting: {verb} clause cannot be used on {type_name(value)}")


def display(value: Any) -> str:
    """A value as %s shows it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case TypeValue() | str():
            return str(value)
        case Uint() | int():
            return str(int(value))
        case float():
            return number_text(value)
        case bytes():
            return value.decode(errors="replace")
        case Timestamp():
            return format_timestamp(value)
        case Duration():
            return format_duration(value)
        case list():
            return "[" + ", ".join(display(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{display(k)}: {display(value[k])}" for k in sorted(value)) + "}"
    raise EvaluationError(f"no formatting function for {type_name(value)}")


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "string.charAt(int) -> string": _char_at,
    "string.indexOf(string) -> int": _index_of,
    "string.indexOf(string, int) -> int": _index_of,
    "string.lastIndexOf(string) -> int": _last_index_of,
    "string.lastIndexOf(string, int) -> int": _last_index_of,
    "string.lowerAscii() -> string": lambda text: text.translate(_LOWER),
    "string.upperAscii() -> string": lambda text: text.translate(_UPPER),
    "string.replace(string, string) -> string": lambda text, old, new: text.replace(old, new),
    "string.replace(string, string, int) -> string": lambda text, old, new, limit: text.replace(old, new, limit),
    "string.split(string) -> list(string)": _split,
    "string.split(string, int) -> list(string)": _split,
    "string.substring(int) -> string": _substring,
    "string.substring(int, int) -> string": _substring,
    "string.trim() -> string": lambda text: text.strip(_SPACE),
    "string.reverse() -> string": lambda text: text[::-1],
    "list(string).join() -> string": _join,
    "list(string).join(string) -> string": _join,
    "string.format(list(dyn)) -> string": format_text,
    "@strings.quote(string) -> string": lambda text: '"' + "".join(_QUOTED.get(c, c) for c in text) + '"',
    "string.find(string) -> string": _find,
    "string.findAll(string) -> list(string)": _find_all,
    "string.findAll(string, int) -> list(string)": _find_all,
    "@jsonpatch.escapeKey(string) -> string": lambda text: text.replace("~", "~0").replace("/", "~1"),
}
