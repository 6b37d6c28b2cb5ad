"""The garbage collector's graph agrees with a plain reading of the objects, whatever order changes come in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api.resources import Resources
from kube_actors.api.types.meta_v1 import OwnerReference
from kube_actors.controllers.ownership import FOREGROUND, Graph, Item

CONFIG_MAPS = Resources().find("ConfigMap")
UIDS = ("a", "b", "c", "d", "e")


@st.composite
def items(draw: st.DrawFn) -> Item:
    uid = draw(st.sampled_from(UIDS))
    owners = draw(st.lists(st.sampled_from(UIDS), unique=True, max_size=3))
    references = tuple(
        OwnerReference(
            api_version="v1", kind="ConfigMap", name=owner, uid=owner, block_owner_deletion=draw(st.booleans()) or None
        )
        for owner in owners
        if owner != uid
    )
    deleting = draw(st.booleans())
    finalizers = (FOREGROUND,) if draw(st.booleans()) else ()
    return Item(CONFIG_MAPS, draw(st.sampled_from(("x", "y"))), uid, uid, references, deleting, finalizers)


CHANGES = st.lists(st.one_of(items(), st.sampled_from(UIDS)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(changes=CHANGES)
def test_whatever_becomes_suspicious_is_told(changes: list[Item | str]) -> None:
    graph = Graph()
    known: dict[str, Item] = {}
    for change in changes:
        before = set(graph.suspicious())
        if isinstance(change, str):
            known.pop(change, None)
            told = graph.remove(change)
        else:
            known[change.uid] = change
            told = graph.put(change)
        graph.check()
        # An object whose owner moved to another namespace is found by the live look that its own events bring.
        new = {uid for uid in set(graph.suspicious()) - before if not _only_misplaced(graph, uid)}
        assert new <= set(told)
    assert {item.uid: item for item in graph} == known
    for uid in UIDS:
        expected = {item.uid for item in known.values() if any(r.uid == uid for r in item.owners)}
        assert {item.uid for item in graph.dependents(uid)} == expected


def _only_misplaced(graph: Graph, uid: str) -> bool:
    item = graph.get(uid)
    return item is not None and bool(graph.misplaced(item))
