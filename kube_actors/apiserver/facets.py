"""What selectors look at, read once per stored revision.

Labels and selectable fields of an entry are decoded the first time anybody selects on it and shared by every list and
watch after that. Bounded; the oldest go first. Owns no selector syntax.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, json

from kube_actors.apiserver import encoding, limits
from kube_actors.apiserver.kinds import Kind
from kube_actors.store.contract import Event, Sorter


class Facets(Struct, frozen=True, gc=False):
    """One revision's labels and selectable fields."""

    labels: dict[str, str]
    fields: dict[str, str]


class _Meta(Struct, gc=False):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}


class _Outline(Struct, gc=False):
    metadata: _Meta


_outline = json.Decoder(_Outline).decode


def read(kind: Kind, value: bytes) -> Facets:
    """The facets of a stored object."""
    getters = kind.strategy.selectable
    if not getters:
        meta = _outline(value).metadata
        fields = {"metadata.name": meta.name}
        if kind.namespaced:
            fields["metadata.namespace"] = meta.namespace
        return Facets(meta.labels, fields)
    obj = encoding.decode(value)
    return of(kind, kind.outward(obj) if kind.resource.custom else obj)


def of(kind: Kind, obj: dict[str, Any]) -> Facets:
    """The facets of a decoded object."""
    meta = obj["metadata"]
    fields = {"metadata.name": meta.get("name", "")}
    if kind.namespaced:
        fields["metadata.namespace"] = meta.get("namespace", "")
    for label, getter in kind.strategy.selectable.items():
        fields[label] = getter(obj)
    return Facets(meta.get("labels") or {}, fields)


class FacetCache:
    """Facets by revision: a revision names one write, so one object."""

    def __init__(self, capacity: int = limits.FACETS) -> None:
        self._capacity = capacity
        self._known: dict[tuple[int, str], Facets] = {}

    def sorter(self, kind: Kind, field: str) -> Sorter:
        """Files a kind's events under the values that a field has and had; one and the same for all watches."""
        found = kind.sorters.get(field)
        if found is None:
            found = kind.sorters[field] = self._make_sorter(kind, field)
        return found

    def _make_sorter(self, kind: Kind, field: str) -> Sorter:
        def sort(event: Event) -> tuple[str, ...]:
            """A deleted object's last state is its previous one."""
            previous = event.previous
            was = "" if previous is None else self.get(kind, previous.modified, previous.value).fields.get(field, "")
            now = was if event.deleted else self.get(kind, event.revision, event.value).fields.get(field, "")
            return (now,) if now == was or previous is None else (now, was)

        return sort

    def get(self, kind: Kind, revision: int, value: bytes) -> Facets:
        """The facets of the value written at `revision`."""
        resource = kind.resource
        apart = resource.custom or resource.stored_group != resource.group
        key = (revision, kind.head.decode() if apart else "")
        found = self._known.get(key)
        if found is None:
            found = read(kind, value)
            if len(self._known) >= self._capacity:
                del self._known[next(iter(self._known))]
            self._known[key] = found
        return found
