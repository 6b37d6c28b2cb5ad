"""NetworkPolicy, Ingress, IngressClass, IPAddress and ServiceCIDR."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.apiserver.strategies import ingress_validation
from kube_actors.apiserver.strategies import network_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Strategy

_CLASS = "kubernetes.io/ingress.class"


class NetworkPolicyStrategy(Strategy):
    """NetworkPolicy."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        for direction in ("ingress", "egress"):
            for rule in spec.get(direction) or ():
                for port in rule.get("ports") or ():
                    port.setdefault("protocol", "TCP")
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def validate_create(self, obj: JSONObject) -> Problems:
        return rules.network_policy(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.network_policy(new, old)


class IngressStrategy(Strategy):
    """Ingress."""

    generation = True

    def validate_create(self, obj: JSONObject) -> Problems:
        return ingress_validation.ingress_create(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return ingress_validation.ingress(new)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return ingress_validation.ingress_status(new)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        if _CLASS in (obj["metadata"].get("annotations") or {}) and old is None:
            return [f"annotation {fields.quote(_CLASS)} is deprecated, please use 'spec.ingressClassName' instead"]
        return []


class IngressClassStrategy(Strategy):
    """IngressClass."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        parameters = (obj.get("spec") or {}).get("parameters")
        if parameters is not None:
            parameters.setdefault("scope", "Cluster")

    def validate(self, obj: JSONObject) -> Problems:
        return rules.ingress_class(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.ingress_class_update(new, old)


class IPAddressStrategy(Strategy):
    """IPAddress: named by what it is, and for one owner all its life."""

    def name_problems(self, name: str) -> list[str]:
        return rules.ip_address_name(name)

    def validate(self, obj: JSONObject) -> Problems:
        return rules.ip_address(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.ip_address_update(new, old)


class ServiceCIDRStrategy(Strategy):
    """ServiceCIDR."""

    def validate(self, obj: JSONObject) -> Problems:
        return rules.service_cidr(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.service_cidr_update(new, old)
