"""Claims on a cluster whose nodes mount nothing: made by the provisioner, bound, used by a pod, and gone again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import trio
from msgspec import structs

from kube_actors import Cluster
from kube_actors.actors import Entropy, System, VirtualClock
from kube_actors.api.types.core_v1 import PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.assembly.config import StorageConfig
from kube_actors.cloud import storage

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /data}]}]
  volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]
"""


def virtual(**options: Any) -> Cluster:
    """A cluster in virtual time: its nodes' pauses are no longer than what the test waits."""
    return Cluster(system=System(VirtualClock(), Entropy(1)), **options)


async def test_a_claim_without_class_is_provisioned_for_its_pod(autojump_clock: Any) -> None:
    async with virtual(storage=StorageConfig(class_name="local-path")) as cluster:
        await cluster.wait("storageclass/local-path", timeout=30)
        await cluster.apply(CLAIM)
        await cluster.wait("pod/writer", "Ready", timeout=60)
        claim = await cluster.client.get(PersistentVolumeClaim, "data", namespace="default")
        assert (claim.status.phase, claim.spec.storage_class_name) == ("Bound", "local-path")
        volume = claim.spec.volume_name
        assert volume == f"pvc-{claim.metadata.uid}"
        await cluster.client.delete("Pod", "writer", namespace="default")
        await cluster.client.delete("PersistentVolumeClaim", "data", namespace="default")
        await cluster.wait(f"persistentvolume/{volume}", "Deleted", timeout=60)


async def test_a_cluster_that_mounts_nothing_has_no_class_of_its_own(autojump_clock: Any) -> None:
    async with virtual() as cluster:
        await trio.sleep(5)
        assert not (await cluster.client.list("StorageClass")).items


def test_only_what_was_made_there_is_ever_removed(tmp_path: Path) -> None:
    spec = PersistentVolumeClaimSpec(
        access_modes=("ReadWriteOnce",), resources=VolumeResourceRequirements(requests={"storage": "1Gi"})
    )
    claim = PersistentVolumeClaim(metadata=ObjectMeta(name="c", namespace="n", uid="u"), spec=spec)
    volume = storage.volume_for(claim, storage.storage_class("local-path", default=True), None, str(tmp_path))
    assert storage.path_within(volume, str(tmp_path)) == os.path.join(tmp_path, "pvc-u_n_c")
    for path in ("/", "/etc", str(tmp_path), f"{tmp_path}/../x", f"{tmp_path}/a/b"):
        source = structs.replace(volume.spec.host_path, path=path)  # type: ignore[type-var]
        other = structs.replace(volume, spec=structs.replace(volume.spec, host_path=source))
        assert storage.path_within(other, str(tmp_path)) == ""


async def test_a_node_waits_for_a_claim_and_says_what_for(autojump_clock: Any) -> None:
    """A pod that was put on a node by hand, before its claim had a volume."""
    async with virtual() as cluster:
        spec = {
            "nodeName": "node-0",
            "containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/data"}]}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
        }
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claim["storageClassName"] = "slow"
        await cluster.apply(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim}
        )
        await cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
        await trio.sleep(5)
        found = await cluster.client.list("Event", namespace="default")
        state = "unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]"
        message = f"Unable to attach or mount volumes: {state}: error processing PVC default/data: PVC is not bound"
        assert ("FailedMount", message) in {(event.reason, event.message) for event in found.items}
        volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "slow"}
        volume |= {"hostPath": {"path": "/x"}}
        await cluster.apply(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": volume}
        )
        await cluster.wait("pod/p", "Ready", timeout=180)


async def test_a_claim_given_back_by_its_provisioner_is_placed_anew(autojump_clock: Any) -> None:
    """An external provisioner that cannot make a volume at a node takes the scheduler's choice off the claim."""
    selected = "volume.kubernetes.io/selected-node"
    async with virtual() as cluster:
        await cluster.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {
                    "name": "ext",
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "ext.example.com/p",
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        )
        await cluster.apply(CLAIM)

        def chosen(found: dict[str, Any]) -> bool:
            return selected in found["metadata"].get("annotations", {})

        await cluster.wait("persistentvolumeclaim/data", chosen, timeout=60)
        body = {"metadata": {"annotations": {selected: None}}}
        await cluster.client.patch(PersistentVolumeClaim, "data", body, namespace="default", patch_type="merge")
        await cluster.wait("persistentvolumeclaim/data", chosen, timeout=120)
        found = await cluster.client.list("Event", namespace="default")
        told = [event.message for event in found.items if event.reason == "FailedScheduling"]
        assert any('binding volumes: provisioning failed for PVC "data"' in message for message in told), told
