"""Evaluating the expressions of admission on one attempt.

Owns the values that expressions see and the questions that they put to the authorizer: an expression runs to the end
or stops at a question that is not answered yet; the question is asked, and the expression runs again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.api.resources import Resource
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.admission import review
from kube_actors.apiserver.admission.chain import Attempt, JSONObject
from kube_actors.apiserver.admission.matching import namespace_of

if TYPE_CHECKING:
    from kube_actors.cel import Answer, Program, Question

QUESTIONS = 100
"""Questions to the authorizer that the expressions of one policy may put."""
BUDGET = 10_000_000
"""What all expressions of one policy may cost together, as Kubernetes has it."""


class Failed(Exception):
    """An expression has no value on this attempt; the message says which and why."""


class _Unasked(Exception):
    """The authorizer is to be asked before the expression can go on."""

    def __init__(self, question: Question) -> None:
        super().__init__("a question to the authorizer")
        self.question = question


class Variables(Mapping[str, Any]):
    """The variables of a policy, each evaluated when it is first read."""

    def __init__(self, scene: Scene, programs: Mapping[str, Program]) -> None:
        self._scene = scene
        self._programs = programs
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._scene.run(self._programs[name])
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._programs

    def __iter__(self) -> Iterator[str]:
        return iter(self._programs)

    def __len__(self) -> int:
        return len(self._programs)


class Scene:
    """One attempt as expressions see it, in one version of the object."""

    def __init__(self, attempt: Attempt, values: dict[str, Any]) -> None:
        self._attempt = attempt
        self._values = values
        self._answers: dict[Question, Answer] = {}
        self._left = BUDGET

    def with_params(self, params: JSONObject | None, variables: Mapping[str, Program]) -> Scene:
        """The same with a parameter object and a policy's variables."""
        found = Scene(self._attempt, {**self._values, "params": params})
        found._answers = self._answers
        found._values["variables"] = Variables(found, variables)
        return found

    def with_object(self, obj: JSONObject | None, variables: Mapping[str, Program]) -> Scene:
        """The same after the object has changed."""
        found = Scene(self._attempt, {**self._values, "object": obj})
        found._answers = self._answers
        found._values["variables"] = Variables(found, variables)
        return found

    def run(self, program: Program) -> Any:
        """The program's value; raises what CEL raises, or _Unasked."""
        value, cost = program.evaluate_costed(self._values, min(self._left, _per_call()))
        self._left -= cost
        return value

    async def value(self, program: Program) -> Any:
        """The program's value. Raises Failed."""
        from kube_actors.cel import EvaluationError  # lazy: only where there are expressions

        for _ in range(QUESTIONS):
            try:
                return self.run(program)
            except _Unasked as unasked:
                self._answers[unasked.question] = await self._ask(unasked.question)
            except EvaluationError as error:
                raise Failed(f"expression '{program.source.strip()}' resulted in error: {error}") from None
        raise Failed(f"expression '{program.source.strip()}' resulted in error: too many authorizer checks")

    def decide(self, question: Question) -> Answer:
        """The authorizer's answer, if it is there."""
        found = self._answers.get(question)
        if found is None:
            raise _Unasked(question)
        return found

    async def _ask(self, question: Question) -> Answer:
        from kube_actors.cel import Answer  # lazy: only where there are expressions

        core = self._attempt.call.core
        if core.authorizer is None:
            return Answer(True)
        user = self._attempt.call.request.user
        if question.service_account is not None:
            namespace, name = question.service_account
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            user = UserInfo(name=f"system:serviceaccount:{namespace}:{name}", groups=groups)
        asked = Attributes(
            user=user,
            verb=question.verb,
            path=question.path,
            group=question.group,
            version="" if question.path else "*",
            resource=question.resource,
            subresource=question.subresource,
            namespace=question.namespace,
            name=question.name,
            field_selector=question.field_selector,
        )
        try:
            decision = await core.access.authorizer.decide(asked)
        except ApiError as error:
            return Answer(False, "", str(error))
        return Answer(decision.allowed, decision.reason)


def _per_call() -> int:
    from kube_actors.cel import PER_CALL_LIMIT  # lazy: only where there are expressions

    return PER_CALL_LIMIT


async def scene(attempt: Attempt, version: Resource) -> Scene:
    """What expressions see of an attempt, the object in this version."""
    from kube_actors.cel import Authorizer, Question  # lazy: only where there are expressions
    from kube_actors.cel.library.authorizer import ResourceCheck  # lazy: as above

    own = attempt.call.kind.resource
    values: dict[str, Any] = {
        "object": review.shown(attempt, attempt.obj, version),
        "oldObject": review.shown(attempt, attempt.old, version),
        "request": review.attributes(attempt, version),
        "params": None,
        "namespaceObject": await namespace_of(attempt) if attempt.namespace and own.plural != "namespaces" else None,
    }
    found = Scene(attempt, values)
    place = Question(
        group=own.group,
        resource=own.plural,
        subresource=attempt.subresource,
        namespace=attempt.namespace,
        name=attempt.name,
    )
    values["authorizer"] = Authorizer(found.decide)
    values["authorizer.requestResource"] = ResourceCheck(found.decide, place)
    return found


class Conditions:
    """matchConditions: every one must hold, and one that fails is a refusal where failures are."""

    def __init__(self, conditions: Iterable[JSONObject], *, strict: bool, params: bool = False) -> None:
        self._strict = strict
        self._sources = [condition.get("expression", "") for condition in conditions]
        self._params = params
        self._programs: list[Program] = []

    def __bool__(self) -> bool:
        return bool(self._sources)

    async def hold(self, scene: Scene) -> bool:
        """Raises Failed when one has no value, none is false, and failing is refusing."""
        from kube_actors.cel import admission as expressions  # lazy: brings CEL

        if not self._programs:
            env = expressions.environment(params=self._params)
            try:
                self._programs = [expressions.compiled(env, source, *expressions.BOOL) for source in self._sources]
            except expressions.Faulty as error:
                raise Failed(str(error)) from None
        problems = []
        for program in self._programs:
            try:
                if await scene.value(program) is not True:
                    return False
            except Failed as error:
                problems.append(str(error))
        if problems and self._strict:
            raise Failed(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
        return not problems
