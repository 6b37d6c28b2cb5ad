"""What webhooks and admission policies are about: rules on resources, selectors of namespaces and of objects.

Owns matching by rules with equivalent versions, and the two selectors; compiled once a configuration. Never calls or
evaluates anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from kube_actors.api import errors, selectors
from kube_actors.api.resources import Resource
from kube_actors.api.selectors import Selector
from kube_actors.api.types.meta_v1 import LabelSelector
from kube_actors.apiserver.admission.chain import Attempt, JSONObject

NAMESPACES = "/registry/core/namespaces/"
_GROUP = "admissionregistration.k8s.io"
_REVIEWS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})


def is_exempt(attempt: Attempt) -> bool:
    """What decides about admission is not itself subject to it, lest nobody could ever mend it."""
    return attempt.call.kind.resource.group == _GROUP


def is_review(attempt: Attempt) -> bool:
    """Questions to authentication and authorisation, which policies leave alone."""
    resource = attempt.call.kind.resource
    return resource.group in _REVIEWS and resource.plural.endswith("reviews")


class Rules:
    """A list of rules (webhook rules, resourceRules), compiled."""

    def __init__(self, rules: Iterable[Mapping[str, Any]]) -> None:
        self._rules = [_Rule(rule) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, attempt: Attempt, *, equivalent: bool) -> Resource | None:
        """The version of the resource in which a rule wants the write, or None."""
        resource = attempt.call.kind.resource
        for rule in self._rules:
            if rule.matches(attempt, resource):
                return resource
        if equivalent and any(rule.could_match(attempt) for rule in self._rules):
            for other in equivalents(attempt):
                for rule in self._rules:
                    if rule.matches(attempt, other):
                        return other
        return None


class _Rule:
    __slots__ = ("groups", "names", "operations", "resources", "scope", "versions")

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self.groups = frozenset(rule.get("apiGroups") or ())
        self.versions = frozenset(rule.get("apiVersions") or ())
        self.operations = frozenset(rule.get("operations") or ())
        self.resources = [_parts(text) for text in rule.get("resources") or ()]
        self.scope = rule.get("scope") or "*"
        self.names = frozenset(rule.get("resourceNames") or ())

    def could_match(self, attempt: Attempt) -> bool:
        """Whether only group and version are in the way."""
        if attempt.operation not in self.operations and "*" not in self.operations:
            return False
        if self.names and attempt.name not in self.names:
            return False
        resource = attempt.call.kind.resource
        subresource = attempt.subresource.partition("/")[0]
        for wanted, sub in self.resources:
            if wanted in ("*", resource.plural) and sub in ("*", subresource):
                return self._in_scope(attempt)
        return False

    def matches(self, attempt: Attempt, resource: Resource) -> bool:
        return (
            (resource.group in self.groups or "*" in self.groups)
            and (resource.version in self.versions or "*" in self.versions)
            and self.could_match(attempt)
        )

    def _in_scope(self, attempt: Attempt) -> bool:
        if self.scope == "*":
            return True
        resource = attempt.call.kind.resource
        is_namespace = resource.plural == "namespaces" and not resource.group
        in_one = bool(attempt.namespace) and not is_namespace
        return in_one if self.scope == "Namespaced" else not in_one


def _parts(text: str) -> tuple[str, str]:
    resource, _, subresource = text.partition("/")
    return resource, subresource


def equivalents(attempt: Attempt) -> list[Resource]:
    """The other versions in which the same stored objects are served."""
    own = attempt.call.kind.resource
    return [
        other
        for other in attempt.call.core.kinds.resources
        if other.plural == own.plural
        and other.prefix == own.prefix
        and (other.group, other.version) != (own.group, own.version)
    ]


class Criteria:
    """Rules, exclusions, match policy and both selectors of one webhook, policy or binding."""

    def __init__(self, spec: Mapping[str, Any], rules_key: str = "resourceRules") -> None:
        self._rules = Rules(spec.get(rules_key) or ())
        self._excluded = Rules(spec.get("excludeResourceRules") or ())
        self._equivalent = spec.get("matchPolicy", "Equivalent") == "Equivalent"
        self._namespaces = compiled(spec.get("namespaceSelector"))
        self._objects = compiled(spec.get("objectSelector"))

    @property
    def has_rules(self) -> bool:
        return bool(self._rules)

    async def match(self, attempt: Attempt, *, without_rules: bool = False) -> Resource | None:
        """The version to show the object in, or None when the write is none of its business. without_rules: no
        rules mean every resource (a binding's)."""
        if self._excluded and self._excluded.match(attempt, equivalent=self._equivalent) is not None:
            return None
        if without_rules and not self._rules:
            found: Resource | None = attempt.call.kind.resource
        else:
            found = self._rules.match(attempt, equivalent=self._equivalent)
        if found is None or not self._selects_object(attempt):
            return None
        return found if await self._selects_namespace(attempt) else None

    def _selects_object(self, attempt: Attempt) -> bool:
        if self._objects.is_everything:
            return True
        return any(
            self._objects.matches((obj.get("metadata") or {}).get("labels") or {})
            for obj in (attempt.obj, attempt.old)
            if obj is not None and "metadata" in obj
        )

    async def _selects_namespace(self, attempt: Attempt) -> bool:
        if self._namespaces.is_everything:
            return True
        resource = attempt.call.kind.resource
        is_namespace = resource.plural == "namespaces" and not resource.group
        if not attempt.namespace and not is_namespace:
            return True
        if is_namespace and not attempt.subresource and attempt.obj is not None:
            return self._namespaces.matches(attempt.obj["metadata"].get("labels") or {})
        namespace = await namespace_of(attempt)
        return namespace is not None and self._namespaces.matches(namespace["metadata"].get("labels") or {})


async def namespace_of(attempt: Attempt) -> JSONObject | None:
    """The stored namespace of the write; None for what is in none. Shared: read it only. Raises a 404."""
    if not attempt.namespace:
        return None
    found = (await attempt.call.core.mirrors.of(NAMESPACES).read()).get(attempt.namespace)
    if found is None:
        raise errors.not_found("namespaces", attempt.namespace)
    return found


def compiled(selector: Mapping[str, Any] | None) -> Selector:
    """A label selector of a configuration; absent means everything here."""
    if not selector:
        return Selector(())
    return selectors.compile_selector(msgspec.convert(selector, LabelSelector))


def by_name(objects: Mapping[str, JSONObject]) -> Sequence[JSONObject]:
    """Configurations in the order in which they are asked."""
    return [objects[name] for name in sorted(objects)]
