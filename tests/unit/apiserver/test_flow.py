"""Priority and fairness: which flow a request belongs to, and what a full level does."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.actors import Entropy, System, VirtualClock
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.apiserver import Access, APIServer, encoding
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.access.flow import Level
from kube_actors.store.memory import MemoryStore
from tests.kit.apiserver import RunningAPIServer
from tests.kit.transports import Ways


def asked(name: str, *groups: str, verb: str = "list", **more: str) -> Attributes:
    user = UserInfo(name=name, groups=(*groups, "system:authenticated"))
    return Attributes(user=user, verb=verb, **({"resource": "pods", "namespace": "default"} | more))


async def classified(access: Access, question: Attributes) -> tuple[str, str]:
    """Names of the schema and level that a request got."""
    ticket = await access.flow.admit(question)
    assert ticket is not None
    ticket.leave()
    uids = [value for _, value in ticket.headers]
    names = {}
    for entry in (await access.flow._mirror.read()).values():
        names[entry["metadata"]["uid"]] = entry["metadata"]["name"]
    return names[uids[0]], names[uids[1]]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (asked("admin", "system:masters"), ("exempt", "exempt")),
        (asked("alice"), ("global-default", "global-default")),
        (asked("system:node:a", "system:nodes"), ("system-nodes", "system")),
        (asked("system:node:a", "system:nodes", resource="nodes", namespace="a"), ("system-node-high", "node-high")),
        (asked("system:kube-scheduler"), ("kube-scheduler", "workload-high")),
        (
            asked("system:kube-scheduler", verb="update", group="coordination.k8s.io", resource="leases"),
            ("system-leader-election", "leader-election"),
        ),
        (asked("system:serviceaccount:x:y", "system:serviceaccounts"), ("service-accounts", "workload-low")),
        (
            asked("system:serviceaccount:kube-system:y", "system:serviceaccounts"),
            ("kube-system-service-accounts", "workload-high"),
        ),
        (asked("alice", verb="get", path="/healthz", resource="", namespace=""), ("probes", "exempt")),
        (asked("alice", verb="get", path="/metrics", resource="", namespace=""), ("global-default", "global-default")),
    ],
)
async def test_every_request_belongs_to_a_flow(question: Attributes, found: tuple[str, str]) -> None:
    access = Access(System(clock=VirtualClock(), entropy=Entropy(1)), MemoryStore())
    assert await access.flow.admit(question) is None
    await access.seeds.ensure()
    assert await classified(access, question) == found


async def test_a_schema_counts_from_its_write_and_not_without_its_level() -> None:
    store = MemoryStore()
    access = Access(System(clock=VirtualClock(), entropy=Entropy(1)), store)
    await access.seeds.ensure()

    async def put(plural: str, name: str, spec: dict[str, Any]) -> None:
        obj = {"metadata": {"name": name, "uid": name}, "spec": spec}
        key = f"/registry/flowcontrol.apiserver.k8s.io/{plural}/{name}"
        await store.put(key, encoding.draft(b'{"kind":"K","apiVersion":"v1",', obj), expect=0)

    subjects = [{"kind": "User", "user": {"name": "alice"}}]
    rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}]
    spec = {
        "priorityLevelConfiguration": {"name": "mine"},
        "matchingPrecedence": 5,
        "rules": [{"subjects": subjects, "resourceRules": rules}],
    }
    await put("flowschemas", "mine", spec)
    assert (await classified(access, asked("alice")))[0] == "global-default"
    await put("prioritylevelconfigurations", "mine", {"type": "Limited", "limited": {"nominalConcurrencyShares": 5}})
    assert await classified(access, asked("alice")) == ("mine", "mine")


async def test_a_schema_tells_whether_its_level_is_there(autojump_clock: trio.testing.MockClock) -> None:
    system, store = System(clock=VirtualClock(), entropy=Entropy(1)), MemoryStore()
    server = APIServer(system, store, access=Access(system, store))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await server.ready.wait()
        api = RunningAPIServer(server, store, Ways(server, nursery))
        spec = {"priorityLevelConfiguration": {"name": "mine"}, "matchingPrecedence": 5}
        await api.ask("create", "FlowSchema", body={"metadata": {"name": "mine"}, "spec": spec})

        async def dangling() -> str:
            await trio.sleep(5)
            found = await api.ask("get", "FlowSchema", name="mine")
            (condition,) = found["status"]["conditions"]
            return f"{condition['status']} {condition['reason']}"

        assert await dangling() == "True NotFound"
        limited = {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}
        level = {"type": "Limited", "limited": limited}
        await api.ask("create", "PriorityLevelConfiguration", body={"metadata": {"name": "mine"}, "spec": level})
        assert await dangling() == "False Found"
        nursery.cancel_scope.cancel()


def level(queues: int = 0, longest: int = 0) -> Level:
    made = Level("l")
    queuing = {"queuing": {"queues": queues, "handSize": 1, "queueLengthLimit": longest}} if queues else {}
    limited = {"nominalConcurrencyShares": 1, "limitResponse": queuing}
    made.configure({"metadata": {"uid": "u"}, "spec": {"type": "Limited", "limited": limited}}, 600)
    assert made.seats == 1
    return made


async def test_a_full_level_without_queues_says_429() -> None:
    full = level()
    await full.enter("a")
    with pytest.raises(ApiError) as raised:
        await full.enter("a")
    assert (raised.value.code, raised.value.reason, raised.value.retry_after) == (429, "TooManyRequests", 1)
    full.leave()
    await full.enter("a")


async def test_who_waits_is_served_in_turn_and_not_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    full = level(queues=64, longest=3)
    await full.enter("first")
    served: list[str] = []

    async def one(flow: str) -> None:
        await full.enter(flow)
        served.append(flow)
        full.leave()

    async with trio.open_nursery() as nursery:
        for flow in ("loud", "loud", "loud", "quiet"):
            nursery.start_soon(one, flow)
            await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ApiError):
            await full.enter("loud")
        full.leave()
    assert served.index("quiet") <= 1 and len(served) == 4
    assert (full.taken, full.waiting) == (0, 0)
    await full.enter("first")
    with pytest.raises(ApiError):  # after the longest wait
        await full.enter("late")
    assert (full.taken, full.waiting) == (1, 0)


@settings(max_examples=30, deadline=None)
@given(flows=st.lists(st.sampled_from("abcdef"), max_size=30), cancelled=st.sets(st.integers(0, 29)))
def test_seats_are_never_lost(flows: list[str], cancelled: set[int]) -> None:
    async def run() -> None:
        full = level(queues=4, longest=5)

        async def one(flow: str, scope: trio.CancelScope) -> None:
            with scope:
                try:
                    await full.enter(flow)
                except ApiError:
                    return
                try:
                    await trio.lowlevel.checkpoint()
                finally:
                    full.leave()

        await full.enter("x")
        async with trio.open_nursery() as nursery:
            for place, flow in enumerate(flows):
                scope = trio.CancelScope()
                nursery.start_soon(one, flow, scope)
                await trio.lowlevel.checkpoint()
                if place in cancelled:
                    scope.cancel()
            full.leave()
        assert (full.taken, full.waiting) == (0, 0)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
