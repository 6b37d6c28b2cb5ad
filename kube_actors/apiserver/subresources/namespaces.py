"""namespaces/finalize: the namespace controller takes its finalizer away once the namespace is empty."""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors
from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver import bodies, creating, revisions, updating
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.strategies import object_validation

JSONObject = dict[str, Any]


async def finalize(call: Call) -> AnyAnswer:
    """PUT of a Namespace of which only spec.finalizers counts; the last one gone ends the namespace."""
    if call.request.verb != "update":
        raise errors.method_not_allowed()
    bodies.check_write_options(call, "UpdateOptions")
    submitted = bodies.read(call)
    creating.check_addressed(call, submitted)
    finalizers = submitted["spec"].get("finalizers")
    problems = object_validation.namespace_finalizers(finalizers or [])
    if problems:
        raise errors.invalid("Namespace", call.name, problems)
    version = submitted["metadata"].get("resourceVersion", "")

    def change(namespace: JSONObject) -> None:
        if version not in ("", "0") and revisions.parse(version) != int(namespace["metadata"]["resourceVersion"]):
            raise errors.conflict("namespaces", call.name)
        if finalizers:
            namespace["spec"]["finalizers"] = finalizers
        else:
            namespace["spec"].pop("finalizers", None)

    return call.answer(await updating.amend(call, call.kind, call.key, change))
