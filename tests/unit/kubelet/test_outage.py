"""The API is away: what runs goes on and is restarted; everything is told once the API is back."""

import trio

from kube_actors.client import Client, Unavailable
from kube_actors.kubelet import WatchFeed
from tests.unit.kubelet.world import KUBELET, a_world, is_ready


class Cable:
    """A transport that can be pulled out: requests fail, and what was open ends."""

    def __init__(self, transport):
        self.transport = transport
        self.out = False
        self.open = []

    def pull(self):
        self.out = True
        for stream in self.open:
            stream.close()

    async def _pass(self, name, request):
        await trio.lowlevel.checkpoint()
        if self.out:
            raise Unavailable("the cable is out")
        return await getattr(self.transport, name)(request)

    async def send(self, request):
        return await self._pass("send", request)

    async def open_watch(self, request):
        stream = await self._pass("open_watch", request)
        self.open.append(stream)
        return stream

    async def open_stream(self, request):
        return await self._pass("open_stream", request)

    async def open_session(self, request):
        return await self._pass("open_session", request)


def restarts(pod):
    return pod.status.container_statuses[0].restart_count if pod and pod.status.container_statuses else None


async def test_an_api_outage(autojump_clock):
    async with a_world() as world:
        cable = Cable(world.api.transport(KUBELET))
        client = Client(cable)
        world.node_client = client
        world.options = {"feed": WatchFeed(client, world.system)}
        world.child.kill()
        before = world.node
        await world.until_node(lambda node: node is not before)
        await world.pod("one")
        await world.pod("two", terminationGracePeriodSeconds=3)
        await world.ready("one")
        await world.ready("two")
        cable.pull()
        for found in await world.runtime.list_containers({"io.kubernetes.pod.name": "one"}):
            world.runtime.crash(found.id)
        await trio.sleep(5)
        containers = await world.runtime.list_containers({"io.kubernetes.pod.name": "one"})
        assert sorted(one.state for one in containers) == ["exited", "running"]
        await world.api.delete("Pod", "two")
        await world.pod("three")
        await trio.sleep(120)
        assert (await world.until("one", lambda pod: True)).status.container_statuses[0].restart_count == 0
        cable.out = False
        await world.until("one", lambda pod: is_ready(pod) and restarts(pod) == 1)
        await world.ready("three")
        await world.gone("two")
        assert len(await world.runtime.list_sandboxes()) == 2
