"""From any state, seen late or not, a volume ends with one claim at most and a claim with one volume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api import storage
from kube_actors.api.errors import conflict, not_found
from kube_actors.api.types.core_v1 import (
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    VolumeResourceRequirements,
)
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.api.types.storage_v1 import StorageClass
from kube_actors.controllers.binder import PersistentVolumeBinder
from kube_actors.controllers.contract import Emit, Outcome, Plan, Read, Update

CONTROLLER = PersistentVolumeBinder()
CLASS = StorageClass(metadata=ObjectMeta(name="slow"), provisioner="ext.example.com/p")
NAMES = ("a", "b", "c")
VOLUMES = ("v0", "v1", "v2")


class Shown:
    """What a cache shows: the objects as they were at some time."""

    def __init__(self, objects: dict[str, Any]) -> None:
        self._objects = objects
        self._indexes = {
            (source.kind, name): index for source in CONTROLLER.sources() for name, index in source.indexes
        }

    def get(self, kind: type[Any], key: str) -> Any:
        found = self._objects.get(key)
        return found if isinstance(found, kind) else None

    def list(self, kind: type[Any], namespace: str = "") -> Sequence[Any]:
        return [value for value in self._objects.values() if isinstance(value, kind)]

    def by_index(self, kind: type[Any], name: str, value: str) -> Sequence[Any]:
        index: Any = self._indexes[kind, name]
        return [found for found in self.list(kind) if value in index(found)]


class Server:
    """The objects as they are; a write made for an older version is refused."""

    def __init__(self, objects: Iterable[Any]) -> None:
        self.objects = {key_of(value): value for value in objects}
        self.history = [dict(self.objects)]
        self._revision = 100

    def look(self, key: str, age: int) -> int:
        """One look at a key by a cache that is so many writes behind; how many writes came of it."""
        seen = CONTROLLER.observe(key, Shown(self.history[max(0, len(self.history) - 1 - age)]), 0.0)
        return 0 if seen is None else self._carry_out(CONTROLLER.plan(seen))

    def _carry_out(self, plan: Plan) -> int:
        results: list[Any] = []
        error, writes = None, 0
        for action in plan.actions:
            match action:
                case Emit():
                    results.append(None)
                case Read(key=key):
                    results.append(self.objects.get(key))
                case Update(obj=obj, subresource=part):
                    now = self.objects.get(key_of(obj))
                    if now is None or now.metadata.resource_version != obj.metadata.resource_version:
                        error = conflict("", "", "") if now is not None else not_found("", "")
                        break
                    writes += 1
                    results.append(self._store(now, obj, part))
                case _:
                    raise AssertionError(f"unexpected {action}")
        if plan.then is not None:
            writes += self._carry_out(plan.then(Outcome(results=tuple(results), error=error)))
        return writes

    def _store(self, now: Any, obj: Any, part: str) -> Any:
        self._revision += 1
        kept = structs.replace(now, status=obj.status) if part else structs.replace(obj, status=now.status)
        made = structs.replace(kept, metadata=structs.replace(kept.metadata, resource_version=str(self._revision)))
        self.objects[key_of(made)] = made
        self.history.append(dict(self.objects))
        return made


def key_of(value: Any) -> str:
    metadata = value.metadata
    return f"{metadata.namespace}/{metadata.name}" if metadata.namespace else str(metadata.name)


@st.composite
def volumes(draw: st.DrawFn, name: str) -> PersistentVolume:
    owner = draw(st.sampled_from((None, *NAMES, "gone")))
    uid = draw(st.sampled_from((None, f"uid-{owner}", "uid-old")))
    by_controller = draw(st.booleans())
    reference = ObjectReference(name=owner, namespace="default", uid=uid)
    return PersistentVolume(
        metadata=ObjectMeta(
            name=name,
            uid=f"uid-{name}",
            resource_version="1",
            annotations={storage.BOUND_BY_CONTROLLER: "yes"} if by_controller else {},
        ),
        spec=PersistentVolumeSpec(
            access_modes=("ReadWriteOnce",),
            capacity={"storage": draw(st.sampled_from(("1Gi", "2Gi")))},
            claim_ref=reference if owner is not None else None,
            persistent_volume_reclaim_policy="Retain",
            storage_class_name="slow",
        ),
        status=PersistentVolumeStatus(phase=draw(st.sampled_from(("Pending", "Available", "Released")))),
    )


@st.composite
def claims(draw: st.DrawFn, name: str) -> PersistentVolumeClaim:
    volume = draw(st.sampled_from((None, *VOLUMES, "lost")))
    # What nobody but the binder writes is taken to be its own: a phase goes with the mark of a completed binding.
    marks = draw(st.sets(st.sampled_from((storage.BIND_COMPLETED, storage.BOUND_BY_CONTROLLER))))
    return PersistentVolumeClaim(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            resource_version="1",
            annotations=dict.fromkeys(sorted(marks), "yes"),
        ),
        spec=PersistentVolumeClaimSpec(
            access_modes=("ReadWriteOnce",),
            resources=VolumeResourceRequirements(requests={"storage": draw(st.sampled_from(("1Gi", "2Gi")))}),
            storage_class_name="slow",
            volume_name=volume,
        ),
        status=PersistentVolumeClaimStatus(phase="Bound" if storage.BIND_COMPLETED in marks else "Pending"),
    )


def check(objects: dict[str, Any]) -> None:
    for value in objects.values():
        if isinstance(value, PersistentVolumeClaim) and value.status.phase == "Bound":
            volume = objects[value.spec.volume_name or ""]
            assert volume.spec.claim_ref.uid == value.metadata.uid, "a bound claim's volume is kept for it"
        if isinstance(value, PersistentVolume) and value.status.phase == "Bound":
            reference = value.spec.claim_ref
            assert reference is not None
            claim = objects[f"{reference.namespace}/{reference.name}"]
            assert (claim.metadata.uid, claim.spec.volume_name) == (reference.uid, value.metadata.name)


KEYS = tuple(f"default/{name}" for name in NAMES) + VOLUMES


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(*(volumes(name) for name in VOLUMES)),
    st.tuples(*(claims(name) for name in NAMES)),
    st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 4)), max_size=12),
)
def test_any_state_ends_in_pairs(
    first: tuple[PersistentVolume, ...], second: tuple[PersistentVolumeClaim, ...], late: list[tuple[str, int]]
) -> None:
    server = Server((*first, *second, CLASS))
    for key, age in late:
        server.look(key, age)
    for _ in range(8):
        if sum(server.look(key, 0) for key in KEYS) == 0:
            break
    else:
        raise AssertionError("it never comes to rest")
    check(server.objects)


@settings(max_examples=40, deadline=None)
@given(st.permutations(KEYS), st.integers(0, 12))
def test_of_two_claims_for_one_volume_one_gets_it(order: list[str], age: int) -> None:
    """However late the caches are, the version of the volume decides."""
    free = structs.replace(make_volume("v0"), status=PersistentVolumeStatus(phase="Available"))
    server = Server((free, make_claim("a"), make_claim("b"), CLASS))
    for key in order:
        server.look(key, age)
    bound = [name for name in ("a", "b") if server.objects[f"default/{name}"].spec.volume_name == "v0"]
    assert len(bound) == 1
    assert server.objects["v0"].spec.claim_ref.name == bound[0]


def make_volume(name: str) -> PersistentVolume:
    spec = PersistentVolumeSpec(access_modes=("ReadWriteOnce",), capacity={"storage": "1Gi"}, storage_class_name="slow")
    return PersistentVolume(metadata=ObjectMeta(name=name, uid=f"uid-{name}", resource_version="1"), spec=spec)


def make_claim(name: str) -> PersistentVolumeClaim:
    spec = PersistentVolumeClaimSpec(
        access_modes=("ReadWriteOnce",),
        resources=VolumeResourceRequirements(requests={"storage": "1Gi"}),
        storage_class_name="slow",
    )
    metadata = ObjectMeta(name=name, namespace="default", uid=f"uid-{name}", resource_version="1")
    return PersistentVolumeClaim(metadata=metadata, spec=spec)
