"""NodeRestriction: a node changes itself and its own pods, and nothing else.

Owns what a node may write beyond what authorization can see: the content of the object.
"""

from __future__ import annotations

import re
from typing import Any

from kube_actors.api import errors
from kube_actors.apiserver import encoding
from kube_actors.apiserver.access.nodes import LEASES, name_of
from kube_actors.apiserver.admission.chain import Attempt, Step
from kube_actors.apiserver.core import Call

JSONObject = dict[str, Any]
MIRROR = "kubernetes.io/config.mirror"

_OURS = re.compile(r"(^|\.)(kubernetes|k8s)\.io/")
_RESTRICTED = re.compile(r"(^|\.)node-restriction\.kubernetes\.io/")
_OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type", "failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/region", "topology.kubernetes.io/zone",
        "beta.kubernetes.io/arch",
    }
)  # fmt: skip
_OWN_DOMAINS = re.compile(r"(^|\.)(kubelet|node)\.kubernetes\.io/")


class NodeRestriction(Step):
    """See the module."""

    name = "NodeRestriction"
    only = frozenset({("", "pods"), ("", "nodes"), ("coordination.k8s.io", "leases"), ("storage.k8s.io", "csinodes")})

    async def check(self, attempt: Attempt) -> None:
        node = name_of(attempt.call.request.user)
        if not node:
            return
        resource = attempt.call.kind.resource
        match resource.group, resource.plural:
            case "", "pods":
                _pod(attempt, node)
            case "", "nodes":
                _node(attempt, node)
            case "coordination.k8s.io", "leases":
                _lease(attempt, node)
            case "storage.k8s.io", "csinodes":
                if _name(attempt) != node:
                    raise attempt.forbidden("can only access CSINode with the same name as the requesting node")


def _name(attempt: Attempt) -> str:
    obj = attempt.obj or attempt.old or {}
    found: str = (obj.get("metadata") or {}).get("name", "") or attempt.call.name
    return found


def _pod(attempt: Attempt, node: str) -> None:
    pod = attempt.old or attempt.obj or {}
    own = (pod.get("spec") or {}).get("nodeName") == node
    match attempt.operation, attempt.subresource:
        case "CREATE", "":
            if MIRROR not in (pod["metadata"].get("annotations") or {}):
                raise attempt.forbidden(
                    f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
                )
            if not own:
                raise attempt.forbidden(f'node "{node}" can only create pods with spec.nodeName set to itself')
        case "DELETE", _:
            if not own:
                raise attempt.forbidden(f'node "{node}" can only delete pods with spec.nodeName set to itself')
        case "UPDATE", "status":
            if not own:
                raise attempt.forbidden(
                    f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
                )
            if (attempt.obj or {})["metadata"].get("labels") != pod["metadata"].get("labels"):
                raise attempt.forbidden(f'node "{node}" cannot update labels through pod status')
        case "CREATE", "eviction":
            if not own:
                raise attempt.forbidden(f'node "{node}" can only evict pods with spec.nodeName set to itself')


def _node(attempt: Attempt, node: str) -> None:
    name = _name(attempt)
    if name != node:
        raise attempt.forbidden(f'node "{node}" is not allowed to modify node "{name}"')
    new, old = attempt.obj, attempt.old
    if new is None:
        raise attempt.forbidden(f'node "{node}" cannot delete nodes')
    before = (old["metadata"].get("labels") or {}) if old is not None else {}
    after = new["metadata"].get("labels") or {}
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    forbidden = sorted(key for key in changed if _is_foreign(key))
    if forbidden:
        what = "set" if old is None else "modify"
        raise attempt.forbidden(f'node "{node}" is not allowed to {what} labels: {", ".join(forbidden)}')
    if old is None or attempt.subresource:
        return
    if (old.get("spec") or {}).get("taints") != (new.get("spec") or {}).get("taints"):
        raise attempt.forbidden(f'node "{node}" is not allowed to modify taints')


def _is_foreign(label: str) -> bool:
    """Whether a label of Kubernetes' own domains is not the node's to set."""
    if _RESTRICTED.search(label):
        return True
    return bool(_OURS.search(label)) and label not in _OWN_LABELS and not _OWN_DOMAINS.search(label)


def _lease(attempt: Attempt, node: str) -> None:
    if attempt.call.namespace != LEASES:
        raise attempt.forbidden(f'can only access leases in the "{LEASES}" system namespace')
    if _name(attempt) != node:
        raise attempt.forbidden("can only access node lease with the same name as the requesting node")


async def check_token(call: Call, reference: JSONObject | None) -> None:
    """A node asks for tokens of its own pods only; for others this is no matter."""
    node = name_of(call.request.user)
    if not node:
        return

    def refused(why: str) -> errors.ApiError:
        return errors.forbidden("serviceaccounts", call.name, why)

    if reference is None or reference.get("kind") != "Pod" or not reference.get("name"):
        raise refused("node requested token not bound to a pod")
    if not reference.get("uid"):
        raise refused("node requested token with a pod binding without a uid")
    entry = await call.core.store.get(f"/registry/core/pods/{call.namespace}/{reference['name']}")
    pod = encoding.decode(entry.value) if entry is not None else {}
    if not pod or pod["metadata"]["uid"] != reference["uid"]:
        raise refused("node requested token bound to a pod that is not there")
    if pod["spec"].get("nodeName") != node:
        raise refused("node requested token bound to a pod scheduled on a different node")
