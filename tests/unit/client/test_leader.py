"""Leader election against the real API server: one leads, the next takes over, a lost lease ends the work."""

from __future__ import annotations

import pytest
import trio

from kube_actors.api.messages import Answer, AnyRequest
from kube_actors.api.types.coordination_v1 import Lease
from kube_actors.client import Client, ElectionConfig, LeaderElector, LeadershipLost, elected
from tests.kit.apiserver import TESTER, RunningAPIServer
from tests.kit.transports import Passing


def elector(api: RunningAPIServer, client: Client, identity: str) -> LeaderElector:
    config = ElectionConfig(name="controllers", namespace="kube-system", identity=identity)
    return LeaderElector(client, api.system, config)


async def test_one_leads_and_a_released_lease_is_taken_soon(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    told: list[tuple[str, float]] = []
    began = trio.current_time()

    async def work(identity: str) -> None:
        async with elected(elector(api, client, identity)):
            told.append((identity, trio.current_time() - began))
            await trio.sleep(100)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, "a")
        await trio.sleep(1)
        nursery.start_soon(work, "b")
    (first, first_at), (second, second_at) = told
    assert {first, second} == {"a", "b"}
    assert first_at < 1
    assert 100 <= second_at < 110
    lease = await client.get(Lease, "controllers", namespace="kube-system")
    assert lease.spec.holder_identity in (None, "")
    assert lease.spec.lease_transitions == 1


async def test_a_leader_that_vanishes_is_replaced_after_its_lease(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    async with trio.open_nursery() as nursery:
        await elector(api, client, "crashed").acquire()
        began = trio.current_time()
        with trio.fail_after(30):
            await elector(api, client, "next").acquire()
        assert 15 <= trio.current_time() - began < 20
        nursery.cancel_scope.cancel()


async def test_losing_the_lease_cancels_the_work(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    finished = False
    with pytest.raises(LeadershipLost, match="a lost the lease kube-system/controllers"):
        async with elected(elector(api, client, "a")):
            body = {"spec": {"holderIdentity": "usurper"}}
            await client.patch(Lease, "controllers", body, namespace="kube-system", patch_type="merge")
            await trio.sleep(1000)
            finished = True
    assert not finished
    lease = await client.get(Lease, "controllers", namespace="kube-system")
    assert lease.spec.holder_identity == "usurper"


class Mute(Passing):
    """A way that at some point brings no answers any more."""

    mute = False

    async def send(self, request: AnyRequest) -> Answer:
        if self.mute:
            await trio.sleep_forever()
        return await super().send(request)


async def test_a_silent_server_ends_the_leading_before_others_may_lead(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer
) -> None:
    transport = Mute(api.transport(TESTER))
    leader = elector(api, Client(transport), "a")
    await leader.acquire()
    began = trio.current_time()
    transport.mute = True
    with pytest.raises(LeadershipLost):
        await leader.keep()
    assert not leader.leading
    assert trio.current_time() - began <= leader.config.renew_deadline_seconds
