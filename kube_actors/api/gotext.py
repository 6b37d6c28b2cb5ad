"""How Go's standard library would put it: %v of plain data, and the complaints of encoding/json.

Owns wording only, for the answers in which Kubernetes passes on what Go said.
"""

from __future__ import annotations

import json
from typing import Any

_EXPECTATIONS = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
}
_END = "unexpected end of JSON input"


def value_text(value: Any) -> str:
    """Plain data as %v shows it: map[a:1 b:[x y]]."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{value_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(value_text, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    return f"{value:g}" if isinstance(value, float) else str(value)


def go_syntax(value: Any) -> str:
    """Plain data as %#v shows it: map[string]interface {}{"a":1}."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)}:{go_syntax(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[]interface {{}}{{{', '.join(map(go_syntax, value))}}}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "interface {}(nil)" if value is None else value_text(value)


def go_type(value: Any) -> str:
    """The type of plain data as %T shows it."""
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list | tuple):
        return "[]interface {}"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "<nil>" if value is None else "float64" if isinstance(value, float) else "int64"


def kind_of(value: Any) -> str:
    """What encoding/json calls this JSON value: object, array, string, number, bool."""
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list | tuple):
        return "array"
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "number"


def cannot_unmarshal(value: Any, go_type: str) -> str:
    return f"json: cannot unmarshal {kind_of(value)} into Go value of type {go_type}"


def syntax_error(data: bytes) -> str:
    """What encoding/json says of bytes that are no JSON; empty when they are."""
    text = data.decode(errors="replace")
    try:
        json.loads(text, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        return _reworded(text, error)
    except _Constant as constant:
        return f"invalid character '{constant.args[0][0]}' looking for beginning of value"
    except RecursionError:
        return "exceeded max depth"
    except ValueError as huge:  # a number of thousands of digits
        return str(huge)
    return ""


class _Constant(Exception):
    """Python reads NaN and Infinity where JSON has no such thing."""


def _reject_constant(text: str) -> Any:
    raise _Constant(text)


def _reworded(text: str, error: json.JSONDecodeError) -> str:
    position = error.pos
    if error.msg.startswith(("Illegal trailing comma", "Expecting")):
        while position < len(text) and text[position] in " \t\r\n":
            position += 1
    if position >= len(text) or error.msg.startswith("Unterminated string"):
        return _END
    if error.msg == "Expecting ',' delimiter":
        where = f"after {_container(text[: error.pos])}"
    else:
        where = next((v for k, v in _EXPECTATIONS.items() if error.msg.startswith(k)), "in literal")
    character = text[position]
    shown = "\\'" if character == "'" else character if character.isprintable() else f"\\u{ord(character):04x}"
    return f"invalid character '{shown}' {where}"


def _container(text: str) -> str:
    """Whether the end of this JSON prefix is inside an array or an object."""
    opened: list[str] = []
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string, escaped = True, False
        elif character in "[{":
            opened.append(character)
        elif character in "]}" and opened:
            opened.pop()
    return "array element" if opened and opened[-1] == "[" else "object key:value pair"
