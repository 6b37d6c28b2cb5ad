"""pods/ephemeralcontainers: containers added to a pod that runs, for debugging. They can be added, never changed."""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors
from kube_actors.api import field_errors as fields
from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver import applying, bodies, creating, encoding, limits, managing, patching, reading, updating
from kube_actors.apiserver.admission.chain import Attempt
from kube_actors.apiserver.admission.connecting import admit
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.strategies import pod_defaults

JSONObject = dict[str, Any]
_LIST = "ephemeralContainers"


async def ephemeral_containers(call: Call) -> AnyAnswer:
    """GET, PUT and PATCH; all of them on the whole Pod."""
    verb = call.request.verb
    if verb == "get":
        return await reading.get(call)
    if verb == "update":
        bodies.check_write_options(call, "UpdateOptions")
        submitted = bodies.read(call)
        creating.check_addressed(call, submitted)
        return await _store(call, lambda old: submitted, attempts=limits.UPDATE_RETRIES)
    if verb == "patch":
        bodies.check_write_options(call, "PatchOptions")
        if managing.is_apply(call):
            config = applying.read(call)
            return await _store(call, lambda old: applying.onto(call, config, old), attempts=limits.PATCH_RETRIES)
        apply = patching.applier(call, call.kind)
        return await _store(
            call, lambda old: patching.patched(call, call.kind, apply, old), attempts=limits.PATCH_RETRIES
        )
    raise errors.method_not_allowed()


async def _store(call: Call, build: updating.Build, *, attempts: int) -> AnyAnswer:
    def change(pod: JSONObject) -> None:
        built = build(encoding.decode(encoding.encode(pod)))
        version = built["metadata"].get("resourceVersion", "")
        if version not in ("", "0", pod["metadata"]["resourceVersion"]):
            raise errors.conflict("pods", call.name)
        wanted = built["spec"].get(_LIST) or []
        before = pod["spec"].get(_LIST) or []
        for container in wanted:
            pod_defaults.default_container(container)
        problems = changes_refused(wanted, before)
        if problems:
            raise errors.invalid("Pod", call.name, problems)
        if managing.is_apply(call):
            pod["metadata"][managing.KEY] = built["metadata"].get(managing.KEY, [])
        if wanted != before:
            old = {**pod, "metadata": dict(pod["metadata"]), "spec": dict(pod["spec"])}
            pod["spec"][_LIST] = wanted
            if not managing.is_apply(call):
                managing.changed(call, pod, old)
            pod["metadata"]["generation"] = pod["metadata"].get("generation", 0) + 1

    entry = await reading.find(call)
    old, new = encoding.decode(entry.value), encoding.decode(entry.value)
    change(new)
    asked = encoding.encode(new["spec"].get(_LIST))
    await admit(Attempt(call, "UPDATE", new, old, "ephemeralcontainers"))
    admitted = new["spec"].get(_LIST) or []

    def change_as_admitted(pod: JSONObject) -> None:
        change(pod)
        if encoding.encode(pod["spec"].get(_LIST)) == asked and admitted:
            pod["spec"][_LIST] = admitted

    return call.answer(await updating.amend(call, call.kind, call.key, change_as_admitted))


def changes_refused(wanted: list[JSONObject], before: list[JSONObject]) -> list[fields.FieldError]:
    """What is there stays as it is."""
    found = []
    by_name = {container.get("name"): container for container in wanted}
    for container in before:
        name = container["name"]
        if name not in by_name:
            why = f'existing ephemeral containers "{name}" may not be removed\n'
            found.append(fields.forbidden(f"spec.{_LIST}", why))
        elif by_name[name] != container:
            why = f'existing ephemeral containers "{name}" may not be changed\n'
            found.append(fields.forbidden(f"spec.{_LIST}", why))
    return found
