"""The informers of all controllers, one a kind, read by type.

Owns which informers and indexes there are. It never changes what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from kube_actors.client import Informer, InformerFactory

from .contract import Source

T = TypeVar("T")


class SharedCaches:
    """Informers by kind; an index asked for by two controllers is built once."""

    def __init__(self, factory: InformerFactory) -> None:
        self._factory = factory
        self._informers: dict[type[Any], Informer[Any]] = {}
        self._indexes: set[tuple[type[Any], str]] = set()
        self._narrowed: set[type[Any]] = set()

    def watch(self, source: Source) -> Informer[Any]:
        """The informer of a source, with the source's indexes."""
        kind = source.kind
        informer = self._informers.get(kind)
        if informer is None:
            informer = self._factory.informer(kind, field_selector=source.field_selector)
            self._informers[kind] = informer
            if source.field_selector:
                self._narrowed.add(kind)
        for name, indexer in source.indexes:
            if (kind, name) not in self._indexes:
                self._indexes.add((kind, name))
                informer.add_index(name, indexer)
        return informer

    def informer(self, kind: type[Any]) -> Informer[Any] | None:
        """The informer of a kind, if any controller watches it."""
        return self._informers.get(kind)

    def whole(self, gvk: tuple[str, str, str]) -> Informer[Any] | None:
        """The informer of a kind, if it is watched and shows all objects of it."""
        for kind, informer in self._informers.items():
            if kind.gvk == gvk and kind not in self._narrowed:
                return informer
        return None

    def get(self, kind: type[T], key: str) -> T | None:
        found: T | None = self._informers[kind].get(key)
        return found

    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]:
        return self._informers[kind].list(namespace)

    def by_index(self, kind: type[T], name: str, value: str) -> Sequence[T]:
        return self._informers[kind].by_index(name, value)
