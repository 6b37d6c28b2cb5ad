"""What is wrong with claims, volumes and storage classes. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies import checks, volume_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

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
_FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def claim(obj: JSONObject) -> Problems:
    """As ValidatePersistentVolumeClaim."""
    spec = obj["spec"]
    found = checks.label_selector(spec.get("selector"), "spec.selector")
    return found + volume_validation.claim_spec(spec, "spec")


def claim_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidatePersistentVolumeClaimUpdate: a bound claim may ask for more, and that is all."""
    found = claim(new)
    spec, before = new["spec"], old["spec"]
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if _fixed(spec, before, bound=bound) != _fixed(before, before, bound=bound):
        found.append(fields.forbidden("spec", _FIXED))
        return found
    now, then = _storage(spec), _storage(before)
    if bound and now is not None and then is not None and now < then:
        had = (old.get("status") or {}).get("capacity", {}).get("storage")
        if had is None or not now >= quantity.parse(had):
            text = "field can not be less than status.capacity"
            found.append(fields.forbidden("spec.resources.requests.storage", text))
    return found


def _storage(spec: JSONObject) -> quantity.Quantity | None:
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return None if amount is None else quantity.parse(amount)


def _fixed(spec: JSONObject, before: JSONObject, *, bound: bool) -> JSONObject:
    kept = dict(spec)
    if not before.get("volumeName"):
        kept.pop("volumeName", None)
    if bound:
        kept.pop("volumeAttributesClassName", None)
        resources = dict(kept.get("resources") or {})
        resources["requests"] = {k: v for k, v in (resources.get("requests") or {}).items() if k != "storage"}
        kept["resources"] = resources
    return kept


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
    return found + _source(spec, policy)


def _source(spec: JSONObject, policy: str | None) -> Problems:
    found: Problems = []
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


def storage_class(obj: JSONObject) -> Problems:
    """As ValidateStorageClass."""
    found: Problems = []
    provisioner = obj.get("provisioner", "")
    if not provisioner:
        found.append(fields.required("provisioner"))
    else:
        found += named(names.qualified_name(provisioner.lower()), provisioner, "provisioner")
    for key in obj.get("parameters") or {}:
        if not key:
            found.append(fields.invalid("parameters", key, "field can not be empty."))
    policy = obj.get("reclaimPolicy", "")
    if policy not in ("Delete", "Retain"):
        found.append(fields.not_supported("reclaimPolicy", policy, ["Delete", "Retain"]))
    mode = obj.get("volumeBindingMode", "")
    if mode not in ("Immediate", "WaitForFirstConsumer"):
        found.append(fields.not_supported("volumeBindingMode", mode, ["Immediate", "WaitForFirstConsumer"]))
    return found


def storage_class_update(new: JSONObject, old: JSONObject) -> Problems:
    found = storage_class(new)
    for key in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        found += checks.immutable(new.get(key), old.get(key), key)
    return found
