"""PodSecurity as an admission step: what it is asked about, and what follows from a violation.

Owns when a pod is judged again, the notes for the audit log, warnings, and the look at the pods that are already
there when a namespace becomes stricter. Pod templates are never refused, only warned about.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kube_actors.api import errors
from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission.chain import PODS, Attempt, JSONObject, Step
from kube_actors.apiserver.admission.pod_security import levels
from kube_actors.apiserver.admission.pod_security.levels import FREE, LEVELS, PREFIX, Level, Policy, policy_of

if TYPE_CHECKING:
    from kube_actors.apiserver.admission.pod_security.baseline import Violation

NAMESPACES = "/registry/core/namespaces/"
MOST_PODS = 3000
"""Pods of a namespace that are looked at when it becomes stricter."""

_TEMPLATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "replicationcontrollers"): ("spec", "template"),
    ("", "podtemplates"): ("template",),
    ("apps", "replicasets"): ("spec", "template"),
    ("apps", "deployments"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"),
    ("apps", "daemonsets"): ("spec", "template"),
    ("batch", "jobs"): ("spec", "template"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
}
"""Where a workload keeps its pod template."""

_JUDGED_SUBRESOURCES = frozenset({"", "ephemeralcontainers", "resize"})


class PodSecurity(Step):
    """See the module. The exempt are not judged at all."""

    name = "PodSecurity"
    only = PODS | {("", "namespaces")} | _TEMPLATES.keys()

    def __init__(
        self,
        exempt_namespaces: Iterable[str] = (),
        exempt_users: Iterable[str] = (),
        exempt_runtime_classes: Iterable[str] = (),
    ) -> None:
        self._namespaces = frozenset(exempt_namespaces)
        self._users = frozenset(exempt_users)
        self._runtime_classes = frozenset(exempt_runtime_classes)
        self._version = -1
        self._policies: dict[str, Policy] = {}

    async def check(self, attempt: Attempt) -> None:
        obj = attempt.obj
        if obj is None or attempt.operation not in ("CREATE", "UPDATE"):
            return
        resource = attempt.call.kind.resource
        if not resource.group and resource.plural == "pods":
            if attempt.subresource in _JUDGED_SUBRESOURCES:
                policy = await self._policy(attempt)
                if not policy.is_free and _changes_much(obj, attempt.old):
                    self._judge(attempt, policy, obj["metadata"], obj["spec"], enforce=True)
        elif not resource.group and resource.plural == "namespaces":
            if not attempt.subresource:
                await self._check_namespace(attempt, obj)
        elif not attempt.subresource and (resource.group, resource.plural) in _TEMPLATES:
            policy = await self._policy(attempt)
            if policy.is_free:
                return
            template = _template(obj, _TEMPLATES[resource.group, resource.plural])
            if template.get("spec"):
                self._judge(attempt, policy, template.get("metadata") or {}, template["spec"], enforce=False)

    async def _policy(self, attempt: Attempt) -> Policy:
        """What the namespace of the attempt wants."""
        mirror = attempt.call.core.mirrors.of(NAMESPACES)
        known = await mirror.read()
        if mirror.version != self._version:
            self._version = mirror.version
            self._policies = {
                name: policy_of(labels)
                for name, namespace in known.items()
                if (labels := namespace["metadata"].get("labels")) and any(key.startswith(PREFIX) for key in labels)
            }
        policy = self._policies.get(attempt.namespace, FREE)
        if policy.is_free:
            return FREE
        for exempt, value, what in (
            (self._namespaces, attempt.namespace, "namespace"),
            (self._users, attempt.call.request.user.name, "user"),
        ):
            if value in exempt:
                attempt.annotate(f"{PREFIX}exempt", what)
                return FREE
        return policy

    def _judge(
        self, attempt: Attempt, policy: Policy, metadata: JSONObject, spec: JSONObject, *, enforce: bool
    ) -> None:
        if spec.get("runtimeClassName") in self._runtime_classes:
            attempt.annotate(f"{PREFIX}exempt", "runtimeClass")
            return
        if policy.problems:
            text = ", ".join(str(problem) for problem in policy.problems)
            attempt.annotate(f"{PREFIX}error", f"Failed to parse policy: {text}")
        if enforce:
            attempt.annotate(f"{PREFIX}enforce-policy", str(policy.enforce))
        found = violations(policy.audit, metadata, spec)
        if found:
            attempt.annotate(f"{PREFIX}audit-violations", _would(policy.audit, found))
        if enforce:
            found = violations(policy.enforce, metadata, spec)
            if found:
                raise attempt.forbidden(f'violates PodSecurity "{policy.enforce}": {_details(found)}')
        found = violations(policy.warn, metadata, spec)
        if found:
            attempt.call.warnings.append(_would(policy.warn, found))

    async def _check_namespace(self, attempt: Attempt, namespace: JSONObject) -> None:
        policy = policy_of(namespace["metadata"].get("labels") or {})
        old = policy_of(((attempt.old or {}).get("metadata") or {}).get("labels") or {})
        if policy.problems and policy.problems != old.problems:
            raise errors.invalid(attempt.call.kind.resource, attempt.shown_name(), policy.problems)
        name = namespace["metadata"].get("name", "")
        if name in self._namespaces and not policy.is_free:
            levels_text = ", ".join(
                f"{mode}={level}" for mode, level in zip(("enforce", "audit", "warn"), policy[:3], strict=True)
            )
            attempt.call.warnings.append(
                f'namespace "{name}" is exempt from Pod Security, and the policy ({levels_text}) will be ignored'
            )
            return
        if attempt.operation != "UPDATE" or policy.enforce == old.enforce:
            return
        stricter = LEVELS.index(policy.enforce.name) > LEVELS.index(old.enforce.name)
        if policy.enforce.name == levels.PRIVILEGED:
            return
        if stricter or policy.enforce.version != old.enforce.version:
            attempt.call.warnings.extend(await self._look_at_pods(attempt, name, policy.enforce))

    async def _look_at_pods(self, attempt: Attempt, namespace: str, level: Level) -> list[str]:
        """Warnings about the pods that are there already, those of one kind together."""
        page = await attempt.call.core.store.list(f"/registry/core/pods/{namespace}/", limit=MOST_PODS)
        names: dict[str, list[str]] = {}
        for entry in page.entries:
            pod = encoding.decode(entry.value)
            if pod["spec"].get("runtimeClassName") in self._runtime_classes:
                continue
            found = violations(level, pod["metadata"], pod["spec"])
            if found:
                reason = ", ".join(violation.reason for violation in found)
                names.setdefault(reason, []).append(pod["metadata"]["name"])
        warnings = []
        if page.more:
            warnings.append(
                f"new PodSecurity enforce level only checked against the first {len(page.entries)} of "
                f"{len(page.entries) + page.remaining} existing pods"
            )
        if names:
            warnings.append(
                f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{level}"'
            )
        return [*warnings, *sorted(f"{_some(pods)}: {reason}" for reason, pods in names.items())]


def violations(level: Level, metadata: JSONObject, spec: JSONObject) -> list[Violation]:
    """Everything in which the pod does not meet the level."""
    if level.name == levels.PRIVILEGED:
        return []
    from kube_actors.apiserver.admission.pod_security import restricted  # lazy: few namespaces ask for it

    return restricted.violations(level, metadata, spec)


def _some(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other {'pod' if others == 1 else 'pods'})"


def _details(found: list[Violation]) -> str:
    return ", ".join(str(violation) for violation in found)


def _would(level: Level, found: list[Violation]) -> str:
    return f'would violate PodSecurity "{level}": {_details(found)}'


def _template(obj: JSONObject, path: tuple[str, ...]) -> JSONObject:
    found: Any = obj
    for key in path:
        found = found.get(key) or {}
    return found if isinstance(found, dict) else {}


def _changes_much(pod: JSONObject, old: JSONObject | None) -> bool:
    """Whether an update touches what the standards look at: images, added containers, seccomp annotations."""
    if old is None:
        return True
    return bool(_substance(pod) != _substance(old))


def _substance(pod: JSONObject) -> Any:
    spec, annotations = pod["spec"], pod["metadata"].get("annotations") or {}
    marks = {key: value for key, value in annotations.items() if "seccomp.security.alpha.kubernetes.io/" in key}
    lists = ("containers", "initContainers", "ephemeralContainers")
    return marks, [[(c.get("name"), c.get("image")) for c in spec.get(key) or ()] for key in lists]
