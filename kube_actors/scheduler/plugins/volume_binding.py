"""VolumeBinding: a pod runs where its volumes are, or can be bound or made.

Owns which volume a claim that waits for its first consumer gets: chosen with the node, reserved until the binding is
written, and written before the pod is bound. Whoever binds and makes volumes does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from kube_actors.api import quantity
from kube_actors.api.storage import BOUND_BY_CONTROLLER, SELECTED_NODE
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim
from kube_actors.client import Client
from kube_actors.scheduler import limits
from kube_actors.scheduler.events import Interest
from kube_actors.scheduler.framework import SKIP, Code, CycleState, Verdict, unresolvable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from . import volume_matching as matching
from .volumes import (
    claim_key,
    claim_names,
    claim_of,
    class_name,
    class_of,
    is_bound,
    requested,
    storage_changes,
    volume_of,
)

NAME = "VolumeBinding"

WRONG_PLACE = "node(s) didn't match PersistentVolume's node affinity"
NOTHING_TO_BIND = "node(s) didn't find available persistent volumes to bind"
NO_SPACE = "node(s) did not have enough free storage"
LOST_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


class Plan:
    """What is to be done on one node: claims and the volumes for them, and claims for which one is to be made."""

    __slots__ = ("bindings", "provisions")

    def __init__(self) -> None:
        self.bindings: list[tuple[PersistentVolumeClaim, PersistentVolume]] = []
        self.provisions: list[PersistentVolumeClaim] = []


class Claims:
    """The pod's claims, and a plan for each node that was found fit."""

    __slots__ = ("bound", "plans", "snapshot", "waiting")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.bound: list[PersistentVolumeClaim] = []
        self.waiting: list[PersistentVolumeClaim] = []
        self.plans: dict[str, Plan] = {}

    def copy(self) -> Claims:
        return self


class VolumeBinding:
    """Reservations are this plugin's own; they last from Reserve until the API shows them or they are given back."""

    name = NAME

    def __init__(self) -> None:
        self._volumes: dict[str, str] = {}
        """Volume name -> key of the claim that it is reserved for."""
        self._nodes: dict[str, str] = {}
        """Claim key -> the node where its volume is to be made."""

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        if not pod.pod.spec.volumes:
            return SKIP
        claims = Claims(snapshot)
        found = False
        for volume, name in claim_names(pod.pod):
            found = True
            claim = claim_of(snapshot, pod.namespace, name)
            problem = _problem(pod, name, claim, ephemeral=volume.ephemeral is not None)
            if problem:
                return unresolvable(NAME, problem)
            assert claim is not None
            if is_bound(claim):
                claims.bound.append(claim)
                continue
            storage_class = class_of(snapshot, claim)
            delayed = storage_class is not None and storage_class.volume_binding_mode == "WaitForFirstConsumer"
            if not delayed or claim.spec.volume_name:
                return unresolvable(NAME, UNBOUND)
            claims.waiting.append(claim)
        if not found:
            return SKIP
        state.data[NAME] = claims
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        claims = _claims(state)
        reasons = []
        for claim in claims.bound:
            volume = volume_of(claims.snapshot, claim.spec.volume_name or "")
            if volume is None:
                reasons.append(LOST_VOLUME)
                break
            if not matching.is_reachable(volume, node):
                reasons.append(WRONG_PLACE)
                break
        plan = Plan()
        if claims.waiting:
            obstacle = self._plan(claims, node, plan)
            if obstacle:
                reasons.append(obstacle)
        if reasons:
            return unresolvable(NAME, *sorted(reasons, key=_ORDER.index))
        claims.plans[node.name] = plan
        return None

    def _plan(self, claims: Claims, node: NodeInfo, plan: Plan) -> str:
        """Fill the plan; what stands in the way, or ""."""
        unmatched: list[PersistentVolumeClaim] = []
        free: list[PersistentVolumeClaim] = []
        for claim in claims.waiting:
            selected = claim.metadata.annotations.get(SELECTED_NODE) or self._nodes.get(claim_key(claim))
            if selected and selected != node.name:
                return NOTHING_TO_BIND
            (unmatched if selected else free).append(claim)
        volumes = claims.snapshot.all_of("PersistentVolume").values()
        taken: set[str] = set()
        for claim in sorted(free, key=_size):
            key = claim_key(claim)
            reserved = {name for name, owner in self._volumes.items() if owner != key}
            candidates = [volume for volume in volumes if class_name(volume) == class_name(claim)]
            match = matching.find_match(claim, candidates, node, taken | reserved)
            if match is None:
                unmatched.append(claim)
            else:
                taken.add(match.metadata.name)
                plan.bindings.append((claim, match))
        for claim in unmatched:
            storage_class = class_of(claims.snapshot, claim)
            if storage_class is None or not matching.can_provision(storage_class, node):
                return NOTHING_TO_BIND
            if not matching.has_capacity(storage_class, claim, node.labels, claims.snapshot):
                return NO_SPACE
            plan.provisions.append(claim)
        return ""

    def reserve(self, state: CycleState, pod: PodInfo, node: str) -> Verdict | None:
        if NAME not in state.data:
            return None
        plan = _claims(state).plans[node]
        self._volumes.update({volume.metadata.name: claim_key(claim) for claim, volume in plan.bindings})
        self._nodes.update({claim_key(claim): node for claim in plan.provisions})
        return None

    def unreserve(self, state: CycleState, pod: PodInfo, node: str) -> None:
        if NAME not in state.data:
            return
        plan = _claims(state).plans[node]
        for _, volume in plan.bindings:
            self._volumes.pop(volume.metadata.name, None)
        for claim in plan.provisions:
            self._nodes.pop(claim_key(claim), None)

    def post_bind(self, state: CycleState, pod: PodInfo, node: str) -> None:
        self.unreserve(state, pod, node)

    async def pre_bind(self, state: CycleState, pod: PodInfo, node: str, client: Client) -> Verdict | None:
        """Write what was reserved, and wait until it is done."""
        if NAME not in state.data:
            return None
        plan = _claims(state).plans[node]
        for claim, volume in plan.bindings:
            await _bind(client, claim, volume)
        for claim in plan.provisions:
            body = {"metadata": {"uid": claim.metadata.uid, "annotations": {SELECTED_NODE: node}}}
            metadata = claim.metadata
            await client.patch(PersistentVolumeClaim, metadata.name, body, namespace=metadata.namespace)
        waiting = [(claim, "") for claim, _ in plan.bindings] + [(claim, node) for claim in plan.provisions]
        pause = limits.VOLUME_FIRST_POLL_SECONDS
        with trio.move_on_after(limits.VOLUME_BINDING_SECONDS):
            while waiting:
                try:
                    waiting = [one for one in waiting if not await _is_done(client, *one)]
                except _Rejected as rejected:
                    return Verdict(Code.ERROR, (f"binding volumes: {rejected}",), NAME)
                if waiting:
                    await trio.sleep(pause)
                    pause = min(2.0 * pause, limits.VOLUME_POLL_SECONDS)
            return None
        return Verdict(Code.ERROR, ("binding volumes: context deadline exceeded",), NAME)

    def interests(self) -> Sequence[Interest]:
        return storage_changes()


_ORDER = (WRONG_PLACE, NOTHING_TO_BIND, NO_SPACE, LOST_VOLUME)


def _claims(state: CycleState) -> Claims:
    claims = state.data[NAME]
    assert isinstance(claims, Claims)
    return claims


def _size(claim: PersistentVolumeClaim) -> Any:
    return quantity.parse(requested(claim))


def _problem(pod: PodInfo, name: str, claim: PersistentVolumeClaim | None, *, ephemeral: bool) -> str:
    """Why a claim cannot be used, or ""."""
    if claim is None:
        if ephemeral:
            return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        return f'persistentvolumeclaim "{name}" not found'
    if claim.status.phase == "Lost":
        volume = claim.spec.volume_name or ""
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
    if claim.metadata.deletion_timestamp is not None:
        return f'persistentvolumeclaim "{name}" is being deleted'
    if ephemeral and not any(o.controller and o.uid == pod.uid for o in claim.metadata.owner_references):
        return f"PVC {claim_key(claim)} was not created for pod {pod.key} (pod is not owner)"
    return ""


async def _bind(client: Client, claim: PersistentVolumeClaim, volume: PersistentVolume) -> None:
    """Keep a volume for a claim. The resource version sees to it that nobody else has taken it meanwhile."""
    if matching.is_claimed_by(volume, claim) and volume.spec.claim_ref is not None and volume.spec.claim_ref.uid:
        return
    metadata = claim.metadata
    body = {
        "metadata": {
            "resourceVersion": volume.metadata.resource_version,
            "annotations": {BOUND_BY_CONTROLLER: "yes"},
        },
        "spec": {
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            }
        },
    }
    await client.patch(PersistentVolume, volume.metadata.name, body, patch_type="merge")


class _Rejected(Exception):
    """Whoever makes volumes has given the claim back: no volume can be made there."""


async def _is_done(client: Client, claim: PersistentVolumeClaim, node: str) -> bool:
    """Whether a claim is bound. node: where its volume is to be made, "" if there is one."""
    metadata = claim.metadata
    current = await client.get(PersistentVolumeClaim, metadata.name, namespace=metadata.namespace)
    if node and current.metadata.annotations.get(SELECTED_NODE) != node:
        raise _Rejected(f'provisioning failed for PVC "{metadata.name}"')
    return is_bound(current)
