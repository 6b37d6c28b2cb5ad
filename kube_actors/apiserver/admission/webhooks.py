"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: others decide too, over HTTPS.

Owns which webhooks are asked, in which order, how often, and what a failure means. How they are called is the hook
client's, what is said to them is `review`'s.
"""

from __future__ import annotations

import trio

from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.resources import Resource
from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission import review
from kube_actors.apiserver.admission.chain import Attempt, JSONObject, Rounds, Step
from kube_actors.apiserver.admission.evaluation import Conditions, Failed, scene
from kube_actors.apiserver.admission.matching import Criteria, by_name, is_exempt
from kube_actors.apiserver.core import Core
from kube_actors.apiserver.hook_client import DEFAULT_SECONDS, HookClient, HookFailed

PREFIX = "/registry/admissionregistration.k8s.io/"
_HARMLESS = ("None", "NoneOnDryRun")


class Hook:
    """One webhook of a configuration, compiled."""

    __slots__ = ("conditions", "config", "criteria", "key", "name", "open_on_failure", "reinvoked", "seconds", "spec")

    def __init__(self, owner: str, index: int, spec: JSONObject) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.key = f"{owner}/{index}/{self.name}"
        self.criteria = Criteria(spec, rules_key="rules")
        strict = spec.get("failurePolicy") != "Ignore"
        self.conditions = Conditions(spec.get("matchConditions") or (), strict=strict)
        self.config: JSONObject = spec.get("clientConfig") or {}
        self.seconds: int = spec.get("timeoutSeconds") or DEFAULT_SECONDS
        self.open_on_failure = spec.get("failurePolicy") == "Ignore"
        self.reinvoked = spec.get("reinvocationPolicy") == "IfNeeded"

    async def wants(self, attempt: Attempt) -> Resource | None:
        """The version to show the object in, when the webhook is to be asked."""
        version = await self.criteria.match(attempt)
        if version is None or not self.conditions:
            return version
        try:
            return version if await self.conditions.hold(await scene(attempt, version)) else None
        except Failed as error:
            raise attempt.forbidden(str(error)) from None


class _Webhooks(Step):
    """What both kinds have in common."""

    plural = ""
    mutating = False

    def __init__(self) -> None:
        self._version = -1
        self._hooks: list[Hook] = []
        self._client: HookClient | None = None

    async def _known(self, attempt: Attempt) -> list[Hook]:
        """All webhooks, in order."""
        mirror = attempt.call.core.mirrors.of(f"{PREFIX}{self.plural}/")
        known = await mirror.read()
        if mirror.version != self._version:
            self._version = mirror.version
            self._hooks = [
                Hook(configuration["metadata"]["name"], index, spec)
                for configuration in by_name(known)
                for index, spec in enumerate(configuration.get("webhooks") or ())
            ]
        return self._hooks

    def _calls(self, core: Core) -> HookClient:
        if self._client is None:
            self._client = HookClient(core)
            core.closers.append(self._client.aclose)
        return self._client

    async def _ask(self, attempt: Attempt, hook: Hook, version: Resource) -> review.Response | None:
        """What the webhook says; None when it failed and is to be left out. Raises the refusal."""
        call = attempt.call
        if call.dry_run and hook.spec.get("sideEffects") not in _HARMLESS:
            raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
        uid = call.core.system.entropy.uuid()
        body = review.request(attempt, version, uid)
        try:
            answer = await self._calls(call.core).post(hook.config, body, hook.seconds)
            found = review.response(answer, uid, mutating=self.mutating)
        except HookFailed as error:
            self._failed(attempt, hook, f"failed to call webhook: {error}")
            return None
        except review.BadResponse as error:
            self._failed(attempt, hook, f"received invalid webhook response: {error}")
            return None
        call.warnings.extend(found.warnings)
        for key, value in found.annotations.items():
            attempt.annotate(f"{hook.name}/{key}", value)
        if not found.allowed:
            raise review.denial(hook.name, found.status)
        return found

    def _failed(self, attempt: Attempt, hook: Hook, why: str) -> None:
        if not hook.open_on_failure:
            raise review.failed(hook.name, why)
        system = attempt.call.core.system
        system.story.tell("apiserver", "went on without a webhook", key=hook.name, detail=why)


class MutatingAdmissionWebhook(_Webhooks):
    """One after the other, each on what the ones before made of the object."""

    name = "MutatingAdmissionWebhook"
    plural = "mutatingwebhookconfigurations"
    mutating = True

    async def complete(self, attempt: Attempt) -> None:
        hooks = await self._known(attempt)
        if not hooks or is_exempt(attempt):
            return
        rounds = attempt.rounds(self.name)
        if attempt.is_again and rounds.last is not None and rounds.last != _bytes(attempt):
            rounds.changed()
        for hook in hooks:
            if attempt.is_again and hook.key not in rounds.due:
                continue
            version = await hook.wants(attempt)
            if version is not None:
                await self._mutate(attempt, hook, version, rounds)
        rounds.last = _bytes(attempt)

    async def _mutate(self, attempt: Attempt, hook: Hook, version: Resource, rounds: Rounds) -> None:
        rounds.due.discard(hook.key)
        found = await self._ask(attempt, hook, version)
        if found is not None and review.patched(attempt, found.patch, version):
            rounds.changed()
            attempt.again = True
        if hook.reinvoked:
            rounds.seen.add(hook.key)


def _bytes(attempt: Attempt) -> bytes:
    return encoding.encode(attempt.obj)


class ValidatingAdmissionWebhook(_Webhooks):
    """All at the same time; of several refusals the first in order is told."""

    name = "ValidatingAdmissionWebhook"
    plural = "validatingwebhookconfigurations"

    async def check(self, attempt: Attempt) -> None:
        hooks = await self._known(attempt)
        if not hooks or is_exempt(attempt):
            return
        wanted = [(hook, version) for hook in hooks if (version := await hook.wants(attempt)) is not None]
        if not wanted:
            return
        refusals: dict[int, ApiError] = {}

        async def ask(index: int, hook: Hook, version: Resource) -> None:
            try:
                await self._ask(attempt, hook, version)
            except ApiError as error:
                refusals[index] = error

        async with trio.open_nursery() as nursery:
            for index, (hook, version) in enumerate(wanted):
                nursery.start_soon(ask, index, hook, version)
        if refusals:
            raise refusals[min(refusals)]
