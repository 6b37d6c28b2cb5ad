"""Who keeps a claim, which finalizers a volume carries, and who deletes what is behind it."""

from __future__ import annotations

from typing import Any

import pytest

from kube_actors.api import codec, storage
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod
from kube_actors.api.types.storage_v1 import StorageClass
from kube_actors.controllers import reclaim, volume_plugins
from kube_actors.controllers.protection import uses

IN_TREE, EXTERNAL = reclaim.IN_TREE_FINALIZER, reclaim.EXTERNAL_FINALIZER


def a_volume(provisioner: str = "", policy: str = "Delete", finalizers: tuple[str, ...] = (), **spec: Any) -> Any:
    annotations = {storage.PROVISIONED_BY: provisioner} if provisioner else {}
    return codec.convert(
        {
            "metadata": {"name": "v", "annotations": annotations, "finalizers": list(finalizers)},
            "spec": {"persistentVolumeReclaimPolicy": policy, **spec},
        },
        PersistentVolume,
    )


@pytest.mark.parametrize(
    ("provisioner", "policy", "before", "after"),
    [
        ("", "Delete", ("x",), ("x",)),
        ("ext.example.com/p", "Delete", (EXTERNAL,), (EXTERNAL,)),
        ("kubernetes.io/host-path", "Delete", ("x", EXTERNAL), ("x", IN_TREE)),
        ("kubernetes.io/host-path", "Retain", (IN_TREE, "x"), ("x",)),
        ("kubernetes.io/aws-ebs", "Delete", (IN_TREE, EXTERNAL), (EXTERNAL,)),
    ],
)
def test_a_volumes_finalizers_follow_its_provisioner(
    provisioner: str, policy: str, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    found = reclaim.finalized(a_volume(provisioner, policy, before))
    assert found.metadata.finalizers == after
    assert reclaim.finalized(found) is found
    migrated = found.metadata.annotations.get(storage.MIGRATED_TO)
    assert migrated == ("ebs.csi.aws.com" if provisioner == "kubernetes.io/aws-ebs" else None)


@pytest.mark.parametrize(
    ("provisioner", "spec", "told"),
    [
        ("ext.example.com/p", {}, False),
        ("", {"csi": {"driver": "d", "volumeHandle": "h"}}, False),
        ("", {"hostPath": {"path": "/tmp/x"}}, True),
        ("", {"nfs": {"server": "s", "path": "/"}}, 'volume "v": no deletable volume plugin matched'),
        ("", {"iscsi": {"targetPortal": "t", "iqn": "i", "lun": 0}}, 'volume "v": no volume plugin matched'),
        ("kubernetes.io/nothing", {}, "no volume plugin matched name: kubernetes.io/nothing"),
    ],
)
def test_who_deletes_what_is_behind_a_volume(provisioner: str, spec: dict[str, Any], told: bool | str) -> None:
    volume = a_volume(provisioner, **spec)
    if isinstance(told, bool):
        assert volume_plugins.is_deletable(volume, provisioner, False) is told
    else:
        with pytest.raises(volume_plugins.PluginError, match=told):
            volume_plugins.is_deletable(volume, provisioner, False)


@pytest.mark.parametrize(
    ("status", "metadata", "keeps_named", "keeps_own"),
    [
        ({"phase": "Running"}, {}, True, True),
        ({"phase": "Succeeded"}, {}, True, True),
        ({}, {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0}, True, False),
        ({}, {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}, True, True),
    ],
)
def test_a_pod_keeps_its_claims_as_long_as_it_is_there(
    status: dict[str, Any], metadata: dict[str, Any], keeps_named: bool, keeps_own: bool
) -> None:
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "e", "ephemeral": {}}]
    body = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", **metadata},
        "spec": {"nodeName": "here", "containers": [], "volumes": volumes},
        "status": status,
    }
    pod = codec.convert(body, Pod)
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    named = codec.convert({"metadata": {"name": "c", "namespace": "n"}}, PersistentVolumeClaim)
    own = codec.convert(
        {"metadata": {"name": "p-e", "namespace": "n", "ownerReferences": [owner]}}, PersistentVolumeClaim
    )
    assert (uses(pod, named), uses(pod, own)) == (keeps_named, keeps_own)
    unbound = codec.convert({**body, "spec": {"containers": [], "volumes": volumes}}, Pod)
    assert not uses(unbound, named)


def test_the_newest_default_class_counts_and_of_equals_the_first_by_name() -> None:
    def a_class(name: str, created: str, marked: bool = True) -> StorageClass:
        marks = {storage.DEFAULT_CLASS: "true"} if marked else {}
        metadata = {"name": name, "annotations": marks, "creationTimestamp": created}
        return codec.convert({"metadata": metadata, "provisioner": "p"}, StorageClass)

    old, new = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    classes = [a_class("a", old), a_class("c", new), a_class("b", new), a_class("d", new, marked=False)]
    found = storage.default_class(classes)
    assert found is not None and found.metadata.name == "b"
    assert storage.default_class(classes[3:]) is None
