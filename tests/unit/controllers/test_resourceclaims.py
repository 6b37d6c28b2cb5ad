"""ResourceClaims of pods: made from templates, reserved, released; and nothing twice."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.types.core_v1 import Pod
from kube_actors.api.types.resource_v1 import ResourceClaim, ResourceClaimConsumerReference
from kube_actors.controllers import resourceclaims
from kube_actors.controllers.contract import Delete, Outcome, Plan, Update
from kube_actors.controllers.resourceclaims import FINALIZER, ObservedClaim, generate_name, plan_claim

from .conftest import running

KIND = "ResourceClaim"


def template(name: str = "tp") -> dict[str, Any]:
    requests = [{"name": "r", "exactly": {"deviceClassName": "none.example.com"}}]
    spec = {"metadata": {"labels": {"l": "v"}}, "spec": {"devices": {"requests": requests}}}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": name},
        "spec": spec,
    }


def user(name: str = "p") -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": {"claims": [{"name": "rc"}]}}
    spec = {"containers": [container], "resourceClaims": [{"name": "rc", "resourceClaimTemplateName": "tp"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def test_a_claim_is_made_once_its_template_is_there(autojump_clock: Any) -> None:
    async with running(kubelet=False) as world:
        await world.api.create(user())

        async def told() -> bool:
            return any('template "tp": resourceclaimtemplate' in text for _, _, text in await world.events())

        await world.until(told)
        before = world.manager.statistics()
        await world.api.create(template())

        async def noted() -> Any:
            return (await world.api.get("Pod", "p", "default"))["status"].get("resourceClaimStatuses")

        statuses = await world.until(noted)
        claims = await world.items(KIND)
        assert [claim["metadata"]["name"] for claim in claims] == [statuses[0]["resourceClaimName"]]
        assert claims[0]["metadata"]["labels"] == {"l": "v"}
        assert claims[0]["metadata"]["name"].startswith("p-rc-")
        mine = next(one for one in before if one.name == "resourceclaim-controller")
        assert mine.reconciled <= 5, "a template that is missing is waited for, not asked for again and again"
        await world.api.delete("Pod", "p", "default")

        async def none_left() -> bool:
            return not await world.items(KIND)

        await world.until(none_left)


def test_long_names_are_cut_in_proportion() -> None:
    assert generate_name("p", "rc") == "p-rc-"
    assert len(generate_name("p" * 60, "r" * 60)) <= resourceclaims.BASE_LENGTH


def claim_with(reserved: list[str], allocated: bool, held: bool, deleted: bool) -> ResourceClaim:
    tree = {
        "metadata": {
            "name": "c",
            "namespace": "n",
            "uid": "u",
            "finalizers": [FINALIZER] if held else [],
            **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}),
        },
        "spec": {},
        "status": {
            "reservedFor": [{"resource": "pods", "name": uid, "uid": uid} for uid in reserved],
            **({"allocation": {}} if allocated else {}),
        },
    }
    return msgspec.convert(tree, ResourceClaim)


def carry_out(plan: Plan, alive: set[str], claim: ResourceClaim) -> tuple[ResourceClaim, bool]:
    """What a server makes of a plan: the claim afterwards, and whether it was deleted."""
    deleted = False
    results: list[Any] = []
    for action in plan.actions:
        match action:
            case Update(obj=obj, subresource="status"):
                claim = msgspec.structs.replace(claim, status=obj.status)
                results.append(claim)
            case Update(obj=obj):
                claim = msgspec.structs.replace(claim, metadata=obj.metadata)
                results.append(claim)
            case Delete():
                deleted = True
                results.append(None)
            case _:
                name = action.key.partition("/")[2]  # type: ignore[union-attr]
                tree = {"metadata": {"name": name, "uid": name}, "spec": {"containers": []}}
                results.append(msgspec.convert(tree, Pod) if name in alive else None)
    if plan.then is not None:
        claim, later = carry_out(plan.then(Outcome(results=tuple(results))), alive, claim)
        deleted = deleted or later
    return claim, deleted


UIDS = st.sets(st.sampled_from("abcde"))


@given(
    kept=UIDS, unknown=UIDS, done=UIDS, alive=UIDS, allocated=st.booleans(), held=st.booleans(), deleted=st.booleans()
)
def test_only_pods_that_are_gone_lose_their_reservation(
    kept: set[str], unknown: set[str], done: set[str], alive: set[str], allocated: bool, held: bool, deleted: bool
) -> None:
    unknown, done = unknown - kept, done - kept - unknown
    claim = claim_with(sorted(kept | unknown | done), allocated, held, deleted)

    def refs(uids: set[str]) -> tuple[ResourceClaimConsumerReference, ...]:
        return tuple(one for one in claim.status.reserved_for if one.uid in uids)

    after, _ = carry_out(plan_claim(ObservedClaim(claim=claim, kept=refs(kept), unknown=refs(unknown))), alive, claim)
    left = {one.uid for one in after.status.reserved_for}
    assert left == kept | (unknown & alive)
    assert (after.status.allocation is not None) or not (left and allocated), "what is in use stays allocated"
    again, gone = carry_out(plan_claim(ObservedClaim(claim=after, kept=refs(left))), alive, after)
    assert (again, gone) == (after, False), "a second look changes nothing"
    if deleted and not left:
        assert FINALIZER not in again.metadata.finalizers, "nothing holds up what is being deleted"
