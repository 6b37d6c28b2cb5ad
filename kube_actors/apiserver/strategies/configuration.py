"""ConfigMap, Secret, ServiceAccount, LimitRange, ResourceQuota, Event, Lease, Role and the like."""

from __future__ import annotations

import base64
from collections.abc import Callable

from kube_actors.api import names
from kube_actors.apiserver.strategies import access_validation, quota_validation
from kube_actors.apiserver.strategies import object_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy


class ConfigMapStrategy(Strategy):
    """ConfigMap."""

    def validate(self, obj: JSONObject) -> Problems:
        return rules.config_map(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.immutable_data(new, old) + rules.config_map(new)


class SecretStrategy(Strategy):
    """Secret: stringData is written into data and never shown."""

    field_complaint = "field label not supported: {field}"
    selectable: Selectable = {"type": lambda obj: str(obj.get("type", ""))}

    def default(self, obj: JSONObject) -> None:
        plain = obj.pop("stringData", None)
        if plain:
            data = obj.setdefault("data", {})
            for key, value in plain.items():
                data[key] = base64.b64encode(value.encode()).decode()
        obj.setdefault("type", "Opaque")

    def validate(self, obj: JSONObject) -> Problems:
        return rules.secret(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.secret_update(new, old)


_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _involved(key: str) -> Callable[[JSONObject], str]:
    return lambda obj: str(obj.get("involvedObject", {}).get(key, ""))


class EventStrategy(Strategy):
    """Event: selected by whom it is about."""

    create_on_update = True
    field_complaint = "field label not supported: {field}"
    selectable: Selectable = {
        **{f"involvedObject.{key}": _involved(key) for key in _REFERENCE},
        "reason": lambda obj: str(obj.get("reason", "")),
        "reportingComponent": lambda obj: str(obj.get("reportingComponent", "")),
        "source": lambda obj: str(obj.get("source", {}).get("component") or obj.get("reportingComponent", "")),
        "type": lambda obj: str(obj.get("type", "")),
    }

    def validate(self, obj: JSONObject) -> Problems:
        return rules.event(obj)


class EventV1Strategy(EventStrategy):
    """The same events in events.k8s.io/v1, which names fields and demands more of them."""

    errors_of = "Event"

    selectable: Selectable = {
        **{f"regarding.{key}": _involved(key) for key in _REFERENCE},
        "reason": lambda obj: str(obj.get("reason", "")),
        "reportingController": lambda obj: str(obj.get("reportingComponent", "")),
        "type": lambda obj: str(obj.get("type", "")),
    }

    def validate_create(self, obj: JSONObject) -> Problems:
        return rules.event_v1(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.event_v1_update(new, old)


class LeaseStrategy(Strategy):
    """Lease: a PUT may create it, and must name the version it replaces."""

    create_on_update = True
    unconditional_update = False

    def validate(self, obj: JSONObject) -> Problems:
        return rules.lease(obj)


class RoleStrategy(Strategy):
    """Roles: any name that fits into a path."""

    create_on_update = True

    def name_problems(self, name: str) -> list[str]:
        return names.path_segment(name)

    def validate(self, obj: JSONObject) -> Problems:
        return access_validation.role(obj)


class RoleBindingStrategy(Strategy):
    """Bindings of roles: any name that fits into a path."""

    create_on_update = True

    def name_problems(self, name: str) -> list[str]:
        return names.path_segment(name)

    def default(self, obj: JSONObject) -> None:
        reference = obj.get("roleRef")
        if reference is not None and not reference.get("apiGroup"):
            reference["apiGroup"] = access_validation.GROUP
        for subject in obj.get("subjects") or ():
            if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = access_validation.GROUP

    def validate(self, obj: JSONObject) -> Problems:
        return access_validation.binding(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return access_validation.binding_update(new, old)


class LimitRangeStrategy(Strategy):
    """LimitRange: a container's defaults come from its maximum, its default requests from its defaults."""

    create_on_update = True

    def default(self, obj: JSONObject) -> None:
        for item in obj["spec"].get("limits") or ():
            if item.get("type") != "Container":
                continue
            default = dict(item.get("default") or {})
            for name, amount in (item.get("max") or {}).items():
                default.setdefault(name, amount)
            request = dict(item.get("defaultRequest") or {})
            for name, amount in default.items():
                request.setdefault(name, amount)
            for name, amount in (item.get("min") or {}).items():
                request.setdefault(name, amount)
            if default:
                item["default"] = default
            if request:
                item["defaultRequest"] = request

    def validate(self, obj: JSONObject) -> Problems:
        return quota_validation.limit_range(obj)


class ResourceQuotaStrategy(Strategy):
    """ResourceQuota."""

    create_on_update = True
    returns_deleted = True

    def validate(self, obj: JSONObject) -> Problems:
        return quota_validation.quota(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return quota_validation.quota_update(new, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return quota_validation.quota_status(new)


_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"


class ServiceAccountStrategy(Strategy):
    """ServiceAccount."""

    returns_deleted = True

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        if _MOUNTABLE in (obj["metadata"].get("annotations") or {}):
            return [
                f"metadata.annotations[{_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate "
                "access to mounted secrets"
            ]
        return []
