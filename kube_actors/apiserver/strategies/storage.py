"""PersistentVolume, PersistentVolumeClaim, StorageClass, CSIDriver and their kin."""

from __future__ import annotations

from kube_actors.apiserver.strategies import pod_defaults
from kube_actors.apiserver.strategies import storage_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Strategy


class PersistentVolumeStrategy(Strategy):
    """PersistentVolume."""

    returns_deleted = True

    def default(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
        spec.setdefault("volumeMode", "Filesystem")
        pod_defaults.default_disk_source(spec)
        if spec.get("hostPath") is not None:
            spec["hostPath"].setdefault("type", "")

    def prepare_create(self, obj: JSONObject) -> None:
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": obj["metadata"]["creationTimestamp"]}

    def validate(self, obj: JSONObject) -> Problems:
        return rules.volume(obj)


class PersistentVolumeClaimStrategy(Strategy):
    """PersistentVolumeClaim: dataSource and dataSourceRef mirror each other."""

    returns_deleted = True

    def default(self, obj: JSONObject) -> None:
        obj["spec"].setdefault("volumeMode", "Filesystem")

    def prepare_create(self, obj: JSONObject) -> None:
        obj["status"] = {"phase": "Pending"}
        spec = obj["spec"]
        source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
        if source is not None:
            source.setdefault("apiGroup", None)
        if reference is not None:
            reference.setdefault("apiGroup", None)
        if source is not None and reference is None:
            spec["dataSourceRef"] = dict(source)
        elif reference is not None and source is None and not reference.get("namespace"):
            spec["dataSource"] = dict(reference)

    def validate(self, obj: JSONObject) -> Problems:
        return rules.claim(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.claim_update(new, old)


class StorageClassStrategy(Strategy):
    """StorageClass."""

    def default(self, obj: JSONObject) -> None:
        obj.setdefault("reclaimPolicy", "Delete")
        obj.setdefault("volumeBindingMode", "Immediate")

    def validate(self, obj: JSONObject) -> Problems:
        return rules.storage_class(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.storage_class_update(new, old)


class CSIDriverStrategy(Strategy):
    """CSIDriver."""

    def default(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        for key, value in (
            ("attachRequired", True),
            ("podInfoOnMount", False),
            ("storageCapacity", False),
            ("fsGroupPolicy", "ReadWriteOnceWithFSType"),
            ("requiresRepublish", False),
            ("seLinuxMount", False),
        ):
            spec.setdefault(key, value)
        spec.setdefault("volumeLifecycleModes", ["Persistent"])
