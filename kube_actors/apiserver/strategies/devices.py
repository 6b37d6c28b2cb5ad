"""ResourceClaim, ResourceClaimTemplate, DeviceClass and ResourceSlice."""

from __future__ import annotations

from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies import device_validation as rules
from kube_actors.apiserver.strategies import slice_validation as slices
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy


def default_device_spec(spec: JSONObject) -> None:
    """What a claim for devices defaults."""
    for request in (spec.get("devices") or {}).get("requests") or ():
        for exact in filter(None, (request.get("exactly"), *(request.get("firstAvailable") or ()))):
            exact.setdefault("allocationMode", "ExactCount")
            if exact["allocationMode"] == "ExactCount":
                exact.setdefault("count", 1)


class ResourceClaimStrategy(Strategy):
    """ResourceClaim."""

    def default(self, obj: JSONObject) -> None:
        default_device_spec(obj["spec"])

    def validate(self, obj: JSONObject) -> Problems:
        return rules.claim(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return checks.immutable(new["spec"], old["spec"], "spec")

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.claim_status(new, old)


class ResourceClaimTemplateStrategy(Strategy):
    """ResourceClaimTemplate."""

    def default(self, obj: JSONObject) -> None:
        default_device_spec(obj["spec"]["spec"])

    def validate(self, obj: JSONObject) -> Problems:
        return rules.claim_template(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return checks.immutable(new["spec"], old["spec"], "spec")


class DeviceClassStrategy(Strategy):
    """DeviceClass."""

    generation = True

    def validate(self, obj: JSONObject) -> Problems:
        return rules.device_class(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.device_class(new, old)


class ResourceSliceStrategy(Strategy):
    """ResourceSlice."""

    generation = True
    field_complaint = "field label not supported for {api_version}, Kind={kind}: {field}"
    selectable: Selectable = {
        "spec.nodeName": lambda obj: str((obj.get("spec") or {}).get("nodeName") or ""),
        "spec.driver": lambda obj: str((obj.get("spec") or {}).get("driver") or ""),
    }

    def validate(self, obj: JSONObject) -> Problems:
        return slices.resource_slice(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return slices.resource_slice(new, old)
