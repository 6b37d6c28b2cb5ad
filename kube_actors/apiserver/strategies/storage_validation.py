"""What is wrong with claims, volumes and storage classes. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies import checks, disk_validation, go_diff, placement_validation, volume_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_RECLAIM = ("Delete", "Recycle", "Retain")
_COMMON = (
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
)
_LATE_SECRETS = ("controllerExpandSecretRef", "nodeExpandSecretRef")
_FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def claim(obj: JSONObject) -> Problems:
    """As ValidatePersistentVolumeClaim."""
    spec = obj["spec"]
    return volume_validation.claim_spec(spec, "spec")


def claim_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidatePersistentVolumeClaimUpdate: a bound claim may ask for more, and that is all."""
    found = claim(new)
    spec, before = new["spec"], old["spec"]
    bound = (old.get("status") or {}).get("phase") == "Bound"
    munged = _munged(spec, before, bound=bound)
    if _gains_class(new, old):
        munged.pop("storageClassName")
    if munged != before:
        change = go_diff.difference("PersistentVolumeClaimSpec", before, munged)
        found.append(fields.forbidden("spec", f"{_FIXED}\n{change}"))
        return found
    now, then = _storage(spec), _storage(before)
    if bound and now is not None and then is not None and now < then:
        had = (old.get("status") or {}).get("capacity", {}).get("storage")
        if had is None or not now >= quantity.parse(had):
            text = "field can not be less than status.capacity"
            found.append(fields.forbidden("spec.resources.requests.storage", text))
    return found


def _gains_class(new: JSONObject, old: JSONObject) -> bool:
    """A claim without class gets one afterwards, or the class of its old annotation becomes its field."""
    if old["spec"].get("storageClassName") is not None or new["spec"].get("storageClassName") is None:
        return False
    annotated = (old["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    return annotated is None or annotated == new["spec"]["storageClassName"]


def _storage(spec: JSONObject) -> quantity.Quantity | None:
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return None if amount is None else quantity.parse(amount)


def _munged(spec: JSONObject, before: JSONObject, *, bound: bool) -> JSONObject:
    """The new spec with everything that may change as it was."""
    kept = dict(spec)
    free = [] if before.get("volumeName") else ["volumeName"]
    if bound:
        free.append("volumeAttributesClassName")
        kept["resources"] = dict(kept.get("resources") or {})
        storage = _requests(before).get("storage")
        if storage is not None and "storage" in _requests(kept):
            kept["resources"]["requests"] = {**_requests(kept), "storage": storage}
    for key in free:
        if key in before:
            kept[key] = before[key]
        else:
            kept.pop(key, None)
    return kept


def _requests(spec: JSONObject) -> JSONObject:
    return (spec.get("resources") or {}).get("requests") or {}


def volume_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidatePersistentVolumeUpdate: where a volume lies is for life."""
    found = volume(new)
    spec, before = new["spec"], old["spec"]
    after_source = {key: value for key, value in spec.items() if key not in _COMMON}
    before_source = {key: value for key, value in before.items() if key not in _COMMON}
    if _with_secrets(after_source, before_source) != before_source:
        change = go_diff.difference("PersistentVolumeSource", before_source, after_source)
        text = f"spec.persistentvolumesource is immutable after creation\n{change}"
        found.append(fields.forbidden("spec.persistentvolumesource", text))
    found += checks.immutable(spec.get("volumeMode"), before.get("volumeMode"), "volumeMode")
    if before.get("nodeAffinity") is not None and spec.get("nodeAffinity") != before["nodeAffinity"]:
        text = "field is immutable, except for updating from beta label to GA"
        found.append(fields.invalid("nodeAffinity", _go_affinity(spec.get("nodeAffinity")), text))
    return found


def _with_secrets(source: JSONObject, before: JSONObject) -> JSONObject:
    """A CSI source may be given the secret for growing it, once."""
    csi, had = source.get("csi"), before.get("csi")
    if csi is None or had is None:
        return source
    added = {key: value for key, value in csi.items() if key in _LATE_SECRETS and key not in had}
    return {**source, "csi": {key: value for key, value in csi.items() if key not in added}}


def _go_affinity(affinity: JSONObject | None) -> Any:
    if affinity is None:
        return None
    required = affinity.get("required")
    return checks.go_value({"Required": None if required is None else go_diff.internal("NodeSelector", required)})


def volume(obj: JSONObject) -> Problems:
    """As ValidatePersistentVolume."""
    spec = obj["spec"]
    found: Problems = []
    modes, capacity = spec.get("accessModes") or [], spec.get("capacity")
    if not modes:
        found.append(fields.required("spec.accessModes"))
    for mode in modes:
        if mode not in volume_validation.ACCESS_MODES:
            found.append(fields.not_supported("spec.accessModes", mode, volume_validation.ACCESS_MODES))
    if not capacity:
        found.append(fields.required("spec.capacity"))
    if set(capacity or ()) != {"storage"}:
        found.append(fields.not_supported("spec.capacity", capacity or None, ["storage"]))
    for name, amount in sorted((capacity or {}).items()):
        if name == "storage" and quantity.parse(amount).sign <= 0:
            found.append(fields.invalid("spec.capacity[storage]", amount, "must be greater than zero"))
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM:
        found.append(fields.not_supported("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM))
    sources = [key for key in spec if key not in _COMMON]
    for extra in sources[1:]:
        found.append(fields.forbidden(f"spec.{extra}", "may not specify more than 1 volume type"))
    if not sources:
        found.append(fields.required("spec", "must specify a volume type"))
    found += _source(spec, policy)
    name = spec.get("storageClassName")
    if name:
        found += named(names.dns_subdomain(name), name, "spec.storageClassName")
    mode = spec.get("volumeMode")
    if mode is not None and mode not in ("Block", "Filesystem"):
        found.append(fields.not_supported("spec.volumeMode", mode, ["Block", "Filesystem"]))
    affinity = (spec.get("nodeAffinity") or {}).get("required")
    if affinity is not None:
        found += placement_validation.node_selector(affinity, "spec.nodeAffinity.required")
    return found


def _source(spec: JSONObject, policy: str | None) -> Problems:
    found: Problems = []
    for key, check in disk_validation.CHECKS.items():
        if spec.get(key) is not None:
            found += check(spec[key], f"spec.{key}")
    if spec.get("hostPath") is not None:
        found += volume_validation.host_path(spec["hostPath"], "spec.hostPath")
        if spec["hostPath"].get("path") == "/" and policy == "Recycle":
            text = "may not be 'recycle' for a hostPath mount of '/'"
            found.append(fields.forbidden("spec.persistentVolumeReclaimPolicy", text))
    if spec.get("local") is not None:
        if not spec["local"].get("path"):
            found.append(fields.required("spec.local.path"))
        if spec.get("nodeAffinity") is None:
            found.append(fields.required("spec.nodeAffinity", "Local volume requires node affinity"))
    if spec.get("csi") is not None:
        driver = spec["csi"].get("driver", "")
        found += (
            named(names.dns_subdomain(driver), driver, "spec.csi.driver")
            if driver
            else [fields.required("spec.csi.driver")]
        )
        if not spec["csi"].get("volumeHandle"):
            found.append(fields.required("spec.csi.volumeHandle"))
    return found
