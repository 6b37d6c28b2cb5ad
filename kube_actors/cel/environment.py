"""The door: an environment of declared variables compiles expressions into programs.

Owns putting parser, checker, interpreter and estimate together, and the cache of compiled programs of an environment.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kube_actors.cel import types
from kube_actors.cel.checker import Checked, check
from kube_actors.cel.errors import CompileError, EvaluationError, Problem, describe
from kube_actors.cel.estimate import Estimate, estimate
from kube_actors.cel.interpreter import METER, Code, Compiler
from kube_actors.cel.library import functions
from kube_actors.cel.parser import parse
from kube_actors.cel.syntax import Node
from kube_actors.cel.types import Type

PROGRAM_CACHE: Final = 256
PER_CALL_LIMIT: Final = 1_000_000
"""Kubernetes' limit on the cost of one evaluation."""
STATIC_LIMIT: Final = 10_000_000
"""Kubernetes' limit on the estimated cost of one rule."""


class Program:
    """A compiled expression. Safe to share: evaluating changes nothing in it."""

    def __init__(self, source: str, root: Node, checked: Checked, code: Code) -> None:
        self.source = source
        self.result_type = checked.type_of(root)
        self._root = root
        self._checked = checked
        self._code = code

    def evaluate(self, values: Mapping[str, Any], budget: int = PER_CALL_LIMIT) -> Any:
        """The value on these variables; EvaluationError when it has none, BudgetError when it costs too much."""
        return self.evaluate_costed(values, budget)[0]

    def evaluate_costed(self, values: Mapping[str, Any], budget: int = PER_CALL_LIMIT) -> tuple[Any, int]:
        """The value and what it cost."""
        meter = [budget]
        frame: dict[Any, Any] = {**values, METER: meter}
        try:
            value = self._code(frame)
        except RecursionError:
            raise EvaluationError("evaluation nested too deeply") from None
        return value, budget - meter[0]

    def estimate(self) -> Estimate:
        """What an evaluation costs at least and at most, by the sizes that the types allow."""
        return estimate(self._root, self._checked)

    def names(self) -> set[str]:
        """The dotted names of variables that the expression reads at its top level."""
        return set(self._checked.names.values())


class Environment:
    """Declared variables, typed structs for literals, and compiled programs.

    env = Environment({"self": types.object_of("self", {"replicas": types.INT})})
    program = env.compile("self.replicas <= 5", expected=types.BOOL)
    assert program.evaluate({"self": {"replicas": 3}}) is True
    """

    def __init__(self, variables: Mapping[str, Type], structs: Mapping[str, Type] | None = None) -> None:
        self._variables = dict(variables)
        self._structs: Mapping[str, Type] = structs if structs is not None else {}
        self._programs: OrderedDict[tuple[str, str], Program] = OrderedDict()

    def extended(self, variables: Mapping[str, Type]) -> Environment:
        """The same with more variables."""
        return Environment({**self._variables, **variables}, self._structs)

    def compile(self, source: str, expected: Type | Iterable[Type] | None = None) -> Program:
        """The program, compiled once and kept; CompileError when it is wrong or of another type than expected.

        A wrong result type is worded "must evaluate to bool"; of several types, "must evaluate to one of [a, b]".
        """
        wanted = () if expected is None else (expected,) if isinstance(expected, Type) else tuple(expected)
        key = (source, ", ".join(map(str, wanted)))
        known = self._programs.get(key)
        if known is None:
            known = self._compile(source, wanted)
            self._programs[key] = known
            if len(self._programs) > PROGRAM_CACHE:
                self._programs.popitem(last=False)
        return known

    def _compile(self, source: str, wanted: tuple[Type, ...]) -> Program:
        try:
            root = parse(source)
            checked = check(root, self._variables, self._structs, functions())
        except RecursionError:
            raise CompileError(describe(source, [Problem(0, "expression recursion limit exceeded")])) from None
        if checked.problems:
            raise CompileError(describe(source, checked.problems))
        result = checked.type_of(root)
        if wanted and not any(types.assignable(kind, result, {}) for kind in wanted):
            shown = str(wanted[0]) if len(wanted) == 1 else f"one of [{', '.join(map(str, wanted))}]"
            raise CompileError(f"must evaluate to {shown}")
        code = Compiler(checked, self._structs, self._variables).code(root)
        return Program(source, root, checked, code)
