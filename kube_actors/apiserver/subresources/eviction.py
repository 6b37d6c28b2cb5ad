"""pods/eviction: a deletion that asks the pod's disruption budget first.

Owns the budget's arithmetic at the moment of eviction; the disruption controller counts what comes after.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kube_actors.api import errors, selectors
from kube_actors.api.errors import Cause, Status
from kube_actors.api.messages import AnyAnswer
from kube_actors.api.types.meta_v1 import LabelSelector
from kube_actors.apiserver import bodies, delete_options, deleting, encoding, reading, updating
from kube_actors.apiserver.admission.connecting import admit_create
from kube_actors.apiserver.conditions import set_pod_condition
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.strategies.pods import FINISHED
from kube_actors.apiserver.subresources.reviews import eviction_kind

JSONObject = dict[str, Any]

RETRY_SECONDS = 10
"""What a client is told to wait while the budget's controller catches up."""

DISRUPTED_PODS = 2000
"""Evictions that one budget may have under way."""


async def evict(call: Call) -> AnyAnswer:
    """POST of a policy/v1 Eviction."""
    if call.request.verb != "create":
        raise errors.method_not_allowed()
    bodies.check_write_options(call, "CreateOptions")
    eviction = bodies.read_as(call, eviction_kind())
    given = eviction["metadata"].get("name", "")
    if given and given != call.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    await admit_create(call, eviction)
    options = delete_options.from_object(call, eviction.get("deleteOptions") or {})
    entry = await reading.find(call)
    pod = encoding.decode(entry.value)
    if not _goes_freely(pod):
        await _ask_budgets(call, pod)
    if not call.dry_run:
        await _mark(call, pod)
    await deleting.delete_object(call, options)
    return call.answer(Status(status="Success", code=201).encode(), status=201)


def _goes_freely(pod: JSONObject) -> bool:
    """Pods that no budget protects: finished, not yet running, or already going."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in (*FINISHED, "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


async def _ask_budgets(call: Call, pod: JSONObject) -> None:
    kind = call.core.kinds.get("policy", "v1", "poddisruptionbudgets")
    page = await call.core.store.list(kind.list_prefix(call.namespace))
    labels = pod["metadata"].get("labels") or {}
    matching = []
    for entry in page.entries:
        budget = encoding.decode(entry.value)
        selector = budget["spec"].get("selector")
        compiled = selectors.compile_selector(None if selector is None else msgspec.convert(selector, LabelSelector))
        if compiled.matches(labels):
            matching.append(budget)
    if len(matching) > 1:
        raise errors.server_failure(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    if not matching:
        return
    name = matching[0]["metadata"]["name"]
    now = call.core.now_text()
    ready = _is_ready(pod)

    def take(budget: JSONObject) -> None:
        if ready or not _unready_may_go(budget):
            take_one(budget, pod["metadata"]["name"], now)

    await updating.amend(call, kind, kind.key(call.namespace, name), take)


def _is_ready(pod: JSONObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _unready_may_go(budget: JSONObject) -> bool:
    """An unready pod costs nothing: always, or while the budget has as many healthy pods as it wants."""
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    return bool(status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0)


def take_one(budget: JSONObject, pod: str, now: str) -> None:
    """Count one disruption. Raises a 429 when the budget has none left."""
    status = budget.setdefault("status", {})
    name = budget["metadata"]["name"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        cause = Cause("DisruptionBudget", f"The disruption budget {name} is still being processed by the server.")
        raise _too_many("Cannot evict pod as it would violate the pod's disruption budget.", cause, RETRY_SECONDS)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise errors.forbidden("poddisruptionbudgets.policy", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or {}) > DISRUPTED_PODS:
        raise errors.forbidden(
            "poddisruptionbudgets.policy",
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        )
    if allowed == 0:
        text = (
            f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
            f"{status.get('currentHealthy', 0)} currently"
        )
        raise _too_many(
            "Cannot evict pod as it would violate the pod's disruption budget.", Cause("DisruptionBudget", text), 0
        )
    status["disruptionsAllowed"] = allowed - 1
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod: now}


def _too_many(message: str, cause: Cause, retry: int) -> errors.ApiError:
    return errors.too_many_requests(message, retry, [cause])


async def _mark(call: Call, pod: JSONObject) -> None:
    """Say in the pod's status why it goes."""
    if pod["metadata"].get("deletionTimestamp"):
        return
    now = call.core.now_text()
    uid = pod["metadata"]["uid"]

    def mark(found: JSONObject) -> None:
        if found["metadata"]["uid"] != uid:
            raise errors.not_found("pods", call.name)
        set_pod_condition(
            found.setdefault("status", {}),
            now,
            "DisruptionTarget",
            "True",
            "EvictionByEvictionAPI",
            "Eviction API: evicting",
        )

    await updating.amend(call, call.kind, call.key, mark)
