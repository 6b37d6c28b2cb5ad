"""Ownership through the scale sub-resource: its one field is a field of the workload.

Owns the translation of managers both ways, as Kubernetes' ScaleHandler has it: a Scale shows those who own the number
of replicas, and what a write of the Scale makes of them is brought back to the workload's entries.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import fieldsets, merge_types, ownership
from kube_actors.api.merge_types import MergeType
from kube_actors.api.ownership import Manager, Managers, Owned

JSONObject = dict[str, Any]

VERSION = "autoscaling/v1"
SUBRESOURCE = "scale"
PATH = ("f:spec", "f:replicas")
_FIELDS = fieldsets.of_paths([PATH])
_DEFINITION = "io.k8s.api.autoscaling.v1.Scale"


class ScaleVersions:
    """A Scale has one version."""

    def typed(self, obj: JSONObject, version: str) -> tuple[MergeType, JSONObject] | None:
        return merge_types.of_definition(_DEFINITION), obj

    def back(self, obj: JSONObject, version: str) -> JSONObject:
        return obj


def _in_scale(manager: Manager) -> Manager:
    return manager._replace(version=VERSION) if manager.operation == ownership.UPDATE else manager


def to_scale(managers: Managers, path: tuple[str, ...] = PATH) -> Managers:
    """Those who own the replicas, as managers of the Scale."""
    return {
        _in_scale(manager): Owned(_FIELDS, VERSION, owned.time)
        for manager, owned in managers.items()
        if fieldsets.contains(owned.fields, path)
    }


def to_parent(managers: Managers, scale: Managers, version: str, path: tuple[str, ...] = PATH) -> Managers:
    """The workload's managers after a write of its Scale left these; who is new has no time, as Kubernetes has it."""
    mine = fieldsets.of_paths([path])
    out: Managers = {}
    rest = {manager for manager, owned in scale.items() if fieldsets.contains(owned.fields, PATH)}
    for manager, owned in managers.items():
        if not fieldsets.contains(owned.fields, path):
            out[manager] = owned
        elif _in_scale(manager) in rest:
            out[manager] = owned
            rest.discard(_in_scale(manager))
        else:
            fields = fieldsets.difference(owned.fields, mine)
            if fields:
                out[manager] = Owned(fields, owned.version, owned.time)
    for manager in rest:
        there = manager._replace(version=version) if manager.operation == ownership.UPDATE else manager
        out[there] = Owned(mine, version, None)
    return out


def shown(obj: JSONObject, path: tuple[str, ...]) -> JSONObject:
    """As much of a workload's Scale as a manager may own."""
    value: Any = obj
    for element in path:
        value = value.get(element[2:]) if isinstance(value, dict) else None
    return {"spec": {"replicas": value} if value else {}}


def written(
    managers: Managers,
    manager: Manager,
    old: JSONObject,
    new: JSONObject,
    version: str,
    now: str,
    path: tuple[str, ...] = PATH,
) -> Managers:
    """The workload's managers after an ordinary write of its Scale from old to new."""
    known = to_scale(managers, path)
    if not known:
        return managers
    after = ownership.updated(ScaleVersions(), VERSION, old, new, known, manager, now=now)
    return to_parent(managers, after, version, path)
