"""Which resources there are: names, kinds, scopes, verbs, and how to find one from what a person or object says.

Owns the shape of a resource and the look-ups. Built-in resources come from `resource_table`; a server seeds its
own `Resources` from them and adds custom ones, so nothing here is mutable and shared. It never serves anything.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib
import importlib.util
import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from kube_actors.api.resource_table import ALL_VERBS, HASHED_AS, PROXY_VERBS, STORED, SUBRESOURCE_VERBS, TABLE
from kube_actors.api.types._base import Object

GroupVersionKind = tuple[str, str, str]


class UnknownResource(LookupError):
    """The server does not have this resource type; `str()` is kubectl's wording."""

    def __init__(self, argument: str) -> None:
        super().__init__(f'the server doesn\'t have a resource type "{argument}"')
        self.argument = argument


class Subresource(Struct, frozen=True, kw_only=True):
    """One sub-resource. Empty group and version mean: those of its parent."""

    name: str
    kind: str
    group: str = ""
    version: str = ""
    verbs: tuple[str, ...] = SUBRESOURCE_VERBS


class Resource(Struct, frozen=True, kw_only=True):
    """One resource of one group version."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    list_kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ALL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, Subresource] = {}
    stored_group: str = ""
    stored_version: str = ""
    custom: bool = False
    structural: dict[str, Any] | None = None
    """The structural schema of a custom resource's version, for whoever publishes it."""

    @property
    def api_version(self) -> str:
        """What stands in an object's apiVersion: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """The group resource as messages spell it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def gvk(self) -> GroupVersionKind:
        return self.group, self.version, self.kind

    @property
    def prefix(self) -> str:
        """The prefix of every stored object's key, with the closing slash."""
        return f"/registry/{self.stored_group or 'core'}/{self.plural}/"

    def key(self, namespace: str, name: str) -> str:
        """The key of one stored object."""
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else f"{self.prefix}{name}"

    def list_prefix(self, namespace: str = "") -> str:
        """The prefix of the objects of one namespace, or of all."""
        return f"{self.prefix}{namespace}/" if self.namespaced and namespace else self.prefix

    @property
    def path(self) -> str:
        """Where the group version is served: `/api/v1`, `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def storage_version_hash(self) -> str:
        """The hash that discovery publishes for what can be stored; empty for what cannot."""
        if "create" not in self.verbs or "get" not in self.verbs:
            return ""
        version = HASHED_AS.get((self.group, self.plural), self.stored_version)
        text = f"{self.stored_group}/{version}/{self.kind}"
        return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key that puts versions in Kubernetes' order: v2, v1, v2beta1, v1alpha1, then anything else by name."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return 3, 0, 0, version
    major, stage, minor = match.groups()
    return {None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), ""


def _subresource(text: str, parent: str) -> Subresource:
    head, _, verbs = text.partition(":")
    name, _, kind = head.partition("=")
    group, version, own = kind.split("/") if "/" in kind else ("", "", kind or parent)
    return Subresource(name=name, kind=own, group=group, version=version, verbs=_verbs(verbs) or SUBRESOURCE_VERBS)


def _verbs(text: str) -> tuple[str, ...]:
    if text == "*":
        return ALL_VERBS
    return PROXY_VERBS if text == "PROXY" else _words(text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text not in ("-", "") else ()


@functools.cache
def builtin() -> tuple[Resource, ...]:
    """Every built-in resource, in discovery's order."""
    found = []
    group = version = ""
    for line in TABLE.splitlines():
        if line.startswith("#"):
            group, _, version = line[2:].rpartition("/")
            continue
        plural, kind, scope, verbs, short_names, categories, *subresources = line.split(" ")
        stored = STORED.get((group, version, plural), (group, version))
        resource = Resource(
            group=group,
            version=version,
            plural=plural,
            singular=kind.lower(),
            kind=kind,
            list_kind=kind + "List",
            namespaced=scope == "N",
            verbs=_verbs(verbs),
            short_names=_words(short_names),
            categories=_words(categories),
            subresources={s.name: s for s in (_subresource(text, kind) for text in subresources)},
            stored_group=stored[0],
            stored_version=stored[1],
        )
        found.append(resource)
    return tuple(found)


class Resources:
    """The resources of one server, or as one client knows them; seeded with the built-in ones."""

    def __init__(self, resources: Iterable[Resource] | None = None) -> None:
        self._by_plural: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[GroupVersionKind, Resource] = {}
        self._by_word: dict[str, list[Resource]] = {}
        for resource in builtin() if resources is None else resources:
            self.add(resource)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._by_plural.values())

    def __len__(self) -> int:
        return len(self._by_plural)

    def add(self, resource: Resource) -> None:
        """Add a resource, in place of one with the same group, version and plural."""
        key = (resource.group, resource.version, resource.plural)
        if key in self._by_plural:
            self.remove(*key)
        self._by_plural[key] = resource
        self._by_kind[resource.gvk] = resource
        for word in _words_of(resource):
            self._by_word.setdefault(word, []).append(resource)

    def remove(self, group: str, version: str, plural: str) -> None:
        """Forget a resource; nothing happens when it is not known."""
        resource = self._by_plural.pop((group, version, plural), None)
        if resource is None:
            return
        if self._by_kind.get(resource.gvk) is resource:
            del self._by_kind[resource.gvk]
        for word in _words_of(resource):
            known = [other for other in self._by_word[word] if other is not resource]
            if known:
                self._by_word[word] = known
            else:
                del self._by_word[word]

    def get(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_plural.get((group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> Resource | None:
        return self._by_kind.get((group, version, kind))

    def by_api_version(self, api_version: str, kind: str) -> Resource | None:
        """From an object's own apiVersion and kind."""
        group, _, version = api_version.rpartition("/")
        return self._by_kind.get((group, version, kind))

    def of(self, what: type[Object] | Object | str) -> Resource:
        """The resource of a struct type, of an object, or of a word as `find` takes it; UnknownResource if none."""
        if isinstance(what, str):
            return self.find(what)
        gvk: GroupVersionKind | None = getattr(what, "gvk", None)
        resource = None if gvk is None else self._by_kind.get(gvk)
        if resource is None:
            raise UnknownResource(str(what) if isinstance(what, type) else type(what).__name__)
        return resource

    def find(self, argument: str) -> Resource:
        """As kubectl reads its argument: pods, po, Pod, deployments.apps, deploy.v1.apps, apps/v1/Deployment."""
        if argument.count("/") >= 1:
            api_version, _, kind = argument.rpartition("/")
            found = self.by_api_version(api_version, kind)
            if found is not None:
                return found
            raise UnknownResource(argument)
        word, _, rest = argument.lower().partition(".")
        candidates = self._by_word.get(word, ())
        if rest:
            version, _, group = rest.partition(".")
            exact = [r for r in candidates if (r.version, r.group) == (version, group)]
            candidates = exact or [r for r in candidates if r.group == rest]
        if not candidates:
            raise UnknownResource(argument)
        return min(candidates, key=lambda r: (r.custom, _exactness(r, word)))

    def parse(self, argument: str) -> tuple[Resource, str]:
        """`deploy/web` -> the resource and the name; the name is empty when there is none."""
        word, _, name = argument.partition("/")
        return self.find(word), name

    def groups(self) -> tuple[str, ...]:
        """The named groups, in discovery's order (the core group is not among them)."""
        return tuple(dict.fromkeys(r.group for r in self if r.group))

    def versions(self, group: str) -> tuple[str, ...]:
        """The versions of a group, preferred one first."""
        return tuple(sorted({r.version for r in self if r.group == group}, key=version_priority))

    def in_version(self, group: str, version: str) -> tuple[Resource, ...]:
        return tuple(r for r in self if r.group == group and r.version == version)

    def in_category(self, category: str) -> tuple[Resource, ...]:
        """What `kubectl get all` means, each resource in its preferred version."""
        chosen: dict[tuple[str, str], Resource] = {}
        for resource in self:
            if category in resource.categories:
                chosen.setdefault((resource.group, resource.plural), resource)
        return tuple(chosen.values())


def _words_of(resource: Resource) -> set[str]:
    return {resource.plural, resource.singular, resource.kind.lower(), *resource.short_names}


def _exactness(resource: Resource, word: str) -> bool:
    """A plural or singular name wins over another resource's short name."""
    return word in resource.short_names


BUILTIN_GROUP_MODULES = {"": "core", "internal.apiserver.k8s.io": "apiserverinternal"}


@functools.cache
def struct_for_kind(group: str, version: str, kind: str) -> type[Object] | None:
    """The struct of a built-in kind (lists and option kinds too), importing its module; None for any other kind."""
    module = f"{BUILTIN_GROUP_MODULES.get(group, group.split('.')[0])}_{version}"
    if group and not (group.endswith(".k8s.io") or "." not in group):
        return None
    name = f"kube_actors.api.types.{module}"
    if importlib.util.find_spec(name) is None:
        return None
    found: type[Object] | None = getattr(importlib.import_module(name), kind, None)
    if found is None or getattr(found, "gvk", None) != (group, version, kind):
        return None
    return found


def struct_for(resource: Resource) -> type[Object] | None:
    """The struct of a resource's kind, importing its module only now; None for a custom resource."""
    return None if resource.custom else struct_for_kind(*resource.gvk)
