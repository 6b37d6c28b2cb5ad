"""RuntimeClass: a pod pays its runtime's overhead and goes where that runtime is."""

from __future__ import annotations

from kube_actors.apiserver.admission.chain import PODS, Attempt, JSONObject, Step

_PREFIX = "/registry/node.k8s.io/runtimeclasses/"


class RuntimeClass(Step):
    """See the module."""

    name = "RuntimeClass"
    only = PODS

    async def complete(self, attempt: Attempt) -> None:
        pod = attempt.obj
        if attempt.operation != "CREATE" or pod is None or not attempt.concerns("", "pods"):
            return
        found = await _class_of(attempt, pod)
        if found is None:
            return
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if pod["spec"].get("overhead") not in (None, overhead):
                raise attempt.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            pod["spec"]["overhead"] = dict(overhead)
        if found.get("scheduling"):
            _place(attempt, pod["spec"], found["scheduling"])

    async def check(self, attempt: Attempt) -> None:
        pod = attempt.obj
        if attempt.operation != "CREATE" or pod is None or not attempt.concerns("", "pods"):
            return
        overhead = pod["spec"].get("overhead")
        found = await _class_of(attempt, pod)
        defined = ((found or {}).get("overhead") or {}).get("podFixed")
        if defined and overhead != defined:
            raise attempt.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        if not defined and overhead:
            why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise attempt.forbidden(why)


async def _class_of(attempt: Attempt, pod: JSONObject) -> JSONObject | None:
    name = pod["spec"].get("runtimeClassName")
    if name is None:
        return None
    found = (await attempt.call.core.mirrors.of(_PREFIX).read()).get(name)
    if found is None:
        raise attempt.forbidden(f'pod rejected: RuntimeClass "{name}" not found')
    return found


def _place(attempt: Attempt, spec: JSONObject, scheduling: JSONObject) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            raise attempt.forbidden(
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    tolerations = list(spec.get("tolerations") or ())
    tolerations += [one for one in scheduling.get("tolerations") or () if one not in tolerations]
    if tolerations:
        spec["tolerations"] = tolerations
