"""pods/binding and bindings: the scheduler's word that a pod belongs to a node.

Owns the checks that a binding needs. It is stored past the pod's update rules, since nobody else may set nodeName.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors
from kube_actors.api import field_errors as fields
from kube_actors.api.errors import Status
from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver import bodies, updating
from kube_actors.apiserver.admission.connecting import admit_create
from kube_actors.apiserver.conditions import set_pod_condition
from kube_actors.apiserver.core import Call

JSONObject = dict[str, Any]


async def bind(call: Call) -> AnyAnswer:
    """POST of a Binding, on the pod or on the collection of bindings."""
    if call.request.verb != "create":
        raise errors.method_not_allowed()
    bodies.check_write_options(call, "CreateOptions")
    core = call.core
    binding = bodies.read_as(call, core.kinds.get("", "v1", "bindings"))
    name = call.name or binding["metadata"].get("name", "")
    given = binding["metadata"].get("name", "")
    if given and given != name:
        raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if call.request.subresource:
        await admit_create(call, binding)
    node = _target(name, binding)
    pods = core.kinds.get("", "v1", "pods")
    now = core.now_text()
    await updating.amend(call, pods, pods.key(call.namespace, name), lambda pod: assign(pod, binding, node, now))
    return call.answer(Status(status="Success", code=201).encode(), status=201)


def _target(name: str, binding: JSONObject) -> str:
    target = binding.get("target") or {}
    problems = []
    if target.get("kind") not in (None, "", "Node"):
        problems.append(fields.not_supported("target.kind", target["kind"], ["Node", "<empty>"]))
    if not target.get("name"):
        problems.append(fields.required("target.name"))
    if problems:
        raise errors.invalid("Binding", name, problems)
    found: str = target["name"]
    return found


def assign(pod: JSONObject, binding: JSONObject, node: str, now: str) -> None:
    """Put the pod on the node. Raises a 409 when it cannot be."""
    metadata, spec = pod["metadata"], pod["spec"]
    name = metadata["name"]
    uid = binding["metadata"].get("uid")
    if uid and uid != metadata["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise errors.conflict("pods", name, why)
    if metadata.get("deletionTimestamp"):
        raise errors.conflict("pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        why = f'pod {name} is already assigned to node "{spec["nodeName"]}"'
        raise errors.conflict("pods/binding", name, why)
    if spec.get("schedulingGates"):
        raise errors.conflict("pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = node
    for key in ("annotations", "labels"):
        extra = binding["metadata"].get(key)
        if extra:
            metadata[key] = {**(metadata.get(key) or {}), **extra}
    set_pod_condition(pod.setdefault("status", {}), now, "PodScheduled", "True")
