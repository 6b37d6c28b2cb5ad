"""Admission configurations, network policies, ingresses, flow control and devices: defaults that are plain data."""

from __future__ import annotations

from kube_actors.apiserver.strategies import ingress_validation
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Strategy


class WebhookStrategy(Strategy):
    """ValidatingWebhookConfiguration and MutatingWebhookConfiguration."""

    generation = True

    def __init__(self, *, mutating: bool) -> None:
        self._mutating = mutating

    def default(self, obj: JSONObject) -> None:
        for hook in obj.get("webhooks") or ():
            hook.setdefault("failurePolicy", "Fail")
            hook.setdefault("matchPolicy", "Equivalent")
            hook.setdefault("namespaceSelector", {})
            hook.setdefault("objectSelector", {})
            hook.setdefault("timeoutSeconds", 10)
            if self._mutating:
                hook.setdefault("reinvocationPolicy", "Never")
            service = (hook.get("clientConfig") or {}).get("service")
            if service is not None:
                service.setdefault("port", 443)
            default_rules(hook.get("rules"))

    def desired(self, obj: JSONObject) -> object:
        return obj.get("webhooks")


def default_rules(rules: list[JSONObject] | None) -> None:
    for rule in rules or ():
        rule.setdefault("scope", "*")


def _default_match(match: JSONObject | None) -> None:
    if match is None:
        return
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    default_rules(match.get("resourceRules"))
    default_rules(match.get("excludeResourceRules"))


class AdmissionPolicyStrategy(Strategy):
    """ValidatingAdmissionPolicy and MutatingAdmissionPolicy."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        spec.setdefault("failurePolicy", "Fail")
        _default_match(spec.get("matchConstraints"))


class AdmissionBindingStrategy(Strategy):
    """Bindings of admission policies."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        _default_match(obj["spec"].get("matchResources"))


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


class IngressStrategy(Strategy):
    """Ingress."""

    generation = True

    def validate(self, obj: JSONObject) -> Problems:
        return ingress_validation.ingress(obj)


class IngressClassStrategy(Strategy):
    """IngressClass."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        parameters = (obj.get("spec") or {}).get("parameters")
        if parameters is not None:
            parameters.setdefault("scope", "Cluster")


class FlowSchemaStrategy(Strategy):
    """FlowSchema."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        obj["spec"].setdefault("matchingPrecedence", 1000)


class PriorityLevelStrategy(Strategy):
    """PriorityLevelConfiguration."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        limited = obj["spec"].get("limited")
        if limited is not None:
            limited.setdefault("nominalConcurrencyShares", 30)
            limited.setdefault("lendablePercent", 0)
            queuing = (limited.get("limitResponse") or {}).get("queuing")
            if queuing is not None:
                for key, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
                    if not queuing.get(key):
                        queuing[key] = value
        exempt = obj["spec"].get("exempt")
        if exempt is not None:
            exempt.setdefault("nominalConcurrencyShares", 0)
            exempt.setdefault("lendablePercent", 0)


class APIServiceStrategy(Strategy):
    """APIService."""

    def default(self, obj: JSONObject) -> None:
        service = obj["spec"].get("service")
        if service is not None:
            service.setdefault("port", 443)


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


class ResourceClaimTemplateStrategy(Strategy):
    """ResourceClaimTemplate."""

    def default(self, obj: JSONObject) -> None:
        default_device_spec(obj["spec"]["spec"])
