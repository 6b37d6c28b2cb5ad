"""Priority: from a pod's priority class to the number that the scheduler compares."""

from __future__ import annotations

from kube_actors.apiserver.admission.chain import PODS, Attempt, JSONObject, Step

_CLASSES = "/registry/scheduling.k8s.io/priorityclasses/"
_PREEMPT = "PreemptLowerPriority"


class Priority(Step):
    """See the module."""

    name = "Priority"
    only = PODS | {("scheduling.k8s.io", "priorityclasses")}

    async def complete(self, attempt: Attempt) -> None:
        if not attempt.concerns("", "pods") or attempt.obj is None:
            return
        spec = attempt.obj["spec"]
        if attempt.operation == "UPDATE" and attempt.old is not None:
            for key in ("priority", "preemptionPolicy"):
                if spec.get(key) is None and attempt.old["spec"].get(key) is not None:
                    spec[key] = attempt.old["spec"][key]
        elif attempt.operation == "CREATE":
            await self._resolve(attempt, spec)

    async def check(self, attempt: Attempt) -> None:
        """There is one default at most."""
        new = attempt.obj
        if new is None or not attempt.concerns("scheduling.k8s.io", "priorityclasses") or not new.get("globalDefault"):
            return
        if attempt.old is not None and attempt.old.get("globalDefault"):
            return
        for name, known in (await attempt.call.core.mirrors.of(_CLASSES).read()).items():
            if known.get("globalDefault") and name != new["metadata"].get("name"):
                raise attempt.forbidden(
                    f"PriorityClass {name} is already marked as default. Only one default can exist"
                )

    async def _resolve(self, attempt: Attempt, spec: JSONObject) -> None:
        name = spec.get("priorityClassName", "")
        classes = await attempt.call.core.mirrors.of(_CLASSES).read()
        if name:
            found = classes.get(name)
            if found is None:
                raise attempt.forbidden(f"no PriorityClass with name {name} was found")
        else:
            defaults = [c for c in classes.values() if c.get("globalDefault")]
            found = min(defaults, key=lambda c: int(c.get("value", 0))) if defaults else None
            if found is not None:
                spec["priorityClassName"] = found["metadata"]["name"]
        value = int(found.get("value", 0)) if found is not None else 0
        policy = (found.get("preemptionPolicy") if found is not None else None) or _PREEMPT
        self._settle(attempt, spec, value, policy)

    def _settle(self, attempt: Attempt, spec: JSONObject, value: int, policy: str) -> None:
        given = spec.get("priority")
        if given is not None and given != value:
            raise attempt.forbidden(
                f"the integer value of priority ({given}) must not be provided in pod spec; priority admission "
                f"controller computed {value} from the given PriorityClass name",
            )
        wanted = spec.get("preemptionPolicy")
        if wanted is not None and wanted != policy:
            raise attempt.forbidden(
                f"the string value of PreemptionPolicy ({wanted}) must not be provided in pod spec; priority admission "
                f"controller computed {policy} from the given PriorityClass name",
            )
        spec["priority"] = value
        spec["preemptionPolicy"] = policy
