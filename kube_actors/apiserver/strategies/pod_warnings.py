"""Texts for Warning headers about a pod spec that is valid but surprising. Pure."""

from __future__ import annotations

from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies import volume_warnings
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
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_INIT = "pod.alpha.kubernetes.io/init-containers"
_BETA_INIT = "pod.beta.kubernetes.io/init-containers"
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
    spec = template.get("spec") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    at = f"{path}spec"
    found = []
    for key in sorted(spec.get("nodeSelector") or ()):
        if key in _LABELS:
            since, instead = _LABELS[key]
            found.append(f'{at}.nodeSelector[{key}]: deprecated since {since}; use "{instead}" instead')
    if spec.get("affinity"):
        found += _affinity(spec, at)
    found += _spread(spec, at)
    if annotations:
        found += _annotations(annotations, spec, path)
    if spec.get("volumes"):
        found += volume_warnings.plugins(spec["volumes"], f"{at}.volumes")
        found += volume_warnings.overlaps(spec["volumes"])
    found += _repeated(spec, at)
    found += _fractional(spec.get("overhead"), f"{at}.overhead")
    for key in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(key) or ()):
            found += _container(container, f"{at}.{key}[{index}]")
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        found.append(
            f"{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    if spec.get("affinity"):
        found += _empty_selectors(spec["affinity"], f"{at}.affinity")
    return found


def _annotations(annotations: JSONObject, spec: JSONObject, path: str) -> list[str]:
    found = []
    confined = (spec.get("securityContext") or {}).get("appArmorProfile") is not None
    for key in sorted(annotations):
        at = f"{path}metadata.annotations[{key}]"
        if key.startswith(_APPARMOR):
            if not confined:
                found.append(f'{at}: deprecated since v1.30; use the "appArmorProfile" field instead')
        elif key in (_CRITICAL, _SECCOMP, _INIT, _BETA_INIT) or key.startswith(_SECCOMP_CONTAINER):
            instead, since = ("seccompProfile", "v1.27+") if "seccomp" in key else ("initContainers", "v1.8+")
            if key == _CRITICAL:
                instead, since = "priorityClassName", "v1.16+"
            found.append(f'{at}: non-functional in {since}; use the "{instead}" field instead')
    return found


def _spread(spec: JSONObject, path: str) -> list[str]:
    found = []
    for index, item in enumerate(spec.get("topologySpreadConstraints") or ()):
        at, key = f"{path}.topologySpreadConstraints[{index}]", item.get("topologyKey", "")
        if key in _LABELS:
            since, instead = _LABELS[key]
            found.append(f'{at}.topologyKey: {key} is deprecated since {since}; use "{instead}" instead')
        if item.get("labelSelector") is None:
            found.append(f"{at}.labelSelector: a null labelSelector results in matching no pod")
    return found


def _empty_selectors(affinity: JSONObject, path: str) -> list[str]:
    """Terms of pod affinity without a selector, which find no pod."""
    found = []
    for key in ("podAffinity", "podAntiAffinity"):
        given = affinity.get(key) or {}
        terms = [(f"{_REQUIRED}[{i}]", term) for i, term in enumerate(given.get(_REQUIRED) or ())]
        terms += [
            (f"{_PREFERRED}[{i}].podAffinityTerm", item.get("podAffinityTerm") or {})
            for i, item in enumerate(given.get(_PREFERRED) or ())
        ]
        for where, term in terms:
            if term.get("labelSelector") is None:
                found.append(f"{path}.{key}.{where}.labelSelector: a null labelSelector results in matching no pod")
    return found


def _repeated(spec: JSONObject, path: str) -> list[str]:
    """Host aliases and pull secrets that are named twice, or not at all."""
    found = []
    seen: set[str] = set()
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        if alias.get("ip", "") in seen:
            found.append(f'{path}.hostAliases[{index}].ip: duplicate ip "{alias.get("ip", "")}"')
        seen.add(alias.get("ip", ""))
    seen = set()
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        name = secret.get("name", "")
        if not name:
            found.append(f'{path}.imagePullSecrets[{index}].name: invalid empty name ""')
        elif name in seen:
            found.append(f'{path}.imagePullSecrets[{index}].name: duplicate name "{name}"')
        seen.add(name)
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
        found += _fractional((container.get("resources") or {}).get(kind), f"{path}.resources.{kind}")
    return found


def _fractional(amounts: JSONObject | None, path: str) -> list[str]:
    found = []
    for name in ("memory", "ephemeral-storage"):
        amount = (amounts or {}).get(name)
        if amount is not None and amount.endswith("m") and quantity.parse(amount).milli_value() % 1000:
            found.append(f'{path}[{name}]: fractional byte value "{amount}" is invalid, must be an integer')
    return found
