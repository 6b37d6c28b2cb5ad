"""Texts for Warning headers about a pod spec that is valid but surprising. Pure."""

from __future__ import annotations

from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies.checks import JSONObject

_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
_CRITICAL = "scheduler.alpha.kubernetes.io/critical-pod"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def pod_warnings(pod: JSONObject) -> list[str]:
    """A Pod's."""
    found = []
    name = pod["metadata"].get("name", "")
    problems = names.dns_label(name) if name else []
    if problems:
        found.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label "
            f"is recommended: [{', '.join(problems)}]"
        )
    return found + template_warnings(pod, "")


def template_warnings(template: JSONObject, path: str) -> list[str]:
    """A template's; path is "" or ends in a dot."""
    found = []
    for key in sorted((template.get("metadata") or {}).get("annotations") or ()):
        at = f"{path}metadata.annotations[{key}]"
        if key.startswith(_APPARMOR):
            found.append(f'{at}: deprecated since v1.30; use the "appArmorProfile" field instead')
        elif key == _CRITICAL:
            found.append(f'{at}: non-functional in v1.16+; use the "priorityClassName" field instead')
        elif key == _SECCOMP:
            found.append(f'{at}: non-functional in v1.27+; use the "seccompProfile" field instead')
    spec = template.get("spec") or {}
    at = f"{path}spec"
    for key in sorted(spec.get("nodeSelector") or ()):
        if key in _LABELS:
            since, instead = _LABELS[key]
            found.append(f'{at}.nodeSelector[{key}]: deprecated since {since}; use "{instead}" instead')
    found += _affinity(spec, at)
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            found.append(f'{at}.imagePullSecrets[{index}].name: invalid empty name ""')
    for key in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(key) or ()):
            found += _container(container, f"{at}.{key}[{index}]")
    return found


def _affinity(spec: JSONObject, path: str) -> list[str]:
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = [
        (f"{_REQUIRED}.nodeSelectorTerms[{index}]", term)
        for index, term in enumerate((node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ())
    ]
    terms += [
        (f"{_PREFERRED}[{index}].preference", item.get("preference") or {})
        for index, item in enumerate(node.get(_PREFERRED) or ())
    ]
    found = []
    for where, term in terms:
        for position, item in enumerate(term.get("matchExpressions") or ()):
            key = item.get("key", "")
            if key in _LABELS:
                since, instead = _LABELS[key]
                at = f"{path}.affinity.nodeAffinity.{where}.matchExpressions[{position}].key"
                found.append(f'{at}: {key} is deprecated since {since}; use "{instead}" instead')
    return found


def _container(container: JSONObject, path: str) -> list[str]:
    found = []
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name = variable.get("name", "")
        if name in seen:
            found.append(
                f'{path}.env[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
            )
        seen.add(name)
    ports: dict[tuple[str, int], int] = {}
    for index, port in enumerate(container.get("ports") or ()):
        key = (port.get("protocol", ""), port.get("containerPort", 0))
        if key in ports:
            found.append(f"{path}.ports[{index}]: duplicate port definition with {path}.ports[{ports[key]}]")
        ports.setdefault(key, index)
    for kind in ("limits", "requests"):
        for name, amount in sorted(((container.get("resources") or {}).get(kind) or {}).items()):
            if name in ("memory", "ephemeral-storage") and quantity.parse(amount).milli_value() % 1000:
                text = f'fractional byte value "{amount}" is invalid, must be an integer'
                found.append(f"{path}.resources.{kind}[{name}]: {text}")
    return found
