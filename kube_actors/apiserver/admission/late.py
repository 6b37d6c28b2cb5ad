"""Steps that are loaded when there is first something for them to go by: a webhook, a policy, a quota, a limit.

Owns only the waiting. A young cluster has none of these, and its start does not pay for them.
"""

from __future__ import annotations

from collections.abc import Callable

from kube_actors.apiserver.admission.chain import Attempt, Step
from kube_actors.apiserver.mirror import Mirror, Mirrors


class Late(Step):
    """A step behind a collection: while nothing is stored under prefix, there is no step."""

    def __init__(self, name: str, prefix: str, load: Callable[[], Step]) -> None:
        self.name = name
        self.step: Step | None = None
        """The step itself, once it is loaded."""
        self.prefix = prefix
        self._load = load
        self._mirror: tuple[Mirrors, Mirror] | None = None

    def sleeps(self, attempt: Attempt) -> bool:
        """Whether there is surely no step, which can nearly always be told at once."""
        if self.step is not None:
            return False
        mirrors = attempt.call.core.mirrors
        known = self._mirror
        if known is None or known[0] is not mirrors:
            known = self._mirror = mirrors, mirrors.of(self.prefix)
        return known[1].is_empty()

    async def _loaded(self, attempt: Attempt) -> Step | None:
        if self.step is None and await attempt.call.core.mirrors.of(self.prefix).read():
            self.step = self._load()
        return self.step


class LateCompleting(Late):
    """A late step that completes."""

    async def complete(self, attempt: Attempt) -> None:
        if self.sleeps(attempt):
            return
        step = self.step or await self._loaded(attempt)
        if step is not None:
            await step.complete(attempt)


class LateChecking(Late):
    """A late step that checks."""

    async def check(self, attempt: Attempt) -> None:
        if self.sleeps(attempt):
            return
        step = self.step or await self._loaded(attempt)
        if step is not None:
            await step.check(attempt)


class LateBoth(LateCompleting, LateChecking):
    """A late step that does both."""


def limit_ranger() -> Step:
    from kube_actors.apiserver.admission.limit_ranger import LimitRanger  # lazy: see the module

    return LimitRanger()


def resource_quota() -> Step:
    from kube_actors.apiserver.admission.quota import ResourceQuota  # lazy: see the module

    return ResourceQuota()


def mutating_policies() -> Step:
    from kube_actors.apiserver.admission.mutating_policies import MutatingAdmissionPolicy  # lazy: see the module

    return MutatingAdmissionPolicy()


def validating_policies() -> Step:
    from kube_actors.apiserver.admission.validating_policies import ValidatingAdmissionPolicy  # lazy: see the module

    return ValidatingAdmissionPolicy()


def mutating_webhooks() -> Step:
    from kube_actors.apiserver.admission.webhooks import MutatingAdmissionWebhook  # lazy: see the module

    return MutatingAdmissionWebhook()


def validating_webhooks() -> Step:
    from kube_actors.apiserver.admission.webhooks import ValidatingAdmissionWebhook  # lazy: see the module

    return ValidatingAdmissionWebhook()


_POLICY = "/registry/admissionregistration.k8s.io/"


def limits() -> Step:
    return LateBoth("LimitRanger", "/registry/core/limitranges/", limit_ranger)


def quotas() -> Step:
    return LateChecking("ResourceQuota", "/registry/core/resourcequotas/", resource_quota)


def foreign() -> list[Step]:
    """Policies and webhooks, in their order."""
    return [
        LateCompleting("MutatingAdmissionPolicy", f"{_POLICY}mutatingadmissionpolicies/", mutating_policies),
        LateCompleting("MutatingAdmissionWebhook", f"{_POLICY}mutatingwebhookconfigurations/", mutating_webhooks),
        LateChecking("ValidatingAdmissionPolicy", f"{_POLICY}validatingadmissionpolicies/", validating_policies),
        LateChecking("ValidatingAdmissionWebhook", f"{_POLICY}validatingwebhookconfigurations/", validating_webhooks),
    ]
