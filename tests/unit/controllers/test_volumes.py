"""Volumes and claims over the real API server in virtual time: bound, lost, reclaimed, made for pods, grown."""

from __future__ import annotations

from typing import Any

import trio

from .conftest import World, running


def volume(name: str = "v", size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    body = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "nfs": {"path": "/p", "server": "s"}}
    body |= {"storageClassName": "slow", "persistentVolumeReclaimPolicy": "Retain"} | spec
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": body}


def claim(name: str = "c", size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    body = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "slow"}
    body = {key: value for key, value in (body | spec).items() if value is not None}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": body}


def storage_class(name: str, provisioner: str = "ext.example.com/p", **more: Any) -> dict[str, Any]:
    annotations = more.pop("annotations", {})
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata} | {
        "provisioner": provisioner,
        **more,
    }


async def phase(world: World, kind: str, name: str, wanted: str) -> Any:
    async def reached() -> Any:
        found = await world.api.get(kind, name, "default" if kind == "PersistentVolumeClaim" else "")
        return found if found["status"].get("phase") == wanted else None

    return await world.until(reached, 40)


async def test_a_claim_gets_the_smallest_volume_and_leaves_it_released(autojump_clock: Any) -> None:
    async with running() as world:
        for name, size in (("big", "10Gi"), ("mid", "5Gi"), ("small", "1Gi")):
            await world.api.create(volume(name, size))
            await phase(world, "PersistentVolume", name, "Available")
        await world.api.create(claim(size="2Gi"))
        bound = await phase(world, "PersistentVolumeClaim", "c", "Bound")
        assert bound["spec"]["volumeName"] == "mid"
        assert bound["status"]["capacity"] == {"storage": "5Gi"}
        assert set(bound["metadata"]["annotations"]) == {
            "pv.kubernetes.io/bind-completed",
            "pv.kubernetes.io/bound-by-controller",
        }
        await world.api.delete("PersistentVolumeClaim", "c", "default")
        await phase(world, "PersistentVolume", "mid", "Released")


async def test_a_binder_killed_between_its_writes_finishes_them(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(volume())
        await phase(world, "PersistentVolume", "v", "Available")
        await world.api.create(claim())
        await world.until(lambda: _claimed(world, "v"), 40, 0.001)
        world.manager.kill("persistentvolume-binder-controller")
        await phase(world, "PersistentVolumeClaim", "c", "Bound")
        await phase(world, "PersistentVolume", "v", "Bound")


async def test_a_claim_that_waits_costs_a_few_requests_a_minute(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(claim(storageClassName=""))
        await world.api.create(claim("external"))
        await world.api.create(storage_class("slow"))
        await trio.sleep(5)
        (binder,) = [s for s in world.manager.statistics() if s.name == "persistentvolume-binder-controller"]
        await trio.sleep(60)
        (after,) = [s for s in world.manager.statistics() if s.name == "persistentvolume-binder-controller"]
        assert after.reconciled - binder.reconciled <= 2 * 6
        assert after.actions - binder.actions <= 1
        told = {reason: message for kind, reason, message in await world.events()}
        assert told["FailedBinding"] == "no persistent volumes available for this claim and no storage class is set"
        assert "'ext.example.com/p'" in told["ExternalProvisioning"]


async def test_a_claim_without_class_gets_the_default_one_later(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(claim(storageClassName=None))
        await trio.sleep(1)
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        await world.api.create(storage_class("standard", annotations=default))
        await trio.sleep(20)
        found = await world.api.get("PersistentVolumeClaim", "c", "default")
        assert found["spec"]["storageClassName"] == "standard"
        provisioner = "volume.kubernetes.io/storage-provisioner"
        assert found["metadata"]["annotations"][provisioner] == "ext.example.com/p"


async def test_what_nobody_can_delete_fails_and_says_so(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(volume(persistentVolumeReclaimPolicy="Delete"))
        await world.api.create(
            volume("w", persistentVolumeReclaimPolicy="Recycle", csi={"driver": "d", "volumeHandle": "h"}, nfs=None)
        )
        gone = {"name": "gone", "namespace": "default", "uid": "u"}
        for name in ("v", "w"):
            await world.patch("PersistentVolume", name, {"spec": {"claimRef": gone}}, "")
        failed = await phase(world, "PersistentVolume", "v", "Failed")
        message = 'error getting deleter volume plugin for volume "v": no deletable volume plugin matched'
        assert failed["status"]["message"] == message
        failed = await phase(world, "PersistentVolume", "w", "Failed")
        assert failed["status"]["message"] == "No recycler plugin found for the volume!"


async def test_a_volume_to_be_recycled_is_emptied_by_a_pod_and_free_again(autojump_clock: Any) -> None:
    async with running(kubelet=False) as world:
        gone = {"name": "gone", "namespace": "default", "uid": "u"}
        spec: dict[str, Any] = {"persistentVolumeReclaimPolicy": "Recycle", "hostPath": {"path": "/tmp/x"}, "nfs": None}
        await world.api.create(volume("r", claimRef=gone, **spec))
        await phase(world, "PersistentVolume", "r", "Released")
        await world.until(lambda: world.items("Pod"), 20)
        (pod,) = await world.items("Pod")
        assert (pod["metadata"]["name"], pod["spec"]["activeDeadlineSeconds"]) == ("recycler-for-r", 60)
        await world.client.patch(
            "Pod", "recycler-for-r", {"status": {"phase": "Succeeded"}}, namespace="default", subresource="status"
        )
        free = await world.until(lambda: _unclaimed(world, "r"), 40)
        assert free


async def _claimed(world: World, name: str) -> bool:
    return "claimRef" in (await world.api.get("PersistentVolume", name))["spec"]


async def _unclaimed(world: World, name: str) -> bool:
    found = await world.api.get("PersistentVolume", name)
    return "uid" not in found["spec"].get("claimRef", {}) and found["status"]["phase"] == "Available"


async def test_a_pod_gets_the_claim_it_brings(autojump_clock: Any) -> None:
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    volumes = [{"name": "e", "ephemeral": {"volumeClaimTemplate": template}}]
    async with running() as world:
        await world.api.create(claim("q-e", storageClassName=""))
        for name in ("p", "q"):
            spec = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes}
            await world.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})

        async def made() -> Any:
            return [c for c in await world.items("PersistentVolumeClaim") if c["metadata"]["name"] == "p-e"]

        ((found),) = await world.until(made)
        (owner,) = found["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Pod", "p", True)
        message = "ephemeral volume e: PVC default/q-e was not created for pod default/q (pod is not owner)"
        assert ("Pod", "FailedBinding", message) in await world.events()


async def test_a_claim_that_wants_more_is_somebody_elses(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(storage_class("slow", allowVolumeExpansion=True))
        await world.api.create(volume())
        await phase(world, "PersistentVolume", "v", "Available")
        await world.api.create(claim())
        await phase(world, "PersistentVolumeClaim", "c", "Bound")
        await world.patch("PersistentVolumeClaim", "c", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
        message = "waiting for an external controller to expand this PVC"
        assert ("PersistentVolumeClaim", "ExternalExpanding", message) in await world.events()


async def test_a_drivers_volume_is_attached_while_a_pod_needs_it(autojump_clock: Any) -> None:
    async with running() as world:
        managed = {"metadata": {"annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}}}
        for name in ("node-0", "node-1"):
            await world.patch("Node", name, managed, "")
        await world.api.create(volume(csi={"driver": "d", "volumeHandle": "h"}, nfs=None))
        await phase(world, "PersistentVolume", "v", "Available")
        await world.api.create(claim())
        await phase(world, "PersistentVolumeClaim", "c", "Bound")
        spec = {
            "nodeName": "node-0",
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
            "terminationGracePeriodSeconds": 1,
        }
        await world.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
        (made,) = await world.until(lambda: world.items("VolumeAttachment", ""), 20)
        assert made["spec"] == {"attacher": "d", "nodeName": "node-0", "source": {"persistentVolumeName": "v"}}
        done = {"status": {"attached": True}}
        name = made["metadata"]["name"]
        await world.client.patch("VolumeAttachment", name, done, subresource="status")

        async def listed() -> Any:
            return (await world.api.get("Node", "node-0"))["status"].get("volumesAttached")

        assert await world.until(listed, 20) == [{"name": "kubernetes.io/csi/d^h", "devicePath": ""}]
        told = ("Pod", "SuccessfulAttachVolume", 'AttachVolume.Attach succeeded for volume "v" ')
        assert told in await world.events()
        await world.api.delete("Pod", "p", "default")

        async def detached() -> bool:
            return not await world.items("VolumeAttachment", "") and not await listed()

        await world.until(detached, 40)
