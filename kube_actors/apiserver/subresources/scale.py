"""scale: how many replicas, as an autoscaling/v1 Scale, for every kind that has a number of them.

Owns the translation both ways. Storing is an ordinary update of the workload.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors, ownership
from kube_actors.api import field_errors as fields
from kube_actors.api.codec import copy_plain
from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver import (
    applying,
    bodies,
    encoding,
    limits,
    managing,
    patching,
    reading,
    scale_owners,
    updating,
)
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.scales import scale_of
from kube_actors.apiserver.subresources.reviews import scale_kind

JSONObject = dict[str, Any]


async def scale(call: Call) -> AnyAnswer:
    """GET, PUT and PATCH of a scale."""
    verb = call.request.verb
    if verb == "get":
        entry = await reading.find(call)
        return call.answer(encoding.encode(scale_of(encoding.decode(entry.value))))
    if verb == "update":
        bodies.check_write_options(call, "UpdateOptions")
        submitted = bodies.read_as(call, scale_kind())
        _check_name(call, submitted)
        version = submitted["metadata"].get("resourceVersion", "")
        attempts = limits.UPDATE_RETRIES if version in ("", "0") else 1
        value = await updating.store(call, lambda old: _scaled(call, old, submitted), attempts=attempts)
    elif verb == "patch":
        bodies.check_write_options(call, "PatchOptions")
        build = _applied(call) if managing.is_apply(call) else _patched(call)

        value = await updating.store(call, build, attempts=limits.PATCH_RETRIES)
    else:
        raise errors.method_not_allowed()
    return call.answer(encoding.encode(scale_of(encoding.decode(value))))


def _patched(call: Call) -> updating.Build:
    apply = patching.applier(call, scale_kind())
    return lambda old: _scaled(call, old, patching.patched(call, scale_kind(), apply, scale_of(old)))


def _applied(call: Call) -> updating.Build:
    config = applying.read(call)

    def build(old: JSONObject) -> JSONObject:
        kind, path = scale_kind(), managing.replicas_path(call.kind)
        live = scale_of(old)
        managers = ownership.decode(old["metadata"].get(managing.KEY), trusted=True)
        known = scale_owners.to_scale(managers, path)
        merged, left = applying.merged(call, kind, config, live, known, scale_owners.ScaleVersions())
        new = _scaled(call, old, patching.settled(call, kind, copy_plain(merged)))
        version = call.kind.resource.api_version
        managing.put(new["metadata"], scale_owners.to_parent(managers, left, version, path))
        return new

    return build


def _check_name(call: Call, submitted: JSONObject) -> None:
    name = submitted["metadata"].get("name", "")
    if name and name != call.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.name})")
    namespace = submitted["metadata"].get("namespace", "")
    if namespace and namespace != call.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def _scaled(call: Call, old: JSONObject, submitted: JSONObject) -> JSONObject:
    """The workload with the submitted number of replicas."""
    replicas = submitted.get("spec", {}).get("replicas", 0)
    if replicas < 0:
        problem = fields.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid(scale_kind().resource, call.name, [problem])
    metadata = submitted["metadata"]
    new = {**old, "metadata": dict(old["metadata"]), "spec": {**old["spec"], "replicas": replicas}}
    new["metadata"]["resourceVersion"] = metadata.get("resourceVersion", "")
    if metadata.get("uid"):
        new["metadata"]["uid"] = metadata["uid"]
    return new
