"""The node authorizer: a node reads what its pods need, and of the rest what the role system:node frames.

Owns who is a node and which object is related to it. What a pod refers to is read once a revision of the pod.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kube_actors.api.messages import UserInfo
from kube_actors.apiserver import encoding, limits
from kube_actors.apiserver.access import policy
from kube_actors.apiserver.access.attributes import NO_OPINION, Attributes, Decision
from kube_actors.apiserver.access.rules import Rule
from kube_actors.store.contract import Entry, Store

JSONObject = dict[str, Any]
Reference = tuple[str, str]
"""Plural and name, in the pod's own namespace."""

NODES, PREFIX = "system:nodes", "system:node:"
LEASES = "kube-node-lease"
_READ = frozenset({"get", "list", "watch"})
_OWN_VERBS = frozenset({"create", "get", "update", "patch", "delete"})
_CLAIM_VERBS = frozenset({"get", "update", "patch"})


def name_of(user: UserInfo) -> str:
    """The node that a user is; "" when he is none."""
    if NODES not in user.groups or not user.name.startswith(PREFIX):
        return ""
    return user.name.removeprefix(PREFIX)


def references(pod: JSONObject) -> frozenset[Reference]:
    """What a pod needs of its namespace."""
    spec = pod.get("spec") or {}
    found = set(_named(spec))
    found.add(("serviceaccounts", spec.get("serviceAccountName") or "default"))
    found.update(("secrets", each.get("name", "")) for each in spec.get("imagePullSecrets") or ())
    for volume in spec.get("volumes") or ():
        if volume.get("ephemeral") is not None:
            found.add(("persistentvolumeclaims", f"{pod['metadata']['name']}-{volume.get('name', '')}"))
    for claim in spec.get("resourceClaims") or ():
        found.add(("resourceclaims", claim.get("resourceClaimName") or ""))
    for status in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        found.add(("resourceclaims", status.get("resourceClaimName") or ""))
    return frozenset(found)


_KEYS = {
    "secretRef": ("secrets", "name"), "secretKeyRef": ("secrets", "name"), "secret": ("secrets", "name"),
    "nodePublishSecretRef": ("secrets", "name"), "configMap": ("configmaps", "name"),
    "configMapRef": ("configmaps", "name"), "configMapKeyRef": ("configmaps", "name"),
    "persistentVolumeClaim": ("persistentvolumeclaims", "claimName"),
}  # fmt: skip


def _named(value: Any) -> Iterator[Reference]:
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            known = _KEYS.get(key)
            if known is not None and isinstance(inner, dict):
                name = inner.get(known[1]) or inner.get("secretName")
                if name:
                    yield known[0], name
            if isinstance(inner, dict | list):
                yield from _named(inner)


class NodeJudge:
    """The node authorizer over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules: list[Rule] = []
        self._read: dict[str, tuple[int, str, frozenset[Reference]]] = {}
        self._found: dict[tuple[str, str, Reference], str] = {}

    async def decide(self, asked: Attributes) -> Decision:
        """See the module."""
        if NODES not in asked.user.groups:
            return NO_OPINION
        node = name_of(asked.user)
        if not node:
            return Decision(False, f'unknown node for user "{asked.user.name}"')
        if asked.path:
            return NO_OPINION
        special = await self._special(asked, node)
        return special if special is not None else self._by_rules(asked)

    async def _special(self, asked: Attributes, node: str) -> Decision | None:
        """The resources that a node may only have in part; None for the rest."""
        match asked.group, asked.resource:
            case "", ("secrets" | "configmaps"):
                return await self._related(asked, node, _READ)
            case "", "persistentvolumeclaims":
                return await self._related(asked, node, _CLAIM_VERBS if asked.subresource == "status" else {"get"})
            case "", "persistentvolumes":
                return await self._volume(asked, node)
            case "", "serviceaccounts":
                if asked.subresource != "token" or asked.verb != "create":
                    return Decision(False, f"can only create tokens for individual service accounts, by node '{node}'")
                return await self._related(asked, node, {"create"})
            case "", "pods":
                return await self._pods(asked, node)
            case "", "nodes":
                return _nodes(asked, node)
            case "resource.k8s.io", "resourceclaims":
                return await self._related(asked, node, {"get"})
            case "coordination.k8s.io", "leases":
                return self._own(asked, node, LEASES)
            case "storage.k8s.io", "csinodes":
                return self._own(asked, node, "")
            case _:
                return None

    async def _related(self, asked: Attributes, node: str, verbs: frozenset[str] | set[str]) -> Decision:
        if asked.verb not in verbs:
            return Decision(False, f"can only {'/'.join(sorted(verbs))} resources of this type")
        if not asked.name:
            return Decision(False, "can only read namespaced object of this type")
        if await self._refers(asked.namespace, node, (asked.resource, asked.name)):
            return Decision(True)
        return Decision(False, f"no relationship found between node '{node}' and this object")

    async def _volume(self, asked: Attributes, node: str) -> Decision:
        if asked.verb != "get" or asked.subresource:
            return Decision(False, "can only get individual resources of this type")
        entry = await self._store.get(f"/registry/core/persistentvolumes/{asked.name}")
        claim = (encoding.decode(entry.value)["spec"].get("claimRef") or {}) if entry is not None else {}
        reference = ("persistentvolumeclaims", claim.get("name", ""))
        if claim and await self._refers(claim.get("namespace", ""), node, reference):
            return Decision(True)
        return Decision(False, f"no relationship found between node '{node}' and this object")

    async def _pods(self, asked: Attributes, node: str) -> Decision | None:
        if asked.subresource or asked.verb not in _READ:
            return None
        if asked.verb == "get":
            entry = await self._store.get(f"/registry/core/pods/{asked.namespace}/{asked.name}")
            # Whether it is there at all is not for other nodes to know; the node's own pods go away at last.
            if entry is None or self._about(entry)[0] == node:
                return Decision(True)
            return Decision(False, f"no relationship found between node '{node}' and this object")
        if f"spec.nodeName={node}" in asked.field_selector.replace("==", "=").split(","):
            return Decision(True)
        return Decision(False, "can only list/watch pods with spec.nodeName field selector")

    def _own(self, asked: Attributes, node: str, namespace: str) -> Decision:
        if asked.subresource or asked.namespace != namespace:
            place = f' in the "{namespace}" namespace' if namespace else ""
            return Decision(False, f"can only access objects of this type of its own{place}")
        if asked.verb != "create" and asked.name != node:
            return Decision(False, "can only access an object with the same name as the requesting node")
        return Decision(asked.verb in _OWN_VERBS)

    async def _refers(self, namespace: str, node: str, reference: Reference) -> bool:
        """Whether a pod on the node needs this object. The pod that did at the last asking is looked at first: many
        ask for the same, and there may be thousands of pods."""
        asked = (namespace, node, reference)
        last = self._found.get(asked)
        if last is not None:
            known = await self._store.get(last)
            if known is not None and self._needs(known, node, reference):
                return True
        page = await self._store.list(f"/registry/core/pods/{namespace}/")
        for entry in page.entries:
            if self._needs(entry, node, reference):
                if len(self._found) >= limits.POD_REFERENCES:
                    self._found.clear()
                self._found[asked] = entry.key
                return True
        return False

    def _needs(self, entry: Entry, node: str, reference: Reference) -> bool:
        where, needs = self._about(entry)
        return where == node and reference in needs

    def _about(self, entry: Entry) -> tuple[str, frozenset[Reference]]:
        """Where a pod is and what it refers to, read once a revision."""
        known = self._read.get(entry.key)
        if known is None or known[0] != entry.modified:
            pod = encoding.decode(entry.value)
            if len(self._read) >= limits.POD_REFERENCES:
                self._read.clear()
            known = (entry.modified, pod["spec"].get("nodeName") or "", references(pod))
            self._read[entry.key] = known
        return known[1], known[2]

    def _by_rules(self, asked: Attributes) -> Decision:
        if not self._rules:
            self._rules = [msgspec.convert(rule, Rule) for rule in policy.node_rules()]
        return Decision(any(rule.allows(asked) for rule in self._rules))


def _nodes(asked: Attributes, node: str) -> Decision | None:
    if asked.subresource or asked.verb not in _READ:
        return None
    if asked.name == node:
        return Decision(True)
    if asked.name:
        return Decision(False, f"node '{node}' cannot read '{asked.name}', only its own Node object")
    return Decision(False, f"node '{node}' cannot read all nodes, only its own Node object")
