"""A volume for one node is asked for at one node at a time, and in the end it is where its pods are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api.types.core_v1 import (
    AttachedVolume,
    CSIPersistentVolumeSource,
    Node,
    NodeStatus,
    PersistentVolume,
    PersistentVolumeSpec,
    Pod,
    PodSpec,
)
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.api.types.storage_v1 import VolumeAttachment, VolumeAttachmentStatus
from kube_actors.controllers import attachdetach, attachments
from kube_actors.controllers.contract import Create, Delete, Emit, Outcome, Patch, Plan

NODES = ("n0", "n1")
VOLUME = PersistentVolume(
    metadata=ObjectMeta(name="v", uid="v"),
    spec=PersistentVolumeSpec(
        access_modes=("ReadWriteOnce",), csi=CSIPersistentVolumeSource(driver="d", volume_handle="h")
    ),
)


class World:
    """Nodes, attachments, and on which nodes there are pods that need the volume."""

    def __init__(self) -> None:
        self.nodes = {name: Node(metadata=ObjectMeta(name=name, uid=name)) for name in NODES}
        self.attachments: dict[str, VolumeAttachment] = {}
        self.told: list[str] = []

    def look(self, name: str, pods: tuple[str, ...]) -> int:
        """One look of the controller at a node; how many writes came of it."""
        there = tuple(a for a in self.attachments.values() if a.spec.node_name == name)
        elsewhere = any(a.spec.node_name != name for a in self.attachments.values())
        pod = Pod(metadata=ObjectMeta(name=f"p-{name}", namespace="d", uid=name), spec=PodSpec(containers=()))
        wanted = (attachments.Wanted(volume=VOLUME, pods=(pod,), elsewhere=elsewhere),) if name in pods else ()
        seen = attachdetach.Observed(
            name=name, node=self.nodes[name], wanted=wanted, attachments=there, volumes={"v": VOLUME}, now=0.0
        )
        return self._carry_out(attachdetach.plan(seen))

    def _carry_out(self, plan: Plan) -> int:
        writes = 0
        for action in plan.actions:
            match action:
                case Create(obj=obj):
                    self.attachments[obj.metadata.name] = obj
                    writes += 1
                case Delete(key=key):
                    node = self.nodes[self.attachments[key].spec.node_name]
                    listed = [one.name for one in node.status.volumes_attached]
                    assert attachments.unique_name(VOLUME) not in listed, "the node is told before the volume goes"
                    del self.attachments[key]
                    writes += 1
                case Patch(key=key, body=body):
                    reported = [
                        AttachedVolume(name=one["name"], device_path=one["devicePath"])
                        for one in body["status"]["volumesAttached"] or ()
                    ]
                    status = NodeStatus(volumes_attached=tuple(reported))
                    self.nodes[key] = structs.replace(self.nodes[key], status=status)
                    writes += 1
                case Emit(message=message):
                    self.told.append(message)
        return writes + (self._carry_out(plan.then(Outcome())) if plan.then is not None else 0)

    def attach(self, name: str) -> None:
        """The driver's part."""
        for key, attachment in self.attachments.items():
            if attachment.spec.node_name == name:
                self.attachments[key] = structs.replace(attachment, status=VolumeAttachmentStatus(attached=True))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NODES), st.booleans(), st.sets(st.sampled_from(NODES)).map(lambda s: tuple(sorted(s)))
        ),
        max_size=12,
    ),
    st.sampled_from(NODES),
)
def test_a_volume_follows_its_pods(steps: list[tuple[str, bool, tuple[str, ...]]], last: str) -> None:
    world = World()
    for name, drives, pods in steps:
        world.look(name, pods)
        assert len(world.attachments) <= 1
        if drives:
            world.attach(name)
    for _ in range(6):
        writes = sum(world.look(name, (last,)) for name in NODES)
        assert len(world.attachments) <= 1
        world.attach(last)
        if not writes and world.nodes[last].status.volumes_attached:
            break
    assert [a.spec.node_name for a in world.attachments.values()] == [last]
    assert [one.name for one in world.nodes[last].status.volumes_attached] == ["kubernetes.io/csi/d^h"]
    (other,) = set(NODES) - {last}
    assert not world.nodes[other].status.volumes_attached


def test_a_volume_that_the_node_still_uses_stays() -> None:
    world = World()
    world.look("n0", ("n0",))
    world.attach("n0")
    world.look("n0", ("n0",))
    used = structs.replace(world.nodes["n0"].status, volumes_in_use=("kubernetes.io/csi/d^h",))
    world.nodes["n0"] = structs.replace(world.nodes["n0"], status=used)
    assert world.look("n0", ()) == 0
    assert world.look("n1", ("n1",)) == 0
    assert world.told[-1] == (
        'Multi-Attach error for volume "v" Volume is already exclusively attached to one node and can\'t be '
        "attached to another"
    )
