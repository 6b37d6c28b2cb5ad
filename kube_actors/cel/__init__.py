"""CEL, the expression language of validation rules and admission policies.

Why a CEL of our own: the two evaluators on PyPI were tried first. `cel-expr-python` 0.1.3 (Google's C++ runtime) type
checks, but only protobuf messages have fields, so an undefined field of a structural schema is no compile error and
`Object.spec{...}` cannot be declared; `a.?b` is "unsupported syntax"; there is no cost, static or at run time.
`common-expression-language` 0.10 (Rust) has no type checker at all and no optional syntax. Neither gives its syntax
tree away, so the grammar, checker and interpreter here are ours: pure Python, nothing to install, closures made once.

    from kube_actors import cel
    env = cel.Environment({"self": cel.types.object_of("self", {"replicas": cel.types.INT})})
    program = env.compile("self.replicas <= 5", expected=cel.types.BOOL)     # CompileError says where and why
    program.evaluate({"self": {"replicas": 3}}, budget=cel.PER_CALL_LIMIT)   # EvaluationError, BudgetError

Import this package lazily: nothing of it is needed until there is an expression. It does no I/O.
"""

from kube_actors.cel import schemas, types
from kube_actors.cel.environment import PER_CALL_LIMIT, STATIC_LIMIT, Environment, Program
from kube_actors.cel.errors import BudgetError, CelError, CompileError, EvaluationError
from kube_actors.cel.library.authorizer import Answer, Authorizer, Question
from kube_actors.cel.types import Field, Type
from kube_actors.cel.values import Duration, Optional, Timestamp

__all__ = [
    "PER_CALL_LIMIT", "STATIC_LIMIT", "Answer", "Authorizer", "BudgetError", "CelError", "CompileError", "Duration",
    "Environment", "EvaluationError", "Field", "Optional", "Program", "Question", "Timestamp", "Type", "schemas",
    "types",
]  # fmt: skip
