"""Carries plans out on a dict of objects, as the runner does on a server: for properties of plans without a cluster."""

from __future__ import annotations

import itertools
from typing import Any

from msgspec import structs

from kube_actors.api import codec, errors
from kube_actors.api.errors import ApiError
from kube_actors.api.time import format_time
from kube_actors.controllers.contract import (
    Batch,
    Chain,
    Create,
    Delete,
    Emit,
    Fail,
    Outcome,
    Patch,
    Plan,
    Read,
    Update,
)


class Objects:
    """Objects by kind and key. A deleted pod stays as terminating until `forget`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.objects: dict[tuple[type[Any], str], Any] = {}
        self.told: list[str] = []
        self.writes = 0
        self._numbers = itertools.count(1)

    def put(self, obj: Any) -> Any:
        metadata = obj.metadata
        name = metadata.name or f"{metadata.generate_name}{next(self._numbers)}"
        made = structs.replace(
            metadata,
            name=name,
            uid=metadata.uid or f"uid-{next(self._numbers)}",
            creation_timestamp=metadata.creation_timestamp or format_time(self.now),
        )
        obj = structs.replace(obj, metadata=made)
        self.objects[type(obj), f"{made.namespace}/{name}" if made.namespace else name] = obj
        return obj

    def of(self, kind: type[Any]) -> list[Any]:
        return [obj for (found, _), obj in self.objects.items() if found is kind]

    def forget(self, obj: Any) -> None:
        del self.objects[type(obj), f"{obj.metadata.namespace}/{obj.metadata.name}"]

    def carry_out(self, plan: Plan) -> ApiError | None:
        """Perform a plan to its end; the refusal that ended it, if nothing handled it."""
        results: list[Any] = []
        error: ApiError | None = None
        for action in plan.actions:
            try:
                results.append(self._perform(action))
            except ApiError as refusal:
                error = refusal
                break
        if plan.then is not None:
            rest = plan.then(Outcome(results=tuple(results), error=error))
            later = self.carry_out(rest)
            error = later or (None if rest.handled else error)
        return error

    def _perform(self, action: Any) -> Any:
        match action:
            case Emit():
                self.told.append(action.message)
                return None
            case Fail():
                raise errors.server_failure(action.message)
            case Batch() | Chain():
                return [self._perform(one) for one in action.actions]
        self.writes += 1
        if isinstance(action, Create):
            metadata = action.obj.metadata
            if (type(action.obj), f"{metadata.namespace}/{metadata.name}") in self.objects:
                if "AlreadyExists" in action.tolerate:
                    return None
                raise errors.already_exists("things", metadata.name)
            return self.put(action.obj)
        if isinstance(action, Update):
            return self.put(action.obj)
        key = (action.kind, action.key)
        if isinstance(action, Read):
            return self.objects[key]
        if isinstance(action, Patch):
            return self._patch(key, action)
        assert isinstance(action, Delete), action
        if key in self.objects and self.objects[key].metadata.uid == action.uid:
            obj = self.objects[key]
            if action.kind.__name__ == "Pod":
                gone = structs.replace(obj.metadata, deletion_timestamp=format_time(self.now))
                self.objects[key] = structs.replace(obj, metadata=gone)
            else:
                del self.objects[key]
        return action.key

    def _patch(self, key: tuple[type[Any], str], action: Patch) -> Any:
        merged = _merge(codec.to_dict(self.objects[key]), action.body)
        self.objects[key] = codec.convert(merged, action.kind)
        return self.objects[key]


def _merge(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name) or {}, value) if isinstance(value, dict) else value
    return merged
