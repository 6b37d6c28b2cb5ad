"""Slices hold every pod once, none too many, and change no more than they must."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api.types.core_v1 import Pod, PodCondition, PodIP, Service, ServicePort
from kube_actors.api.types.discovery_v1 import EndpointSlice
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers import endpointslice
from kube_actors.controllers.contract import Create, Delete, Update

LIMIT = 5
SERVICE = Service(metadata=ObjectMeta(name="web", namespace="default", uid="s"))
SERVICE = structs.replace(
    SERVICE,
    spec=structs.replace(
        SERVICE.spec,
        selector={"app": "web"},
        ports=(ServicePort(port=80),),
        cluster_ip="10.0.0.1",
        ip_families=("IPv4",),
    ),
)


def pod(number: int, ready: bool) -> Pod:
    metadata = ObjectMeta(name=f"p{number}", namespace="default", uid=f"u{number}", labels={"app": "web"})
    made = Pod(metadata=metadata)
    condition = PodCondition(type="Ready", status="True" if ready else "False")
    ip = f"10.1.0.{number}"
    return structs.replace(
        made, status=structs.replace(made.status, conditions=(condition,), pod_ip=ip, pod_ips=(PodIP(ip=ip),))
    )


def apply(slices: dict[str, EndpointSlice], members: tuple[Pod, ...]) -> int:
    """Perform one plan; how many writes it took."""
    observed = endpointslice.Observed(service=SERVICE, members=members, slices=tuple(slices.values()), limit=LIMIT)
    actions = endpointslice.plan(observed).actions
    for action in actions:
        match action:
            case Create(obj=obj):
                name = f"web-{len(slices)}-{len(actions)}-{sum(map(ord, ''.join(slices)))}"
                slices[name] = structs.replace(obj, metadata=structs.replace(obj.metadata, name=name, uid=name))
            case Update(obj=obj):
                slices[obj.metadata.name] = obj
            case Delete(key=key):
                del slices[key.rpartition("/")[2]]
    return len(actions)


@settings(max_examples=120, deadline=None)
@given(states=st.lists(st.dictionaries(st.integers(1, 40), st.booleans(), max_size=30), min_size=1, max_size=6))
def test_every_pod_stands_in_exactly_one_slice(states: list[dict[int, bool]]) -> None:
    slices: dict[str, EndpointSlice] = {}
    for state in states:
        members = tuple(pod(number, ready) for number, ready in state.items())
        apply(slices, members)
        found = [
            (e.target_ref.name, e.conditions.ready)
            for piece in slices.values()
            for e in piece.endpoints
            if e.target_ref is not None and e.conditions is not None
        ]
        assert sorted(found) == sorted((f"p{number}", ready) for number, ready in state.items())
        assert all(len(piece.endpoints) <= LIMIT for piece in slices.values())
        assert slices, "a Service without endpoints keeps an empty slice"
        assert apply(slices, members) == 0, "a second look finds nothing to do"


def test_one_more_pod_changes_one_slice() -> None:
    slices: dict[str, EndpointSlice] = {}
    apply(slices, tuple(pod(number, True) for number in range(1, 13)))
    before = dict(slices)
    assert apply(slices, tuple(pod(number, True) for number in range(1, 14))) == 1
    assert sum(before.get(name) != piece for name, piece in slices.items()) == 1
