"""What is wrong with one field of an object, in the words of Kubernetes.

Owns the kinds of field error and how their values are rendered, which is how Go renders them. It never decides
that a field is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
TYPE_INVALID = "FieldValueTypeInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
NOT_FOUND = "FieldValueNotFound"
INTERNAL = "InternalError"

_LEADS = {
    REQUIRED: "Required value",
    INVALID: "Invalid value",
    TYPE_INVALID: "Invalid value",
    NOT_SUPPORTED: "Unsupported value",
    DUPLICATE: "Duplicate value",
    FORBIDDEN: "Forbidden",
    TOO_LONG: "Too long",
    TOO_MANY: "Too many",
    NOT_FOUND: "Not found",
    INTERNAL: "Internal error",
}
_WITHOUT_VALUE = frozenset({REQUIRED, FORBIDDEN, TOO_LONG, INTERNAL})


class _Omitted:
    """Stands for a value that the message leaves out."""

    def __repr__(self) -> str:
        return "OMITTED"


OMITTED: Final = _Omitted()
NO_FIELD: Final = "<nil>"
"""The path of an error that is about no field."""


class FieldError(Struct, frozen=True):
    """One cause of an Invalid answer."""

    reason: str
    field: str
    value: Any = OMITTED
    detail: str = ""

    @property
    def body(self) -> str:
        """The message without the field: `Invalid value: "x": must be ...`."""
        text = _LEADS[self.reason]
        if self.reason not in _WITHOUT_VALUE and self.value is not OMITTED:
            text += ": " + render(self.value)
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    '"': '\\"', "\\": "\\\\",
}  # fmt: skip


def quote(text: str) -> str:
    """A string as Go's %q writes it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_json(value: Any) -> str:
    """A value as Go's json.Marshal writes it: map keys sorted, <, > and & escaped."""
    text = msgspec.json.encode(value, order="deterministic").decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def render(value: Any) -> str:
    """A bad value as field errors show it."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:g}"
    return go_json(value)


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(REQUIRED, field, detail=detail)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(INVALID, field, value, detail)


def type_invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(TYPE_INVALID, field, value, detail)


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """The caller gives the supported values in the order in which they are to be named."""
    listed = ", ".join(quote(s) for s in supported)
    return FieldError(NOT_SUPPORTED, field, value, f"supported values: {listed}" if listed else "")


def duplicate(field: str, value: Any, detail: str = "") -> FieldError:
    return FieldError(DUPLICATE, field, value, detail)


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError(FORBIDDEN, field, detail=detail)


def too_long(field: str, limit: int) -> FieldError:
    if limit < 0:
        return FieldError(TOO_LONG, field, detail="value is too long")
    return FieldError(TOO_LONG, field, detail=f"may not be more than {limit} bytes")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    if limit < 0:
        return FieldError(TOO_MANY, field, actual, "has too many items")
    return FieldError(TOO_MANY, field, actual, f"must have at most {limit} {'item' if limit == 1 else 'items'}")


def not_found(field: str, value: Any) -> FieldError:
    return FieldError(NOT_FOUND, field, value)


def internal(field: str, detail: str) -> FieldError:
    return FieldError(INTERNAL, field, detail=detail)


def join(errors: Iterable[FieldError | str]) -> str:
    """Several messages as one: `a`, or `[a, b]`, each said once."""
    messages = list(dict.fromkeys(str(e) for e in errors))
    return messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"


def child(path: str, name: str) -> str:
    """The path of a field below `path`."""
    return f"{path}.{name}" if path else name


def index(path: str, position: int) -> str:
    """The path of a list element."""
    return f"{path}[{position}]"


def key(path: str, name: str) -> str:
    """The path of a map entry."""
    return f"{path}[{name}]"
