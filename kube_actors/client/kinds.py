"""From what a caller names - a struct type, an object, a word - to the resource and the type its objects have.

Starts from the built-in table; a kind that is not there is looked for in the server's discovery, once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kube_actors.api.dynamic import Dynamic
from kube_actors.api.resources import Resource, Resources, UnknownResource
from kube_actors.api.types._base import Object

from .decoding import type_of
from .errors import UnknownKind

Kind = type[Any] | str | Object | Dynamic | Mapping[str, Any]


class Kinds:
    """The resources that a client knows."""

    def __init__(
        self, resources: Resources | None = None, discover: Callable[[], Awaitable[Sequence[Resource]]] | None = None
    ) -> None:
        self.resources = resources if resources is not None else Resources()
        self._discover = discover
        self._types: dict[Any, tuple[Resource, type[Any]]] = {}

    def known(self, kind: Kind) -> tuple[Resource, type[Any]] | None:
        """The resource and type of a kind, without asking the server."""
        word = _word(kind)
        found = self._types.get(word)
        if found is None:
            try:
                resource = self.resources.of(word)
            except UnknownResource:
                return None
            found = resource, type_of(resource)
            self._types[word] = found
        return found

    async def find(self, kind: Kind) -> tuple[Resource, type[Any]]:
        """The resource and type of a kind; asks the server about one that is not built in."""
        found = self.known(kind)
        if found is None and self._discover is not None:
            for resource in await self._discover():
                if self.resources.get(resource.group, resource.version, resource.plural) is None:
                    self.resources.add(resource)
            found = self.known(kind)
        if found is None:
            word = _word(kind)
            raise UnknownKind(word if isinstance(word, str) else word.__name__)
        return found


def _word(kind: Kind) -> type[Any] | str:
    """The hashable name of a kind."""
    if isinstance(kind, str | type):
        return kind
    if isinstance(kind, Mapping):
        return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"
    return f"{kind.api_version}/{kind.kind}" if isinstance(kind, Dynamic) else type(kind)


def namespace_and_name(value: Any) -> tuple[str, str]:
    """Where an object says it stands."""
    if isinstance(value, Mapping):
        metadata = value.get("metadata") or {}
        return metadata.get("namespace", ""), metadata.get("name", "")
    return value.metadata.namespace, value.metadata.name


def key_of(value: Any) -> str:
    """An object's key: "namespace/name", or "name" when it stands in no namespace."""
    namespace, name = namespace_and_name(value)
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str, str]:
    """The namespace ("" for none) and name of a key."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def resource_version_of(value: Any) -> str:
    if isinstance(value, Mapping):
        version: str = (value.get("metadata") or {}).get("resourceVersion", "")
        return version
    found: str = value.metadata.resource_version
    return found
