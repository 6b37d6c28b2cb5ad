"""PersistentVolume, PersistentVolumeClaim, StorageClass, CSIDriver and their kin."""

from __future__ import annotations

from kube_actors.apiserver.strategies import csi_validation as csi
from kube_actors.apiserver.strategies import pod_defaults, storage_warnings
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

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.volume_update(new, old)

    def prepare_status(self, new: JSONObject, old: JSONObject) -> None:
        before, after = old.get("status") or {}, new.get("status") or {}
        if after.get("phase") == before.get("phase") and "lastPhaseTransitionTime" in before:
            after.setdefault("lastPhaseTransitionTime", before["lastPhaseTransitionTime"])

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        return storage_warnings.volume(obj)


_CLONABLE = (("PersistentVolumeClaim", ""), ("VolumeSnapshot", "snapshot.storage.k8s.io"))
"""What dataSource may name; the rest needs dataSourceRef."""


class PersistentVolumeClaimStrategy(Strategy):
    """PersistentVolumeClaim: dataSource and dataSourceRef mirror each other."""

    returns_deleted = True

    def default(self, obj: JSONObject) -> None:
        obj["spec"].setdefault("volumeMode", "Filesystem")

    def prepare_create(self, obj: JSONObject) -> None:
        obj["status"] = {"phase": "Pending"}
        spec = obj["spec"]
        source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
        if source is not None and (source.get("kind"), source.get("apiGroup") or "") not in _CLONABLE:
            source = None
            del spec["dataSource"]
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

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        return storage_warnings.claim(obj)


class StorageClassStrategy(Strategy):
    """StorageClass."""

    def default(self, obj: JSONObject) -> None:
        obj.setdefault("reclaimPolicy", "Delete")
        obj.setdefault("volumeBindingMode", "Immediate")

    def validate_create(self, obj: JSONObject) -> Problems:
        return csi.storage_class(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return csi.storage_class_update(new, old)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        return storage_warnings.storage_class(obj)


class VolumeAttributesClassStrategy(Strategy):
    """VolumeAttributesClass."""

    def validate(self, obj: JSONObject) -> Problems:
        return csi.attributes_class(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return csi.attributes_class_update(new, old)


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

    def validate(self, obj: JSONObject) -> Problems:
        return csi.driver(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return csi.driver_update(new, old)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        return csi.driver_warnings(obj)


class CSINodeStrategy(Strategy):
    """CSINode."""

    def validate(self, obj: JSONObject) -> Problems:
        return csi.node(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return csi.node_update(new, old)


class VolumeAttachmentStrategy(Strategy):
    """VolumeAttachment."""

    def validate(self, obj: JSONObject) -> Problems:
        return csi.attachment(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return csi.attachment_update(new, old)


class CSIStorageCapacityStrategy(Strategy):
    """CSIStorageCapacity."""

    def validate(self, obj: JSONObject) -> Problems:
        return csi.capacity(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return csi.capacity_update(new, old)
