"""Admission configurations and APIServices: what they default and what they must heed."""

from __future__ import annotations

from kube_actors.api import names
from kube_actors.apiserver.strategies import admission_validation as rules
from kube_actors.apiserver.strategies import api_service_validation as service_rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Strategy
from kube_actors.apiserver.strategies.expression_validation import with_expressions


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

    def validate(self, obj: JSONObject) -> Problems:
        return with_expressions(rules.webhooks(obj, mutating=self._mutating), obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return with_expressions(rules.webhooks(new, mutating=self._mutating, old=old), new, old)


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

    def validate(self, obj: JSONObject) -> Problems:
        return with_expressions(rules.policy(obj), obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return with_expressions(rules.policy(new, old), new, old)


class AdmissionBindingStrategy(Strategy):
    """Bindings of admission policies."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        _default_match(obj["spec"].get("matchResources"))

    def validate(self, obj: JSONObject) -> Problems:
        return rules.binding(obj)


class APIServiceStrategy(Strategy):
    """APIService."""

    def default(self, obj: JSONObject) -> None:
        service = obj["spec"].get("service")
        if service is not None:
            service.setdefault("port", 443)

    def name_problems(self, name: str) -> list[str]:
        return names.path_segment(name)

    def validate(self, obj: JSONObject) -> Problems:
        return service_rules.api_service(obj)
