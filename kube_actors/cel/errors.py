"""What goes wrong with an expression: it does not compile, it fails when it runs, or it costs too much.

Owns the exceptions and how a compile error shows its place. Nothing else raises these texts' frames.
"""

from __future__ import annotations


class CelError(ValueError):
    """The base of this package's errors."""


class CompileError(CelError):
    """The expression is no good. str() is what Kubernetes prints after "compilation failed: "."""


class EvaluationError(CelError):
    """The expression failed on these values, e.g. "no such key: a"."""


class BudgetError(EvaluationError):
    """The evaluation used up its cost budget."""


class Problem:
    """One thing wrong at one place in the source."""

    __slots__ = ("message", "offset")

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        self.message = message


def describe(source: str, problems: list[Problem]) -> str:
    """All problems in the order of their places, each with its line and a pointer below it."""
    lines = source.split("\n")
    shown = []
    for problem in sorted(problems, key=lambda one: one.offset):
        before = source[: problem.offset]
        row = before.count("\n")
        column = problem.offset - (before.rfind("\n") + 1)
        line = lines[row].replace("\t", " ")
        pointer = "." * column + "^"
        shown.append(f"ERROR: <input>:{row + 1}:{column + 1}: {problem.message}\n | {line}\n | {pointer}")
    return "\n".join(shown)
