"""Text into tokens.

Owns CEL's lexical rules: numbers, strings with prefixes and escapes, bytes, names, back-quoted names, comments.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Struct

from kube_actors.cel.errors import Problem

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
    |(?P<string>[rRbB]{0,2}(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''
        |"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*'))
    |(?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<uint>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
    |(?P<int>0x[0-9a-fA-F]+|[0-9]+)
    |(?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
    |(?P<quoted>`[a-zA-Z0-9_.\-/ ]+`)
    |(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%!<>()\[\]{}.,:?])""",
    re.VERBOSE | re.DOTALL,
)
_RAW = re.compile(r"[rR]")
_RAW_STRING = re.compile(
    r"""[bB]?[rR][bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n\r]*"|'[^'\n\r]*')""",
    re.DOTALL,
)
_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL
)


class Token(Struct, frozen=True):
    """kind is "int", "uint", "float", "string", "bytes", "name", "quoted", "op", "end"; text is as written."""

    kind: str
    text: str
    at: int
    value: Any = None


class LexError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def tokens(source: str) -> list[Token]:
    """All tokens and an end token; LexError at what is no token."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        raw = _RAW_STRING.match(source, at)
        match = raw or _TOKEN.match(source, at)
        if match is None:
            message = f"Syntax error: token recognition error at: '{source[at]}'"
            raise LexError(Problem(at, message))
        text = match.group()
        kind = "string" if raw else str(match.lastgroup)
        if kind != "space":
            found.append(_token(kind, text, at))
        at = match.end()
    found.append(Token("end", "<EOF>", len(source)))
    return found


def _token(kind: str, text: str, at: int) -> Token:
    match kind:
        case "int":
            return Token(kind, text, at, int(text, 0) if text.startswith("0x") else int(text))
        case "uint":
            digits = text[:-1]
            return Token(kind, text, at, int(digits, 0) if digits.startswith("0x") else int(digits))
        case "float":
            return Token(kind, text, at, float(text))
        case "string":
            return _string(text, at)
        case "quoted":
            return Token(kind, text, at, text[1:-1])
        case _:
            return Token(kind, text, at, text)


def _string(text: str, at: int) -> Token:
    quote = min(text.find(mark) for mark in "\"'" if mark in text)
    prefix, body = text[:quote].lower(), text[quote:]
    width = 3 if body[:3] in {'"""', "'''"} and len(body) >= 6 else 1
    body = body[width:-width]
    is_bytes = "b" in prefix
    if "r" not in prefix:
        body = _unescape(body, is_bytes, at)
    if is_bytes:
        # Escapes of one byte were put into the private range that _unescape chose, so that they survive encoding.
        data = b"".join(bytes([ord(c) - _BYTE]) if _BYTE <= ord(c) <= _BYTE + 255 else c.encode() for c in body)
        return Token("bytes", text, at, data)
    return Token("string", text, at, body)


_BYTE: Final = 0xF0000


def _unescape(body: str, is_bytes: bool, at: int) -> str:
    if "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        small = match.group(1) or match.group(2)
        if small is not None:
            return chr(int(small, 16) + (_BYTE if is_bytes else 0))
        wide = match.group(3) or match.group(4)
        if wide is not None:
            code = int(wide, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise LexError(Problem(at, "Syntax error: invalid unicode code point"))
            return chr(code)
        if match.group(5) is not None:
            return chr(int(match.group(5), 8) + (_BYTE if is_bytes else 0))
        simple = _SIMPLE.get(match.group(6))
        if simple is None:
            raise LexError(Problem(at, f"Syntax error: token recognition error at: '{match.group()}'"))
        return simple

    return _ESCAPE.sub(replace, body)
