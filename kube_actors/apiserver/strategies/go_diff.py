"""What changed between two values of a kind, as Kubernetes shows it when it refuses the change.

Owns the rendering of an object as Go's own types marshal it (every field, in the types' order, unset ones as null or
zero) and the unified diff of two such texts. Reached only when something has been refused.
"""

from __future__ import annotations

import difflib
from typing import Any

import msgspec

from kube_actors.api import schema
from kube_actors.apiserver import shape, zeros
from kube_actors.apiserver.strategies.go_types import ORDER, POD_CONTEXT

JSONObject = dict[str, Any]
_CORE = "io.k8s.api.core.v1."
_CONTEXT_LINES = 3
_ZEROS: dict[str, Any] = {"string": "", "int32": 0, "int64": 0, "bool": False, "double": 0, "intorstring": 0}

_POINTERS = frozenset(
    {
        ("Container", "restartPolicy"),
        ("PodSecurityContext", "fsGroupChangePolicy"),
        ("PodSecurityContext", "seLinuxChangePolicy"),
        ("PodSecurityContext", "supplementalGroupsPolicy"),
        ("PodSpec", "preemptionPolicy"),
        ("TopologySpreadConstraint", "nodeAffinityPolicy"),
        ("TopologySpreadConstraint", "nodeTaintsPolicy"),
        ("VolumeMount", "mountPropagation"),
        ("VolumeMount", "recursiveReadOnly"),
    }
)
"""Texts whose absence is not the same as their being empty, though the schema does not say so."""


def difference(name: str, old: JSONObject, new: JSONObject) -> str:
    """The diff of two values of a core type, each line ended."""
    before, after = _lines(name, old), _lines(name, new)
    return "".join(list(difflib.unified_diff(before, after, n=_CONTEXT_LINES))[2:])


def _lines(name: str, value: JSONObject) -> list[str]:
    text = msgspec.json.format(msgspec.json.encode(internal(name, value)), indent=1).decode()
    return text.splitlines(keepends=True)[:-1] + [text.splitlines()[-1] + "\n"]


def internal(name: str, value: JSONObject) -> Any:
    """A value of a core type as Go's internal type writes it."""
    if name == "PersistentVolumeSource":
        return _struct(_CORE + "PersistentVolumeSpec", ORDER[name], value)
    if name == "PodSpec":
        return _pod_spec(value)
    return _struct(_CORE + name, ORDER[name], value)


def _pod_spec(spec: JSONObject) -> JSONObject:
    """A pod's spec; what concerns the host's namespaces stands in the security context there."""
    moved = {name: spec.get(name[0].lower() + name[1:]) for name in POD_CONTEXT}
    for name in ("HostNetwork", "HostPID", "HostIPC"):
        moved[name] = bool(moved[name])
    found = _struct(_CORE + "PodSpec", ORDER["PodSpec"], spec)
    context = spec.get("securityContext")
    if context is not None or any(moved.values()):
        rest = _struct(_CORE + "PodSecurityContext", ORDER["PodSecurityContext"], context or {})
        found["SecurityContext"] = {key: moved[key] if key in moved else rest[key] for key in rest}
    return found


def _struct(name: str, order: tuple[str, ...], value: JSONObject) -> JSONObject:
    definition = schema.definition(name).fields
    by_lower = {key.lower(): key for key in definition}
    found: JSONObject = {}
    for go_name in order:
        key = by_lower.get(go_name.lower())
        if key is None:
            found[go_name] = None
            continue
        field = definition[key]
        found[go_name] = _value(name, field, value[key]) if value.get(key) is not None else _unset(name, field)
    return found


def _unset(name: str, field: schema.Field) -> Any:
    kind = field.type
    short = name.rsplit(".", 1)[-1]
    if kind.kind == "ref":
        plain = field.required or (short, field.name) in zeros.EMPTY_STRUCTS
        return _of(kind, {}) if plain else None
    if (short, field.name) in _POINTERS:
        return None
    if kind.kind == "intorstring":
        return 0
    return _ZEROS.get(kind.kind) if field.required or not shape.keeps_zero(name, field) else None


def _value(name: str, field: schema.Field, value: Any) -> Any:
    return _of(field.type, value)


def _of(kind: schema.Type, value: Any) -> Any:
    if kind.kind == "ref" and isinstance(value, dict):
        short = kind.ref.rsplit(".", 1)[-1]
        return _struct(kind.ref, ORDER[short], value) if short in ORDER else value
    if kind.kind == "list" and kind.element is not None and isinstance(value, list):
        return [_of(kind.element, item) for item in value]
    if kind.kind == "map" and kind.element is not None and isinstance(value, dict):
        return {key: _of(kind.element, item) for key, item in sorted(value.items())}
    return value
