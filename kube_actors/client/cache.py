"""The newest known state of a collection, by key, with indexes. Synchronous; one owner writes, anybody reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

Indexer = Callable[[T], Iterable[str]]


class Cache(Generic[T]):
    """Objects by key and by indexed values."""

    def __init__(self) -> None:
        self._objects: dict[str, T] = {}
        self._indexers: dict[str, Indexer[T]] = {}
        # index name -> value -> keys in order of arrival (a dict serves as an ordered set)
        self._indexes: dict[str, dict[str, dict[str, None]]] = {}

    def get(self, key: str) -> T | None:
        return self._objects.get(key)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def keys(self) -> list[str]:
        return list(self._objects)

    def list(self) -> list[T]:
        return list(self._objects.values())

    def add_index(self, name: str, indexer: Indexer[T]) -> None:
        """Index objects by the values that indexer gives for each; adding the same name again replaces it."""
        self._indexers[name] = indexer
        self._indexes[name] = {}
        for key, value in self._objects.items():
            self._enter(name, key, value)

    def has_index(self, name: str) -> bool:
        return name in self._indexers

    def by_index(self, name: str, value: str) -> Iterable[T]:
        """The objects that an index files under value."""
        keys = self._indexes[name].get(value)
        return [] if keys is None else [self._objects[key] for key in keys]

    def index_values(self, name: str) -> Iterable[str]:
        """The values that an index has objects under."""
        return tuple(self._indexes[name])

    def put(self, key: str, value: T) -> T | None:
        """Store an object; what was there before."""
        old = self._objects.get(key)
        self._objects[key] = value
        for name, indexer in self._indexers.items():
            # Most changes leave an object where it stands.
            if old is not None:
                if list(indexer(old)) == list(indexer(value)):
                    continue
                self._leave(name, key, old)
            self._enter(name, key, value)
        return old

    def remove(self, key: str) -> T | None:
        """Forget an object; what was there."""
        old = self._objects.pop(key, None)
        if old is not None:
            for name in self._indexers:
                self._leave(name, key, old)
        return old

    def _enter(self, name: str, key: str, value: T) -> None:
        index = self._indexes[name]
        for word in self._indexers[name](value):
            index.setdefault(word, {})[key] = None

    def _leave(self, name: str, key: str, value: T) -> None:
        index = self._indexes[name]
        for word in self._indexers[name](value):
            keys = index.get(word)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del index[word]
