"""Pod: its defaults, what a status starts with, how it is deleted, what may be selected."""

from __future__ import annotations

from collections.abc import Callable

from kube_actors.apiserver.strategies import pod_defaults, pod_updates, pod_validation, pod_warnings, qos
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy

FINISHED = ("Succeeded", "Failed")


def _spec(name: str, default: str = "") -> Callable[[JSONObject], str]:
    return lambda pod: str(pod["spec"].get(name) or default)


def _status(name: str) -> Callable[[JSONObject], str]:
    return lambda pod: str((pod.get("status") or {}).get(name) or "")


class PodStrategy(Strategy):
    """See the module."""

    generation = True
    returns_deleted = True
    molded = True
    field_complaint = "field label not supported: {field}"
    selectable: Selectable = {
        "spec.nodeName": _spec("nodeName"),
        "spec.host": _spec("nodeName"),  # what the first clients called it
        "spec.restartPolicy": _spec("restartPolicy"),
        "spec.schedulerName": _spec("schedulerName"),
        "spec.serviceAccountName": _spec("serviceAccountName"),
        "spec.hostNetwork": lambda pod: "true" if pod["spec"].get("hostNetwork") else "false",
        "status.phase": _status("phase"),
        "status.podIP": _status("podIP"),
        "status.podIPs": lambda pod: ",".join(ip.get("ip", "") for ip in (pod.get("status") or {}).get("podIPs", ())),
        "status.nominatedNodeName": _status("nominatedNodeName"),
    }

    def default(self, obj: JSONObject) -> None:
        pod_defaults.default_pod(obj)
        grace = obj["spec"].get("terminationGracePeriodSeconds")
        if isinstance(grace, int) and grace < 0:
            obj["spec"]["terminationGracePeriodSeconds"] = 1

    def default_status(self, obj: JSONObject) -> None:
        pod_defaults.default_status(obj)

    def prepare_create(self, obj: JSONObject) -> None:
        pod_defaults.settle_apparmor(obj)
        obj["status"] = {"phase": "Pending", "qosClass": qos.class_of(obj["spec"])}
        if obj["spec"].get("schedulingGates"):
            obj["status"]["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "lastProbeTime": None,
                    "lastTransitionTime": obj["metadata"]["creationTimestamp"],
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                }
            ]

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        if "ephemeralContainers" in old["spec"]:
            new["spec"]["ephemeralContainers"] = old["spec"]["ephemeralContainers"]
        else:
            new["spec"].pop("ephemeralContainers", None)

    def prepare_status(self, new: JSONObject, old: JSONObject) -> None:
        status = new.setdefault("status", {})
        status.setdefault("qosClass", (old.get("status") or {}).get("qosClass") or qos.class_of(old["spec"]))

    def validate_create(self, obj: JSONObject) -> Problems:
        return pod_validation.pod_problems(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return pod_updates.update_problems(new, old)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        return pod_warnings.pod_warnings(obj) if old is None else pod_warnings.template_warnings(obj, "")

    def grace_seconds(self, obj: JSONObject, asked: int | None) -> int | None:
        """As podStrategy.CheckGracefulDelete: a pod on no node, or finished, goes at once."""
        spec = obj["spec"]
        if asked is not None:
            period = asked
        elif obj["metadata"].get("deletionTimestamp"):
            period = int(obj["metadata"].get("deletionGracePeriodSeconds") or 0)
        else:
            period = int(spec.get("terminationGracePeriodSeconds") or 0)
        if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in FINISHED:
            period = 0
        return 1 if period < 0 else period
