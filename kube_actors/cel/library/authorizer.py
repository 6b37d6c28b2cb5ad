"""Questions to the authorizer from admission expressions: authorizer.group("apps").resource("pods").check("get").

Owns the builders. Who decides is a callable that whoever evaluates the expression puts into `Authorizer`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace


class Question(Struct, frozen=True):
    """What is asked. user is (namespace, name) of a service account that is asked about in the user's place."""

    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    service_account: tuple[str, str] | None = None


class Answer(Struct, frozen=True):
    """allowed, why, and the error that kept the authorizer from deciding."""

    cel_type = "kubernetes.authorization.Decision"
    allowed: bool
    reason: str = ""
    error: str = ""


Decide = Callable[[Question], Answer]


class Authorizer(Struct, frozen=True):
    """The variable `authorizer`: decides by asking `decide`."""

    cel_type = "kubernetes.authorization.Authorizer"
    decide: Decide
    question: Question = Question()


class PathCheck(Struct, frozen=True):
    cel_type = "kubernetes.authorization.PathCheck"
    decide: Decide
    question: Question


class GroupCheck(Struct, frozen=True):
    cel_type = "kubernetes.authorization.GroupCheck"
    decide: Decide
    question: Question


class ResourceCheck(Struct, frozen=True):
    cel_type = "kubernetes.authorization.ResourceCheck"
    decide: Decide
    question: Question


def _with(made: Callable[[Decide, Question], Any], field: str) -> Callable[[Any, str], Any]:
    return lambda asker, value: made(asker.decide, replace(asker.question, **{field: value}))


def _check(asker: Any, verb: str) -> Answer:
    answer: Answer = asker.decide(replace(asker.question, verb=verb))
    return answer


def _service_account(asker: Authorizer, namespace: str, name: str) -> Authorizer:
    return Authorizer(asker.decide, replace(asker.question, service_account=(namespace, name)))


_A: Final = "kubernetes.authorization.Authorizer"
_P: Final = "kubernetes.authorization.PathCheck"
_G: Final = "kubernetes.authorization.GroupCheck"
_R: Final = "kubernetes.authorization.ResourceCheck"
_D: Final = "kubernetes.authorization.Decision"

FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    f"{_A}.path(string) -> {_P}": _with(PathCheck, "path"),
    f"{_A}.group(string) -> {_G}": _with(GroupCheck, "group"),
    f"{_A}.serviceAccount(string, string) -> {_A}": _service_account,
    f"{_G}.resource(string) -> {_R}": _with(ResourceCheck, "resource"),
    f"{_R}.subresource(string) -> {_R}": _with(ResourceCheck, "subresource"),
    f"{_R}.namespace(string) -> {_R}": _with(ResourceCheck, "namespace"),
    f"{_R}.name(string) -> {_R}": _with(ResourceCheck, "name"),
    f"{_R}.fieldSelector(string) -> {_R}": _with(ResourceCheck, "field_selector"),
    f"{_R}.labelSelector(string) -> {_R}": _with(ResourceCheck, "label_selector"),
    f"{_P}.check(string) -> {_D}": _check,
    f"{_R}.check(string) -> {_D}": _check,
    f"{_D}.allowed() -> bool": lambda answer: answer.allowed,
    f"{_D}.reason() -> string": lambda answer: answer.reason,
    f"{_D}.errored() -> bool": lambda answer: bool(answer.error),
    f"{_D}.error() -> string": lambda answer: answer.error,
}
