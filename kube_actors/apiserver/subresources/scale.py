"""scale: how many replicas, as an autoscaling/v1 Scale, for every kind that has a number of them.

Owns the translation both ways. Storing is an ordinary update of the workload.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors, selectors
from kube_actors.api import field_errors as fields
from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver import bodies, encoding, limits, patching, reading, updating
from kube_actors.apiserver.core import Call
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
        apply = patching.applier(call, scale_kind())

        def build(old: JSONObject) -> JSONObject:
            return _scaled(call, old, patching.patched(call, scale_kind(), apply, scale_of(old)))

        value = await updating.store(call, build, attempts=limits.PATCH_RETRIES)
    else:
        raise errors.method_not_allowed()
    return call.answer(encoding.encode(scale_of(encoding.decode(value))))


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


def scale_of(obj: JSONObject) -> JSONObject:
    """The Scale of a workload."""
    metadata, spec = obj["metadata"], obj["spec"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: JSONObject = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    selector = selector_text(spec.get("selector"))
    if selector:
        status["selector"] = selector
    replicas = spec.get("replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def selector_text(selector: JSONObject | None) -> str:
    """A workload's selector in text form; a ReplicationController's is a plain map."""
    if not selector:
        return ""
    structured = "matchLabels" in selector or "matchExpressions" in selector
    labels = selector.get("matchLabels") or {} if structured else selector
    found = [selectors.Requirement(key, selectors.EQUALS, (value,)) for key, value in labels.items()]
    if structured:
        for item in selector.get("matchExpressions") or ():
            operator = _OPERATORS.get(item.get("operator", ""))
            if operator is not None:
                found.append(selectors.Requirement(item["key"], operator, tuple(item.get("values") or ())))
    return ",".join(str(requirement) for requirement in sorted(found, key=lambda r: r.key))


_OPERATORS = {
    "In": selectors.IN,
    "NotIn": selectors.NOT_IN,
    "Exists": selectors.EXISTS,
    "DoesNotExist": selectors.NOT_EXISTS,
}
