"""pods/resize: other resources for containers that run. Nothing else of the pod changes, whatever the body says."""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors
from kube_actors.api import field_errors as fields
from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver import bodies, creating, encoding, patching, reading, updating
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.strategies import pod_defaults, pod_validation, qos

JSONObject = dict[str, Any]
_MIRROR = "kubernetes.io/config.mirror"
_LISTS = ("containers", "initContainers")
_RESIZED = ("resources", "resizePolicy")


async def resize(call: Call) -> AnyAnswer:
    """GET, PUT and PATCH; all of them on the whole Pod."""
    verb = call.request.verb
    if verb == "get":
        return await reading.get(call)
    if verb == "update":
        bodies.check_write_options(call, "UpdateOptions")
        submitted = bodies.read(call)
        creating.check_addressed(call, submitted)
        return await _store(call, lambda old: submitted)
    if verb == "patch":
        bodies.check_write_options(call, "PatchOptions")
        apply = patching.applier(call, call.kind)
        return await _store(call, lambda old: patching.patched(call, call.kind, apply, old))
    raise errors.method_not_allowed()


async def _store(call: Call, build: updating.Build) -> AnyAnswer:
    def change(pod: JSONObject) -> None:
        built = build(encoding.decode(encoding.encode(pod)))
        version = built["metadata"].get("resourceVersion", "")
        if version not in ("", "0", pod["metadata"]["resourceVersion"]):
            raise errors.conflict("pods", call.name)
        pod_defaults.default_pod(built)
        wanted = resized(pod["spec"], built["spec"])
        problems = _added(pod["spec"], built["spec"]) or resize_problems(pod, wanted)
        if problems:
            raise errors.invalid("Pod", call.name, problems)
        if wanted != pod["spec"]:
            pod["spec"] = wanted
            pod["metadata"]["generation"] = pod["metadata"].get("generation", 0) + 1

    return call.answer(await updating.amend(call, call.kind, call.key, change))


def _added(spec: JSONObject, submitted: JSONObject) -> list[fields.FieldError]:
    """Containers come and go with their pod."""
    return [
        fields.forbidden(f"spec.{key}", f"{key} may not be added or removed on resize")
        for key in _LISTS
        if len(spec.get(key) or ()) != len(submitted.get(key) or ())
    ]


def resized(spec: JSONObject, submitted: JSONObject) -> JSONObject:
    """The spec with the resources of another one, container by container."""
    found = dict(spec)
    for key in _LISTS:
        given = {container.get("name"): container for container in submitted.get(key) or ()}
        if key in spec:
            found[key] = [_with(container, given.get(container["name"])) for container in spec[key]]
    if "resources" in submitted:
        found["resources"] = submitted["resources"]
    return found


def _with(container: JSONObject, submitted: JSONObject | None) -> JSONObject:
    if submitted is None:
        return container
    found = dict(container)
    for key in _RESIZED:
        if key in submitted:
            found[key] = submitted[key]
        else:
            found.pop(key, None)
    return found


def resize_problems(pod: JSONObject, wanted: JSONObject) -> list[fields.FieldError]:
    """As ValidatePodResize."""
    found = pod_validation.pod_problems({**pod, "spec": wanted})
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        return [*found, fields.forbidden("", "static pods cannot be resized")]
    if (pod["spec"].get("os") or {}).get("name") == "windows":
        return [*found, fields.forbidden("", "windows pods cannot be resized")]
    before = (pod.get("status") or {}).get("qosClass") or qos.class_of(pod["spec"])
    if qos.class_of(wanted) != before:
        found.append(fields.invalid("spec", before, "Pod QOS Class may not change as a result of resizing"))
    for key in _LISTS:
        for index, (new, old) in enumerate(zip(wanted.get(key) or (), pod["spec"].get(key) or (), strict=True)):
            found += _container(new, old, f"spec.{key}[{index}].resources")
    pairs = [
        (new, old) for key in _LISTS for new, old in zip(wanted.get(key) or (), pod["spec"].get(key) or (), strict=True)
    ]
    if any(_others(new) != _others(old) for new, old in pairs):
        found.append(fields.forbidden("spec", "only cpu and memory resources are mutable"))
    return found


def _others(container: JSONObject) -> JSONObject:
    """Resources other than those that can be changed while a container runs."""
    resources = container.get("resources") or {}
    return {
        key: {name: amount for name, amount in (resources.get(key) or {}).items() if name not in ("cpu", "memory")}
        for key in ("requests", "limits")
    }


def _container(new: JSONObject, old: JSONObject, path: str) -> list[fields.FieldError]:
    found = []
    after, before = new.get("resources") or {}, old.get("resources") or {}
    for key in ("requests", "limits"):
        now, then = after.get(key) or {}, before.get(key) or {}
        if any(name not in now for name in then):
            found.append(fields.forbidden(f"{path}.{key}", f"resource {key} cannot be removed"))
    return found
