"""The part of the shell's grammar that the simulation understands, as a tree. Pure.

Words with quotes and $NAME, `;` `&` `&&` `||`, newlines, `>` `>>` `<` to files and between streams, `while ...; do ...;
done`. Anything else (pipes, substitutions, functions, if, for, case) raises Unsupported, and the caller decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec


class Unsupported(Exception):
    """A construct beyond the simulation."""


class Word(msgspec.Struct, frozen=True):
    """Pieces of text, each with whether $NAME is replaced in it."""

    pieces: tuple[tuple[str, bool], ...]

    def expand(self, variables: Mapping[str, str]) -> str:
        return "".join(
            _VARIABLE.sub(lambda m: variables.get(m.group(1) or m.group(2), ""), text) if replace else text
            for text, replace in self.pieces
        )


class Redirect(msgspec.Struct, frozen=True):
    stream: int  # 0, 1 or 2
    mode: str  # ">", ">>", "<" or ">&"
    target: Word


class Simple(msgspec.Struct, frozen=True):
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()


class While(msgspec.Struct, frozen=True):
    condition: Sequence
    body: Sequence


class Step(msgspec.Struct, frozen=True):
    """A command, and when it runs: always, or after the one before succeeded (&&) or failed (||)."""

    when: str
    command: Simple | While


class Sequence(msgspec.Struct, frozen=True):
    steps: tuple[Step, ...]


_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+|\?))")
_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+|\\\n|(?:(?<=\s)|^)\#[^\n]*)
      | (?P<redirect>[012]?(?:>&[12]|>>|>|<(?![<(])))
      | (?P<operator>&&|\|\||[;&\n])
      | (?P<word>(?:[^\s;&|<>()`"'\\]|\\.|'[^']*'|"(?:[^"\\`]|\\.)*")+)""",
    re.VERBOSE | re.DOTALL,
)
_PIECE = re.compile(r"""'(?P<hard>[^']*)'|"(?P<soft>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)|(?P<plain>[^'"\\]+)""", re.S)
_KEYWORDS = {"if", "for", "case", "until", "function", "select", "{", "[["}


def parse(text: str) -> Sequence:
    tokens = _tokens(text)
    sequence, rest = _sequence(tokens, 0, ())
    if rest != len(tokens):
        raise Unsupported(f"unexpected {tokens[rest][1]!r}")
    return sequence


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unsupported(f"cannot read {text[position : position + 20]!r}")
        kind = match.lastgroup or ""
        if kind != "blank":
            tokens.append((kind, match.group()))
        position = match.end()
    return tokens


def _word(text: str) -> Word:
    pieces: list[tuple[str, bool]] = []
    for match in _PIECE.finditer(text):
        if match["hard"] is not None:
            pieces.append((match["hard"], False))
        elif match["escaped"] is not None:
            pieces.append((match["escaped"], False))
        else:
            part = match["soft"] if match["soft"] is not None else match["plain"]
            if "$(" in part or ("${" in part.replace("${", "", 0) and not _VARIABLE.search(part)):
                raise Unsupported(f"cannot expand {part!r}")
            pieces.append((re.sub(r'\\(["\\$`])', r"\1", part) if match["soft"] is not None else part, True))
    return Word(tuple(pieces))


def _sequence(tokens: list[tuple[str, str]], at: int, until: tuple[str, ...]) -> tuple[Sequence, int]:
    steps: list[Step] = []
    when = ";"
    while at < len(tokens):
        kind, text = tokens[at]
        if kind == "word" and text in until:
            break
        if kind == "operator":
            # `a & wait` runs one after the other here: nothing else of ours can tell the difference.
            when = text if text in ("&&", "||") else ";"
            at += 1
            continue
        command: Simple | While
        if kind == "word" and text == "while":
            command, at = _while(tokens, at + 1)
        else:
            command, at = _simple(tokens, at)
        steps.append(Step(when, command))
        when = ";"
    return Sequence(tuple(steps)), at


def _while(tokens: list[tuple[str, str]], at: int) -> tuple[While, int]:
    condition, at = _sequence(tokens, at, ("do",))
    body, end = _sequence(tokens, at + 1, ("done",))
    if end >= len(tokens):
        raise Unsupported("while without do and done")
    return While(condition, body), end + 1


def _simple(tokens: list[tuple[str, str]], at: int) -> tuple[Simple, int]:
    words: list[Word] = []
    redirects: list[Redirect] = []
    while at < len(tokens) and tokens[at][0] != "operator":
        kind, text = tokens[at]
        if kind == "word":
            if not words and text in _KEYWORDS:
                raise Unsupported(f"cannot run {text!r}")
            words.append(_word(text))
            at += 1
            continue
        stream = int(text[0]) if text[0].isdigit() else (0 if "<" in text else 1)
        mode = text.lstrip("012")
        if mode.startswith(">&"):
            redirects.append(Redirect(stream, ">&", Word(((mode[2:], False),))))
            at += 1
            continue
        if at + 1 >= len(tokens) or tokens[at + 1][0] != "word":
            raise Unsupported("redirection without a file")
        redirects.append(Redirect(stream, mode, _word(tokens[at + 1][1])))
        at += 2
    return Simple(tuple(words), tuple(redirects)), at
