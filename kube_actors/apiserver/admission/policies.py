"""What validating and mutating admission policies share: definitions, bindings, parameters, variables.

Owns which policies with which bindings and parameters concern an attempt. What follows from them is the steps' own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kube_actors.api.resources import Resource
from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission.chain import Attempt, JSONObject
from kube_actors.apiserver.admission.evaluation import Conditions, Scene, scene
from kube_actors.apiserver.admission.matching import Criteria, by_name, compiled, is_exempt, is_review

if TYPE_CHECKING:
    from kube_actors.cel import Program

PREFIX = "/registry/admissionregistration.k8s.io/"
PARAMS = 1000
"""Parameter objects that one binding may name by a selector."""


class Misconfigured(Exception):
    """A policy or binding cannot be applied as it stands; the message says why. by_binding: it is the binding's."""

    def __init__(self, why: str, *, by_binding: bool = True) -> None:
        super().__init__(f"failed to configure {'binding' if by_binding else 'policy'}: {why}")
        self.by_binding = by_binding


class Policy(ABC):
    """A policy, compiled on first use. Kinds of policies add what they evaluate."""

    def __init__(self, obj: JSONObject) -> None:
        self.spec: JSONObject = obj["spec"]
        self.name: str = obj["metadata"]["name"]
        self.criteria = Criteria(self.spec.get("matchConstraints") or {})
        self.strict = self.spec.get("failurePolicy") != "Ignore"
        self.param_kind: JSONObject | None = self.spec.get("paramKind")
        self.conditions = Conditions(
            self.spec.get("matchConditions") or (), strict=self.strict, params=self.param_kind is not None
        )
        self.variables: dict[str, Program] = {}
        self._faults: str | None = None

    def ready(self) -> None:
        """Compile; raises Misconfigured when an expression that was let in is no good after all."""
        from kube_actors.cel import admission as expressions  # lazy: brings CEL

        if self._faults is None:
            try:
                self._compile(self._variables_in(expressions.environment(**self._environment())))
                self._faults = ""
            except expressions.Faulty as error:
                self._faults = str(error)
        if self._faults:
            raise Misconfigured(self._faults, by_binding=False)

    def _environment(self) -> dict[str, bool]:
        return {"params": self.param_kind is not None}

    def _variables_in(self, env: Any) -> Any:
        from kube_actors.cel import admission as expressions  # lazy: brings CEL

        known: dict[str, Any] = {}
        for variable in self.spec.get("variables") or ():
            program = expressions.compiled(expressions.with_variables(env, known), variable["expression"])
            self.variables[variable["name"]] = program
            known[variable["name"]] = program.result_type
        return expressions.with_variables(env, known)

    @abstractmethod
    def _compile(self, env: Any) -> None:
        """Compile what this kind of policy says."""


class Binding:
    """A binding, its selectors compiled."""

    def __init__(self, obj: JSONObject) -> None:
        self.spec: JSONObject = obj["spec"]
        self.name: str = obj["metadata"]["name"]
        matching = self.spec.get("matchResources")
        self.criteria = Criteria(matching) if matching is not None else None
        self.param_ref: JSONObject | None = self.spec.get("paramRef")


P = TypeVar("P", bound=Policy)


class Book(Generic[P]):
    """All policies of one kind with their bindings, compiled again when one changes."""

    def __init__(self, policies: str, bindings: str, make: type[P]) -> None:
        self._policies = f"{PREFIX}{policies}/"
        self._bindings = f"{PREFIX}{bindings}/"
        self._make = make
        self._versions = (-1, -1)
        self._known: list[tuple[P, list[Binding]]] = []

    async def read(self, attempt: Attempt) -> list[tuple[P, list[Binding]]]:
        """Policies that have bindings, in order; none for what policies are not asked about."""
        mirrors = attempt.call.core.mirrors
        policies = mirrors.of(self._policies)
        found = await policies.read()
        if not found:
            return []
        bindings = mirrors.of(self._bindings)
        bound = await bindings.read()
        if (policies.version, bindings.version) != self._versions:
            self._versions = policies.version, bindings.version
            self._known = self._compiled(found, bound)
        return [] if not self._known or is_exempt(attempt) or is_review(attempt) else self._known

    def _compiled(
        self, policies: Mapping[str, JSONObject], bindings: Mapping[str, JSONObject]
    ) -> list[tuple[P, list[Binding]]]:
        by_policy: dict[str, list[Binding]] = {}
        for obj in by_name(bindings):
            by_policy.setdefault(obj["spec"].get("policyName", ""), []).append(Binding(obj))
        return [
            (self._make(obj), by_policy[obj["metadata"]["name"]])
            for obj in by_name(policies)
            if obj["metadata"]["name"] in by_policy
        ]


async def matching_bindings(attempt: Attempt, bindings: list[Binding]) -> list[Binding]:
    return [
        binding
        for binding in bindings
        if binding.criteria is None or await binding.criteria.match(attempt, without_rules=True) is not None
    ]


async def params_of(attempt: Attempt, policy: Policy, binding: Binding) -> list[JSONObject | None]:
    """The parameter objects to evaluate with, one after the other; [None] for a policy without any. Raises
    Misconfigured."""
    if policy.param_kind is None or binding.param_ref is None:
        return [None]
    kind = policy.param_kind
    core, ref = attempt.call.core, binding.param_ref
    resource = core.kinds.resources.by_api_version(kind.get("apiVersion", ""), kind.get("kind", ""))
    if resource is None:
        group, _, version = kind.get("apiVersion", "").rpartition("/")
        shown = f"{group}/{version}, Kind={kind.get('kind', '')}"
        why = f"failed to find resource referenced by paramKind: '{shown}'"
        raise Misconfigured(why, by_binding=False)
    namespace = _namespace(attempt, resource, ref)
    found = await _read(attempt, resource, namespace, ref)
    if not found and ref.get("parameterNotFoundAction") == "Deny":
        raise Misconfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
    return list(found)


def _namespace(attempt: Attempt, resource: Resource, ref: JSONObject) -> str:
    given: str = ref.get("namespace") or ""
    if not resource.namespaced:
        if given:
            raise Misconfigured("cannot use namespaced paramRef in policy with cluster-scoped paramKind")
        return ""
    if not given and not attempt.namespace:
        raise Misconfigured("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    return given or attempt.namespace


async def _read(attempt: Attempt, resource: Resource, namespace: str, ref: JSONObject) -> list[JSONObject]:
    core = attempt.call.core
    kind = core.kinds.get(resource.group, resource.version, resource.plural)
    if ref.get("name"):
        entry = await core.store.get(kind.key(namespace, ref["name"]))
        return [] if entry is None else [encoding.decode(kind.load(entry.value))]
    selector = compiled(ref.get("selector"))
    page = await core.store.list(kind.list_prefix(namespace), limit=PARAMS)
    objects = [encoding.decode(kind.load(entry.value)) for entry in page.entries]
    return [obj for obj in objects if selector.matches(obj["metadata"].get("labels") or {})]


class Scenes:
    """The attempt as expressions see it, made once a version."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._known: dict[tuple[str, str], Scene] = {}

    async def of(self, version: Resource) -> Scene:
        key = (version.group, version.version)
        if key not in self._known:
            self._known[key] = await scene(self._attempt, version)
        return self._known[key]
