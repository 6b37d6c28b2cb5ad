"""Texts for Warning headers about volumes, claims and storage classes. Pure."""

from __future__ import annotations

from kube_actors.apiserver.strategies.checks import JSONObject

VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
"""Volume sources that do nothing any more, or soon will, and since when."""

_TOPOLOGY = {
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
}
_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"


def volume(obj: JSONObject) -> list[str]:
    """A PersistentVolume's."""
    spec = obj["spec"]
    annotations = obj["metadata"].get("annotations") or {}
    found = []
    if _STORAGE_CLASS in annotations:
        found.append(
            f'metadata.annotations[{_STORAGE_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
        )
    if _MOUNT_OPTIONS in annotations:
        found.append(
            f'metadata.annotations[{_MOUNT_OPTIONS}]: deprecated since v1.31; use "mountOptions" attribute instead'
        )
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        found.append(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
            "approach is to use dynamic provisioning."
        )
    found += _terms((spec.get("nodeAffinity") or {}).get("required") or {})
    found += [f"spec.{key}: {text}" for key, text in VOLUMES.items() if spec.get(key) is not None]
    amount = (spec.get("capacity") or {}).get("storage")
    return found + fractional(amount, "spec.capacity[storage]")


def _terms(selector: JSONObject) -> list[str]:
    found = []
    for index, term in enumerate(selector.get("nodeSelectorTerms") or ()):
        for position, item in enumerate(term.get("matchExpressions") or ()):
            key = item.get("key", "")
            if key in _TOPOLOGY:
                at = f"spec.nodeAffinity.required.nodeSelectorTerms[{index}].matchExpressions[{position}].key"
                found.append(f'{at}: {key} is deprecated since v1.17; use "{_TOPOLOGY[key]}" instead')
    return found


def claim(obj: JSONObject) -> list[str]:
    """A PersistentVolumeClaim's."""
    found = []
    if _STORAGE_CLASS in (obj["metadata"].get("annotations") or {}):
        found.append(
            f'metadata.annotations[{_STORAGE_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
        )
    return found + claim_spec(obj["spec"], "spec")


def claim_spec(spec: JSONObject, path: str) -> list[str]:
    """What goes for a claim and for the template of one."""
    resources = spec.get("resources") or {}
    found = []
    for kind in ("requests", "limits"):
        amount = (resources.get(kind) or {}).get("storage")
        found += fractional(amount, f"{path}.resources.{kind}[storage]")
    return found


def fractional(amount: str | None, path: str) -> list[str]:
    """Bytes come whole; "100m" of them was meant to be "100M"."""
    if amount is None or not amount.endswith("m"):
        return []
    return [f'{path}: fractional byte value "{amount}" is invalid, must be an integer']


def storage_class(obj: JSONObject) -> list[str]:
    """A StorageClass's."""
    found = []
    for index, term in enumerate(obj.get("allowedTopologies") or ()):
        for position, item in enumerate(term.get("matchLabelExpressions") or ()):
            key = item.get("key", "")
            if key in _TOPOLOGY:
                at = f"allowedTopologies[{index}].matchLabelExpressions[{position}].key"
                found.append(f'{at}: {key} is deprecated since v1.17; use "{_TOPOLOGY[key]}" instead')
    return found
