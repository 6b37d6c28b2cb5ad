"""Volumes, their classes and claims; configuration and secrets."""

from __future__ import annotations

from kube_actors.apiserver.tables.printer import (
    UNSET,
    Cells,
    Column,
    JSONObject,
    Printer,
    access_modes,
    age_column,
    age_of,
    at,
    name_column,
    name_of,
    part,
    wide,
)

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_CLASS_BETA = "storageclass.beta.kubernetes.io/is-default-class"
_CLASS_BETA = "volume.beta.kubernetes.io/storage-class"


def _volume(obj: JSONObject, now: float) -> Cells:
    spec, status = part(obj, "spec"), part(obj, "status")
    claim = spec.get("claimRef")
    phase = status.get("phase", "")
    if at(obj, "metadata", "deletionTimestamp"):
        phase = "Terminating"
    return [
        name_of(obj),
        at(spec, "capacity", "storage") or "0",
        access_modes(spec.get("accessModes") or []),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _claim(obj: JSONObject, now: float) -> Cells:
    spec, status = part(obj, "spec"), part(obj, "status")
    phase = "Terminating" if at(obj, "metadata", "deletionTimestamp") else status.get("phase", "")
    bound = bool(spec.get("volumeName"))
    return [
        name_of(obj),
        phase,
        spec.get("volumeName", ""),
        (at(status, "capacity", "storage") or "0") if bound else "",
        access_modes(status.get("accessModes") or []) if bound else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or UNSET,
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _class(obj: JSONObject) -> str:
    beta = part(obj, "metadata", "annotations").get(_CLASS_BETA)
    return str(beta if beta is not None else part(obj, "spec").get("storageClassName") or "")


def _storage_class(obj: JSONObject, now: float) -> Cells:
    annotations = part(obj, "metadata", "annotations")
    default = any(annotations.get(key) == "true" for key in (_DEFAULT_CLASS, _DEFAULT_CLASS_BETA))
    return [
        f"{name_of(obj)} (default)" if default else name_of(obj),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or UNSET,
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now),
    ]


def _attachment(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    return [
        name_of(obj),
        spec.get("attacher", ""),
        at(spec, "source", "persistentVolumeName") or "",
        spec.get("nodeName", ""),
        bool(at(obj, "status", "attached")),
        age_of(obj, now),
    ]


def _attributes_class(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), obj.get("driverName", ""), age_of(obj, now)]


def _csi_driver(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    attach = spec.get("attachRequired")
    requests = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or [])
    return [
        name_of(obj),
        True if attach is None else attach,
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        requests or UNSET,
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or []) or UNSET,
        age_of(obj, now),
    ]


def _csi_node(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), len(part(obj, "spec").get("drivers") or []), age_of(obj, now)]


def _csi_capacity(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), obj.get("storageClassName", ""), obj.get("capacity") or UNSET, age_of(obj, now)]


def _config_map(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age_of(obj, now)]


def _secret(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or {}), age_of(obj, now)]


PRINTERS = {
    ("", "PersistentVolume"): Printer(
        (
            name_column(),
            Column("Capacity", "=core.v1.PersistentVolumeSpec.capacity"),
            Column("Access Modes", "=core.v1.PersistentVolumeSpec.accessModes"),
            Column("Reclaim Policy", "=core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy"),
            Column("Status", "=core.v1.PersistentVolumeStatus.phase"),
            Column("Claim", "=core.v1.PersistentVolumeSpec.claimRef"),
            Column("StorageClass", "StorageClass of the pv"),
            Column("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
            Column("Reason", "=core.v1.PersistentVolumeStatus.reason"),
            age_column(),
            wide("VolumeMode", "=core.v1.PersistentVolumeSpec.volumeMode"),
        ),
        _volume,
    ),
    ("", "PersistentVolumeClaim"): Printer(
        (
            name_column(),
            Column("Status", "=core.v1.PersistentVolumeClaimStatus.phase"),
            Column("Volume", "=core.v1.PersistentVolumeClaimSpec.volumeName"),
            Column("Capacity", "=core.v1.PersistentVolumeClaimStatus.capacity"),
            Column("Access Modes", "=core.v1.PersistentVolumeClaimStatus.accessModes"),
            Column("StorageClass", "StorageClass of the pvc"),
            Column("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
            age_column(),
            wide("VolumeMode", "=core.v1.PersistentVolumeClaimSpec.volumeMode"),
        ),
        _claim,
    ),
    ("storage.k8s.io", "StorageClass"): Printer(
        (
            name_column(),
            Column("Provisioner", "=storage.v1.StorageClass.provisioner"),
            Column("ReclaimPolicy", "=storage.v1.StorageClass.reclaimPolicy"),
            Column("VolumeBindingMode", "=storage.v1.StorageClass.volumeBindingMode"),
            Column("AllowVolumeExpansion", "=storage.v1.StorageClass.allowVolumeExpansion"),
            age_column(),
        ),
        _storage_class,
    ),
    ("storage.k8s.io", "VolumeAttachment"): Printer(
        (
            name_column(),
            Column("Attacher", "=storage.v1.VolumeAttachmentSpec.attacher", format="name"),
            Column("PV", "=storage.v1.VolumeAttachmentSource.persistentVolumeName"),
            Column("Node", "=storage.v1.VolumeAttachmentSpec.nodeName"),
            Column("Attached", "=storage.v1.VolumeAttachmentStatus.attached", "boolean"),
            age_column(),
        ),
        _attachment,
    ),
    ("storage.k8s.io", "VolumeAttributesClass"): Printer(
        (name_column(), Column("DriverName", "=storage.v1.VolumeAttributesClass.driverName"), age_column()),
        _attributes_class,
    ),
    ("storage.k8s.io", "CSIDriver"): Printer(
        (
            name_column(),
            Column("AttachRequired", "=storage.v1.CSIDriverSpec.attachRequired", "boolean"),
            Column("PodInfoOnMount", "=storage.v1.CSIDriverSpec.podInfoOnMount", "boolean"),
            Column("StorageCapacity", "=storage.v1.CSIDriverSpec.storageCapacity", "boolean"),
            Column("TokenRequests", "=storage.v1.CSIDriverSpec.tokenRequests"),
            Column("RequiresRepublish", "=storage.v1.CSIDriverSpec.requiresRepublish", "boolean"),
            Column("Modes", "=storage.v1.CSIDriverSpec.volumeLifecycleModes"),
            age_column(),
        ),
        _csi_driver,
    ),
    ("storage.k8s.io", "CSINode"): Printer(
        (
            name_column(),
            Column("Drivers", "Drivers indicates the number of CSI drivers registered on the node", "integer"),
            age_column(),
        ),
        _csi_node,
    ),
    ("storage.k8s.io", "CSIStorageCapacity"): Printer(
        (
            name_column(),
            Column("StorageClassName", "=storage.v1.CSIStorageCapacity.storageClassName"),
            Column("Capacity", "=storage.v1.CSIStorageCapacity.capacity"),
            age_column(),
        ),
        _csi_capacity,
    ),
    ("", "ConfigMap"): Printer((name_column(), Column("Data", "=core.v1.ConfigMap.data"), age_column()), _config_map),
    ("", "Secret"): Printer(
        (name_column(), Column("Type", "=core.v1.Secret.type"), Column("Data", "=core.v1.Secret.data"), age_column()),
        _secret,
    ),
}
