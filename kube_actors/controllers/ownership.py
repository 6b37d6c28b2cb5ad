"""Who owns whom among all objects, by uid: what the garbage collector remembers.

Pure. `put` and `remove` say which objects may have to go, or may go on, because of a change; whether they really
have to is decided elsewhere, after a look at the server itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from kube_actors.api.resources import Resource
from kube_actors.api.types.meta_v1 import ObjectMeta, OwnerReference

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Item(Struct, frozen=True):
    """One object, as far as ownership goes."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    owners: tuple[OwnerReference, ...] = ()
    deleting: bool = False
    finalizers: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The word by which a client finds its kind."""
        return f"{self.resource.api_version}/{self.resource.kind}"

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def waits_for_dependents(self) -> bool:
        """It is to go after its dependents."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def leaves_orphans(self) -> bool:
        """It is to go once its dependents no longer name it."""
        return self.deleting and ORPHAN in self.finalizers


def item_of(resource: Resource, metadata: ObjectMeta) -> Item:
    return Item(
        resource=resource,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        owners=metadata.owner_references,
        deleting=metadata.deletion_timestamp is not None,
        finalizers=metadata.finalizers,
    )


class Graph:
    """All items, and for every owner (known or not) its dependents."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def get(self, uid: str) -> Item | None:
        return self._items.get(uid)

    def dependents(self, uid: str) -> list[Item]:
        """The known objects that name an owner."""
        return [self._items[dependent] for dependent in self._dependents.get(uid, ())]

    def put(self, item: Item) -> list[str]:
        """Note an object as it is now; the uids of objects to look at."""
        old = self._items.get(item.uid)
        if old == item:
            return []
        self._items[item.uid] = item
        before = {} if old is None else {reference.uid: reference for reference in old.owners}
        after = {reference.uid: reference for reference in item.owners}
        for uid in before.keys() - after.keys():
            self._leave(uid, item.uid)
        for uid in after:
            self._dependents.setdefault(uid, {})[item.uid] = None
        found: list[str] = []
        # An owner that waits for its dependents may have been waiting for just this reference.
        found += [uid for uid, reference in before.items() if reference != after.get(uid) and self._waits(uid)]
        if item.waits_for_dependents and not (old is not None and old.waits_for_dependents):
            found += self._dependents.get(item.uid, ())
        if self.is_suspicious(item):
            found.append(item.uid)
        return found

    def remove(self, uid: str) -> list[str]:
        """Forget an object; the uids of objects to look at: its dependents, and owners that waited for it."""
        item = self._items.pop(uid, None)
        if item is None:
            return []
        found = list(self._dependents.get(uid, ()))
        for reference in item.owners:
            self._leave(reference.uid, uid)
            if self._waits(reference.uid):
                found.append(reference.uid)
        return found

    def suspicious(self) -> list[str]:
        """Everything to look at, judged by nothing but the present state."""
        return [item.uid for item in self if self.is_suspicious(item)]

    def is_suspicious(self, item: Item) -> bool:
        """Whether an object may have to go, or to be let go."""
        if item.deleting:
            return item.waits_for_dependents or item.leaves_orphans
        return any(not self._stands(reference, item) for reference in item.owners)

    def misplaced(self, item: Item) -> list[OwnerReference]:
        """References to owners that stand in another namespace, where no owner can be."""
        found = []
        for reference in item.owners:
            owner = self._items.get(reference.uid)
            if owner is not None and owner.namespace and owner.namespace != item.namespace:
                found.append(reference)
        return found

    def _stands(self, reference: OwnerReference, item: Item) -> bool:
        owner = self._items.get(reference.uid)
        if owner is None or owner.waits_for_dependents:
            return False
        if owner.namespace and owner.namespace != item.namespace:
            return False
        group = reference.api_version.rpartition("/")[0]
        return (owner.name, owner.resource.kind, owner.resource.group) == (reference.name, reference.kind, group)

    def _waits(self, uid: str) -> bool:
        owner = self._items.get(uid)
        return owner is not None and owner.waits_for_dependents

    def _leave(self, owner: str, dependent: str) -> None:
        known = self._dependents.get(owner)
        if known is not None:
            known.pop(dependent, None)
            if not known:
                del self._dependents[owner]

    def check(self) -> None:
        """Assert what must always hold."""
        for item in self:
            for reference in item.owners:
                assert item.uid in self._dependents[reference.uid], "an owner does not know its dependent"
        for owner, dependents in self._dependents.items():
            for uid in dependents:
                assert any(r.uid == owner for r in self._items[uid].owners), "a dependent does not know its owner"


def blocking(uid: str, dependents: Iterable[Item]) -> list[Item]:
    """The dependents that hold up their owner's deletion in the foreground."""
    return [item for item in dependents if any(r.uid == uid and r.block_owner_deletion for r in item.owners)]
