"""ResourceClaims: made from templates for the pods that ask for them, reserved and released with the pods' lives. Pure.

Two plans: one for a pod (make its claims, note their names in its status, reserve what is allocated once it is bound
without the scheduler), one for a claim (take reservations of pods that are gone away, and the allocation with the last
of them). Allocation itself is the scheduler's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs

from kube_actors.api.owners import controller_of
from kube_actors.api.types.core_v1 import Pod, PodResourceClaim
from kube_actors.api.types.meta_v1 import ObjectMeta, OwnerReference
from kube_actors.api.types.resource_v1 import (
    ResourceClaim,
    ResourceClaimConsumerReference,
    ResourceClaimTemplate,
)

from .contract import NOTHING, Action, Caches, Create, Delete, Emit, Outcome, Patch, Plan, Read, Source, Update

ANNOTATION = "resource.kubernetes.io/pod-claim-name"
FINALIZER = "resource.kubernetes.io/delete-protection"
BASE_LENGTH = 57
"""What of a generated name is ours: a hyphen and five random characters follow within 63."""
RESERVATIONS = 256

POD = "pod/"
CLAIM = "claim/"
BY_CLAIM = "resource claim"
BY_TEMPLATE = "resource claim template"
BY_POD = "owning pod"


class Wanted(Struct, frozen=True, kw_only=True):
    """One entry of a pod's resourceClaims: the claim that there is for it, or the template to make it of."""

    name: str
    template_name: str = ""
    template: ResourceClaimTemplate | None = None
    claim: ResourceClaim | None = None
    noted: bool = False
    """The pod's status names that claim already."""


class ObservedPod(Struct, frozen=True, kw_only=True):
    pod: Pod
    wanted: tuple[Wanted, ...]


class ObservedClaim(Struct, frozen=True, kw_only=True):
    """A claim, its reservations that still count, those whose pod is not in the cache, and its owner among the pods."""

    claim: ResourceClaim
    kept: tuple[ResourceClaimConsumerReference, ...] = ()
    unknown: tuple[ResourceClaimConsumerReference, ...] = ()
    needless: bool = False
    """It was made for a pod that will never run (again)."""


def is_done(pod: Pod) -> bool:
    """Whether no container of a pod runs or ever will."""
    gone = pod.metadata.deletion_timestamp is not None and not pod.spec.node_name
    return pod.status.phase in ("Succeeded", "Failed") or gone


def generate_name(pod: str, claim: str) -> str:
    """What a claim's name begins with; of long names both parts are cut in proportion."""
    whole = f"{pod}-{claim}-"
    if len(whole) <= BASE_LENGTH:
        return whole
    first = pod[: len(pod) * BASE_LENGTH // len(whole)]
    return f"{first}-{claim[: len(claim) * BASE_LENGTH // len(whole)]}"


# One pod


def plan_pod(observed: ObservedPod) -> Plan:
    """Make what is missing, then note the names; a template that is not there is said and waited for."""
    pod = observed.pod
    creations: list[tuple[str, Create]] = []
    names: dict[str, str] = {}
    for wanted in observed.wanted:
        if wanted.claim is None and wanted.template is None:
            text = (
                f'PodResourceClaim {wanted.name}: resource claim template "{wanted.template_name}": '
                f'resourceclaimtemplate.resource.k8s.io "{wanted.template_name}" not found'
            )
            return Plan(actions=(Emit(about=pod, type="Warning", reason="FailedResourceClaimCreation", message=text),))
        if wanted.claim is not None:
            if not wanted.noted:
                names[wanted.name] = wanted.claim.metadata.name
        elif wanted.template is not None:
            creations.append((wanted.name, Create(obj=_made(pod, wanted.name, wanted.template))))

    def then(outcome: Outcome) -> Plan:
        made = zip(creations, outcome.results, strict=False)
        noted = names | {name: claim.metadata.name for (name, _), claim in made}
        actions: list[Action] = [_note(pod, noted)] if noted else []
        if outcome.error is not None:
            name = creations[len(outcome.results)][0]
            text = f"PodResourceClaim {name}: create ResourceClaim : {outcome.error.message}"
            actions.append(Emit(about=pod, type="Warning", reason="FailedResourceClaimCreation", message=text))
        return Plan(actions=tuple(actions))

    if creations:
        return Plan(actions=tuple(action for _, action in creations), then=then)
    actions: list[Action] = [_note(pod, names)] if names else []
    return Plan(actions=(*actions, *_reservations(observed)))


def _made(pod: Pod, name: str, template: ResourceClaimTemplate) -> ResourceClaim:
    metadata = template.spec.metadata or ObjectMeta()
    owner = OwnerReference(
        api_version="v1",
        kind="Pod",
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        controller=True,
    )
    return ResourceClaim(
        metadata=ObjectMeta(
            generate_name=generate_name(pod.metadata.name, name),
            namespace=pod.metadata.namespace,
            labels=metadata.labels,
            annotations={**metadata.annotations, ANNOTATION: name},
            owner_references=(owner,),
        ),
        spec=template.spec.spec,
    )


def _note(pod: Pod, names: dict[str, str]) -> Patch:
    statuses = [{"name": name, "resourceClaimName": claim} for name, claim in sorted(names.items())]
    return Patch(
        kind=Pod,
        key=f"{pod.metadata.namespace}/{pod.metadata.name}",
        body={"metadata": {"uid": pod.metadata.uid}, "status": {"resourceClaimStatuses": statuses}},
        patch_type="strategic",
        subresource="status",
        tolerate=("NotFound",),
    )


def _reservations(observed: ObservedPod) -> Iterable[Update]:
    """A pod that was bound without the scheduler has nobody else to reserve for it."""
    pod = observed.pod
    if not pod.spec.node_name or is_done(pod):
        return
    mine = ResourceClaimConsumerReference(resource="pods", name=pod.metadata.name, uid=pod.metadata.uid)
    for wanted in observed.wanted:
        claim = wanted.claim
        if claim is None or claim.status.allocation is None or len(claim.status.reserved_for) >= RESERVATIONS:
            continue
        if all(one.uid != pod.metadata.uid for one in claim.status.reserved_for):
            status = structs.replace(claim.status, reserved_for=(*claim.status.reserved_for, mine))
            yield Update(obj=structs.replace(claim, status=status), subresource="status")


# One claim


def plan_claim(observed: ObservedClaim) -> Plan:
    """Ask the server about pods that the cache does not know before their reservations go."""
    if not observed.unknown:
        return _released(observed, observed.kept)
    namespace = observed.claim.metadata.namespace
    reads = tuple(Read(kind=Pod, key=f"{namespace}/{one.name}", tolerate=("NotFound",)) for one in observed.unknown)

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        found = zip(observed.unknown, outcome.results, strict=True)
        alive = {one.uid for one, pod in found if pod is not None and pod.metadata.uid == one.uid}
        kept = {one.uid for one in observed.kept} | alive
        return _released(observed, tuple(one for one in observed.claim.status.reserved_for if one.uid in kept))

    return Plan(actions=reads, then=then)


def _released(observed: ObservedClaim, kept: tuple[ResourceClaimConsumerReference, ...]) -> Plan:
    claim = observed.claim
    status, metadata = claim.status, claim.metadata
    held = FINALIZER in metadata.finalizers
    fewer = len(kept) < len(status.reserved_for)
    freed = not kept and held and (fewer or metadata.deletion_timestamp is not None)
    wanted = structs.replace(status, reserved_for=kept, allocation=None if freed else status.allocation)
    end: tuple[Action, ...] = ()
    if not kept and observed.needless and metadata.deletion_timestamp is None:
        key = f"{metadata.namespace}/{metadata.name}"
        end = (Delete(kind=ResourceClaim, key=key, uid=metadata.uid, tolerate=("NotFound", "Conflict")),)
    if wanted == status:
        return Plan(actions=(*((_unprotected(claim),) if freed else ()), *end))

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        (written,) = outcome.results
        return Plan(actions=(*((_unprotected(written),) if freed else ()), *end))

    return Plan(actions=(Update(obj=structs.replace(claim, status=wanted), subresource="status"),), then=then)


def _unprotected(claim: ResourceClaim) -> Update:
    left = tuple(name for name in claim.metadata.finalizers if name != FINALIZER)
    changed = structs.replace(claim, metadata=structs.replace(claim.metadata, finalizers=left))
    return Update(obj=changed, tolerate=("NotFound",))


# What it sees


def claim_name(pod: Pod, entry: PodResourceClaim) -> str:
    """The claim that an entry of a pod stands for; "" while it has yet to be made."""
    if entry.resource_claim_name:
        return entry.resource_claim_name
    for status in pod.status.resource_claim_statuses:
        if status.name == entry.name:
            return status.resource_claim_name or ""
    return ""


def _claims_of_pod(pod: Pod) -> list[str]:
    names = (claim_name(pod, entry) for entry in pod.spec.resource_claims)
    return [f"{pod.metadata.namespace}/{name}" for name in names if name]


def _templates_of_pod(pod: Pod) -> list[str]:
    namespace = pod.metadata.namespace
    names = (entry.resource_claim_template_name for entry in pod.spec.resource_claims)
    return [f"{namespace}/{name}" for name in names if name]


def _owner_of(claim: ResourceClaim) -> tuple[str, ...]:
    reference = controller_of(claim)
    return (reference.uid,) if reference is not None and reference.kind == "Pod" else ()


def _key(obj: Any) -> str:
    return f"{obj.metadata.namespace}/{obj.metadata.name}"


def _keys_of_pod(pod: Pod, caches: Caches) -> list[str]:
    if not pod.spec.resource_claims:
        return []
    owned = [_key(claim) for claim in caches.by_index(ResourceClaim, BY_POD, pod.metadata.uid)]
    return [POD + _key(pod), *(CLAIM + key for key in {*_claims_of_pod(pod), *owned})]


def _keys_of_claim(claim: ResourceClaim, caches: Caches) -> list[str]:
    users = [POD + _key(pod) for pod in caches.by_index(Pod, BY_CLAIM, _key(claim))]
    return [CLAIM + _key(claim), *users]


def _keys_of_template(template: ResourceClaimTemplate, caches: Caches) -> list[str]:
    return [POD + _key(pod) for pod in caches.by_index(Pod, BY_TEMPLATE, _key(template))]


class ResourceClaims:
    """The resource claim controller."""

    name = "resourceclaim-controller"
    component = "resource_claim"
    workers = 4

    def sources(self) -> tuple[Source, ...]:
        indexes = ((BY_CLAIM, _claims_of_pod), (BY_TEMPLATE, _templates_of_pod))
        return (
            Source(kind=Pod, keys=_keys_of_pod, indexes=indexes),
            Source(kind=ResourceClaim, keys=_keys_of_claim, indexes=((BY_POD, _owner_of),)),
            Source(kind=ResourceClaimTemplate, keys=_keys_of_template),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        yield from (CLAIM + _key(claim) for claim in caches.list(ResourceClaim))
        yield from (POD + _key(pod) for pod in caches.list(Pod) if pod.spec.resource_claims)

    def observe(self, key: str, caches: Caches, now: float) -> ObservedPod | ObservedClaim | None:
        if key.startswith(CLAIM):
            claim = caches.get(ResourceClaim, key.removeprefix(CLAIM))
            return None if claim is None else _observe_claim(claim, caches)
        pod = caches.get(Pod, key.removeprefix(POD))
        if pod is None or pod.metadata.deletion_timestamp is not None or is_done(pod):
            return None
        return ObservedPod(pod=pod, wanted=tuple(_wanted(pod, caches)))

    def plan(self, observed: ObservedPod | ObservedClaim) -> Plan:
        return plan_pod(observed) if isinstance(observed, ObservedPod) else plan_claim(observed)


def _wanted(pod: Pod, caches: Caches) -> Iterable[Wanted]:
    namespace = pod.metadata.namespace
    for entry in pod.spec.resource_claims:
        noted = claim_name(pod, entry)
        claim = caches.get(ResourceClaim, f"{namespace}/{noted}") if noted else None
        template = entry.resource_claim_template_name
        if not template:
            if claim is not None:
                yield Wanted(name=entry.name, claim=claim, noted=True)
            continue
        if claim is not None and pod.metadata.uid in _owner_of(claim):
            yield Wanted(name=entry.name, claim=claim, noted=True)
            continue
        if _is_unneeded(pod, entry):
            continue
        owned = caches.by_index(ResourceClaim, BY_POD, pod.metadata.uid)
        orphan = next((one for one in owned if one.metadata.annotations.get(ANNOTATION) == entry.name), None)
        yield Wanted(
            name=entry.name,
            template_name=template,
            template=caches.get(ResourceClaimTemplate, f"{namespace}/{template}"),
            claim=orphan,
        )


def _is_unneeded(pod: Pod, entry: PodResourceClaim) -> bool:
    """The status says that this entry needs no claim at all."""
    return any(
        status.name == entry.name and not status.resource_claim_name for status in pod.status.resource_claim_statuses
    )


def _observe_claim(claim: ResourceClaim, caches: Caches) -> ObservedClaim:
    namespace = claim.metadata.namespace
    kept: list[ResourceClaimConsumerReference] = []
    unknown: list[ResourceClaimConsumerReference] = []
    for one in claim.status.reserved_for:
        pod = caches.get(Pod, f"{namespace}/{one.name}") if one.resource == "pods" and not one.api_group else None
        if one.resource != "pods" or one.api_group:
            kept.append(one)  # consumers of other kinds are not ours to judge
        elif pod is None:
            unknown.append(one)
        elif pod.metadata.uid == one.uid and not is_done(pod):
            kept.append(one)
    reference = controller_of(claim)
    owner = caches.get(Pod, f"{namespace}/{reference.name}") if reference is not None and _owner_of(claim) else None
    needless = owner is not None and reference is not None and (owner.metadata.uid != reference.uid or is_done(owner))
    return ObservedClaim(claim=claim, kept=tuple(kept), unknown=tuple(unknown), needless=needless)
