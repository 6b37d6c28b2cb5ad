"""A cached, indexed, always current copy of a collection, and handlers that are told of every change.

An informer owns its cache; its `run` is the only writer. Handlers are synchronous functions `(old, new)` called in
order, in the informer's task: they note what needs work (a key into a queue) and return. What a handler raises ends
the informer, since a component that missed a change must not go on.

    added:    (None, new)      changed: (old, new)      deleted: (old, None)

For a deletion `old` is the object's last state as the server sent it; if the deletion itself was missed (the watch
was cut and a new list no longer had the object), it is the last state this informer saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, Literal, TypeVar, overload

import trio

from kube_actors.actors import System
from kube_actors.api.dynamic import Dynamic
from kube_actors.api.messages import WatchEvent

from .answers import ObjectList
from .cache import Cache, Indexer
from .client import Client
from .kinds import key_of, resource_version_of
from .reflector import Selection, reflect
from .sharing import decode_shared

T = TypeVar("T")

Handler = Callable[[T | None, T | None], None]

NAMESPACE_INDEX = "namespace"


class Informer(Generic[T]):
    """The collection of one kind (and selection). Keys are "namespace/name", or "name" without a namespace."""

    def __init__(
        self,
        client: Client,
        system: System,
        kind: type[T] | str,
        *,
        selection: Selection = Selection(),  # noqa: B008 - frozen
        mode: Literal["list", "stream"] = "list",
    ) -> None:
        self.kind = kind
        self.selection = selection
        self.relists = 0
        self.events = 0
        self._client = client
        self._system = system
        self._mode: Literal["list", "stream"] = mode
        self._type: type[T] | None = None
        self._cache: Cache[T] = Cache()
        self._handlers: list[Handler[T]] = []
        self._synced = trio.Event()
        self._initial: dict[str, T] | None = None
        self.resource_version = ""

    # Reading

    def get(self, key: str) -> T | None:
        """The object with a key, or None."""
        return self._cache.get(key)

    def list(self, namespace: str = "") -> Sequence[T]:
        """All objects, or those of one namespace."""
        if not namespace:
            return self._cache.list()
        if not self._cache.has_index(NAMESPACE_INDEX):
            self._cache.add_index(NAMESPACE_INDEX, _namespace_of)
        return list_of(self._cache.by_index(NAMESPACE_INDEX, namespace))

    def keys(self) -> Sequence[str]:
        return self._cache.keys()

    def by_index(self, name: str, value: str) -> Sequence[T]:
        """The objects that an index files under value; KeyError if there is no such index."""
        return list_of(self._cache.by_index(name, value))

    def index_values(self, name: str) -> Sequence[str]:
        return tuple(self._cache.index_values(name))

    def __len__(self) -> int:
        return len(self._cache)

    def __iter__(self) -> Iterator[T]:
        return iter(self._cache.list())

    # Setting up

    def add_index(self, name: str, indexer: Indexer[T]) -> None:
        """Index objects by the values that a function gives for each (none, one or several)."""
        self._cache.add_index(name, indexer)

    def add_handler(self, handler: Handler[T]) -> None:
        """Have a function told of every change; it is told of what is already here at once."""
        self._handlers.append(handler)
        for value in self._cache.list():
            handler(None, value)

    # Running

    @property
    def has_synced(self) -> bool:
        """The first list is in the cache, and handlers know of it."""
        return self._synced.is_set()

    async def synced(self) -> None:
        """Wait until the first list is in the cache."""
        await self._synced.wait()

    async def run(self) -> None:
        """Keep the cache current until cancelled."""
        _, self._type = await self._client.kinds.find(self.kind) if isinstance(self.kind, str) else (None, self.kind)
        await reflect(
            self._client, self._system, self.kind, _InformerSink(self), selection=self.selection, mode=self._mode
        )

    # The sink's side

    def _replace(self, objects: dict[str, T], resource_version: str) -> None:
        self.relists += 1
        for key in [known for known in self._cache.keys() if known not in objects]:  # noqa: SIM118 - a method of ours
            self._tell(self._cache.remove(key), None)
        for key, value in objects.items():
            self._put(key, value)
        self.resource_version = resource_version
        self._synced.set()

    def _put(self, key: str, value: T) -> None:
        known = self._cache.get(key)
        if known is not None and resource_version_of(known) == resource_version_of(value):
            return
        self._cache.put(key, value)
        self._tell(known, value)

    def _take(self, event: WatchEvent) -> None:
        assert self._type is not None
        self.events += 1
        value = decode_shared(event.object, self._type)
        key = key_of(value)
        if self._initial is not None:
            if event.type == "DELETED":
                self._initial.pop(key, None)
            else:
                self._initial[key] = value
        elif event.type == "DELETED":
            if self._cache.remove(key) is not None:
                self._tell(value, None)
        else:
            self._put(key, value)
        self.resource_version = str(event.revision)

    def _tell(self, old: T | None, new: T | None) -> None:
        for handler in self._handlers:
            handler(old, new)


class _InformerSink:
    """What the reflector writes to; keeps the writing methods out of the informer's public face."""

    def __init__(self, informer: Informer[Any]) -> None:
        self._informer = informer

    def replace(self, listed: ObjectList[Any]) -> None:
        self._informer._initial = None
        self._informer._replace({key_of(value): value for value in listed.items}, listed.resource_version)

    def begin(self) -> None:
        self._informer._initial = {}

    def apply(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            self._informer._take(event)

    def end(self) -> None:
        objects, self._informer._initial = self._informer._initial, None
        self._informer._replace(objects or {}, self._informer.resource_version)


def list_of(values: Iterable[T]) -> Sequence[T]:
    """The values as a list, without a copy when they are one."""
    return values if isinstance(values, list) else list(values)


def _namespace_of(value: Any) -> tuple[str, ...]:
    return (key_of(value).partition("/")[0],)


class InformerFactory:
    """One informer a kind and selection, shared by all who ask; runs them all, those asked for later too."""

    def __init__(self, client: Client, system: System, *, mode: Literal["list", "stream"] = "list") -> None:
        self.client = client
        self.system = system
        self._mode: Literal["list", "stream"] = mode
        self._informers: dict[tuple[Any, Selection], Informer[Any]] = {}
        self._nursery: trio.Nursery | None = None

    @overload
    def informer(
        self, kind: type[T], *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Informer[T]: ...
    @overload
    def informer(
        self, kind: str, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Informer[Any]: ...
    def informer(self, kind: type[Any] | str, **selection: str) -> Informer[Any]:
        """The informer of a kind; a struct type and the word for it share one."""
        known = self.client.kinds.known(kind)
        chosen = Selection(**selection)
        identity = known[1] if known is not None and known[1] is not Dynamic else kind
        key = (identity, chosen)
        found = self._informers.get(key)
        if found is None:
            found = Informer(self.client, self.system, identity, selection=chosen, mode=self._mode)
            self._informers[key] = found
            if self._nursery is not None:
                self._nursery.start_soon(found.run, name=f"informer/{kind}")
        return found

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run all informers until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                for informer in self._informers.values():
                    nursery.start_soon(informer.run, name=f"informer/{informer.kind}")
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def synced(self) -> None:
        """Wait until every informer asked for so far has its first list."""
        for informer in list(self._informers.values()):
            await informer.synced()
