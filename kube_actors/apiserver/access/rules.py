"""RBAC rules as values: what one allows, and whether a set of them covers another.

Pure. Owns matching, the breaking down of rules into single rights, and how Kubernetes writes them in an error.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from msgspec import Struct

from kube_actors.api.field_errors import quote
from kube_actors.apiserver.access.attributes import Attributes

ALL = "*"


class Rule(Struct, frozen=True, rename={
    "groups": "apiGroups", "names": "resourceNames", "paths": "nonResourceURLs"}
):  # fmt: skip
    """A PolicyRule."""

    verbs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def allows(self, asked: Attributes) -> bool:
        """Whether the question is answered by yes."""
        if not _has(self.verbs, asked.verb):
            return False
        if asked.path:
            return any(_path_matches(pattern, asked.path) for pattern in self.paths)
        return (
            _has(self.groups, asked.group)
            and _resource_matches(self.resources, asked.whole, asked.subresource)
            and (not self.names or asked.name in self.names)
        )

    def written(self) -> str:
        """As errors show it: {APIGroups:[""], Resources:["pods"], Verbs:["get"]}."""
        parts = (
            ("APIGroups", self.groups),
            ("Resources", self.resources),
            ("NonResourceURLs", self.paths),
            ("ResourceNames", self.names),
            ("Verbs", self.verbs),
        )
        return "{" + ", ".join(f"{label}:{quoted(values)}" for label, values in parts if values) + "}"


EVERYTHING = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), paths=(ALL,)))
"""Full authority."""


def quoted(values: Iterable[str]) -> str:
    """A list of strings as Go's %q shows it."""
    return "[" + " ".join(quote(value) for value in values) + "]"


def _has(allowed: Sequence[str], value: str) -> bool:
    return value in allowed or ALL in allowed


def _resource_matches(allowed: Sequence[str], whole: str, subresource: str) -> bool:
    if whole in allowed or ALL in allowed:
        return True
    return bool(subresource) and f"{ALL}/{subresource}" in allowed


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in (ALL, path) or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


def missing(owned: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The single rights of `wanted` that `owned` does not give, gathered again by resource."""
    lacking = [right for rule in wanted for right in _rights(rule) if not any(_covers(own, right) for own in owned)]
    return _gathered(lacking)


def _rights(rule: Rule) -> list[Rule]:
    """One verb, one group, one resource and one name each, or one verb and one path."""
    found = [
        Rule((verb,), (group,), (resource,), (name,) if name else ())
        for group, resource, verb, name in itertools.product(
            rule.groups, rule.resources, rule.verbs, rule.names or ("",)
        )
    ]
    return found + [Rule((verb,), paths=(path,)) for path, verb in itertools.product(rule.paths, rule.verbs)]


def _covers(own: Rule, right: Rule) -> bool:
    if not all(_has(own.verbs, verb) for verb in right.verbs):
        return False
    if right.paths:
        return all(any(_path_covers(mine, path) for mine in own.paths) for path in right.paths)
    (resource,), (group,) = right.resources, right.groups
    if not _has(own.groups, group):
        return False
    if not _resource_matches(own.resources, resource, resource.partition("/")[2]):
        return False
    return not own.names or (bool(right.names) and right.names[0] in own.names)


def _path_covers(own: str, path: str) -> bool:
    return own in (path, ALL) or (own.endswith(ALL) and path.startswith(own.rstrip(ALL)))


def _gathered(rights: Iterable[Rule]) -> list[Rule]:
    verbs: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    found = []
    for right in rights:
        if right.paths:
            found.append(right)
            continue
        verbs.setdefault((right.groups, right.resources, right.names), []).append(right.verbs[0])
    found += [Rule(tuple(dict.fromkeys(words)), *key) for key, words in verbs.items()]
    return found
