"""The memo of a large Service's pods: the same as without it, at the price of what changed."""

from __future__ import annotations

from typing import Any

import pytest

from kube_actors.api.types.core_v1 import (
    Pod,
    PodCondition,
    PodIP,
    PodSpec,
    PodStatus,
    Service,
    ServicePort,
    ServiceSpec,
)
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers import endpoints, endpointslice, limits, slice_endpoints
from kube_actors.controllers.contract import Create, Update
from kube_actors.controllers.members import Memo

SERVICE = Service(
    metadata=ObjectMeta(name="web", namespace="n"),
    spec=ServiceSpec(
        cluster_ip="10.96.0.9", ip_families=("IPv4",), selector={"app": "web"}, ports=(ServicePort(port=80),)
    ),
)
PLACE = (True, None)


def pod(number: int, ready: str = "True") -> Pod:
    address = f"10.1.{number // 250}.{number % 250 + 1}"
    return Pod(
        metadata=ObjectMeta(name=f"p-{number}", namespace="n", uid=f"u-{number}", labels={"app": "web"}),
        spec=PodSpec(containers=()),
        status=PodStatus(
            phase="Running",
            pod_ip=address,
            pod_ips=(PodIP(ip=address),),
            conditions=(PodCondition(type="Ready", status=ready, last_transition_time="2026-01-01T00:00:00Z"),),
        ),
    )


@pytest.mark.parametrize(("make", "context"), [(slice_endpoints.prepare, PLACE), (endpoints.prepare, None)])
def test_one_changed_pod_is_one_pods_work(make: Any, context: Any) -> None:
    made: list[str] = []

    def counted(service: Service, given: Pod, around: object) -> Any:
        made.append(given.metadata.name)
        return make(service, given, around)

    memo: Memo[Any] = Memo(counted)
    members = [pod(number) for number in range(limits.LARGE_SERVICE_PODS)]
    memo.prepared("n/web", SERVICE, members, lambda each: context)
    made.clear()
    members[7] = pod(7, "False")
    found = memo.prepared("n/web", SERVICE, members, lambda each: context)
    assert made == ["p-7"]
    assert found == tuple(make(SERVICE, each, context) for each in members)
    assert memo.pause("n/web") > 0.0
    memo.prepared("n/web", SERVICE, members[:5], lambda each: context)
    assert memo.pause("n/web") == 0.0


def test_a_change_touches_one_slice() -> None:
    members = [pod(number) for number in range(350)]
    first = endpointslice.plan(endpointslice.Observed(service=SERVICE, members=tuple(members)))
    slices = tuple(action.obj for action in first.actions if isinstance(action, Create))
    assert sorted(len(piece.endpoints) for piece in slices) == [50, 100, 100, 100]
    members[123] = pod(123, "False")
    observed = endpointslice.Observed(service=SERVICE, members=tuple(members), slices=slices)
    second = endpointslice.plan(observed)
    assert [type(action) for action in second.actions] == [Update]
