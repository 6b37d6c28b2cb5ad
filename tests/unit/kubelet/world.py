"""A node on the simulated engine, against the real API server in this process, in virtual time."""

from contextlib import asynccontextmanager
from functools import partial

import trio
import trio.testing

from kube_actors.actors import RestartPolicy, open_supervisor
from kube_actors.api.messages import UserInfo
from kube_actors.api.types.core_v1 import Pod
from kube_actors.kubelet import NodeActor, NodeConfig, RuntimeDialer
from runtimes.simulated import Script, open_simulated
from tests.kit.apiserver import running_apiserver

KUBELET = UserInfo(name="system:node:n1", groups=("system:nodes", "system:masters"))


class World:
    """The API, one node, and short hands."""

    def __init__(self, api, runtime, script, system, config, options):
        self.api = api
        self.runtime = runtime
        self.script = script
        self.config = config
        user = UserInfo(name=f"system:node:{config.name}", groups=KUBELET.groups)  # a node may write of itself alone
        self.client = api.client(user)
        self.node_client = self.client
        self.system = system
        self.options = options
        self.node = None
        self.child = None
        self.born = trio.Event()

    def make_node(self):
        self.node = NodeActor(
            self.system,
            self.node_client,
            self.runtime,
            self.config,
            dialer=self.dialer(),
            **self.options,
        )
        self.born.set()
        self.born = trio.Event()
        return self.node

    async def until_node(self, condition, seconds=100):
        """Wait for another life of the node, and until it is ready."""
        with trio.fail_after(seconds):
            while not condition(self.node):
                await self.born.wait()
            await self.node.ready.wait()

    def dialer(self):
        return RuntimeDialer(self.runtime.http_get)

    async def pod(self, name="web", namespace="default", **spec):
        metadata = spec.pop("metadata", {})
        spec.setdefault("containers", [{"name": "c", "image": "example.test/web:1"}])
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, **metadata},
            "spec": {"nodeName": self.config.name, **spec},
        }
        return await self.api.create(body)

    async def until(self, name, condition, namespace="default", seconds=1000):
        """Wait until the pod is as `condition` wants it; None stands for a pod that is gone."""
        with trio.move_on_after(seconds):
            while True:  # the server ends a watch after a while
                async with self.client.watch(
                    Pod,
                    namespace=namespace,
                    field_selector=f"metadata.name={name}",
                    send_initial_events=True,
                    resource_version_match="NotOlderThan",
                    allow_watch_bookmarks=True,
                ) as events:
                    async for event in events:
                        pod = None if event.type == "DELETED" else event.object
                        if condition(pod):
                            return pod
        last = await self.api.list("Pod", namespace)
        raise AssertionError(f"{name} did not come to be as wanted: {[item['status'] for item in last['items']]}")

    async def ready(self, name="web", namespace="default", seconds=1000):
        return await self.until(name, is_ready, namespace, seconds)

    async def gone(self, name="web", namespace="default", seconds=1000):
        """Wait until the API no longer has the pod."""
        with trio.fail_after(seconds):
            while True:
                names = [item["metadata"]["name"] for item in (await self.api.list("Pod", namespace))["items"]]
                if name not in names:
                    return
                await trio.sleep(0.05)

    async def events(self, namespace="default"):
        # Events are written in idle moments, so this waits for a longer one.
        await trio.testing.wait_all_tasks_blocked(0.002)
        found = (await self.api.list("Event", namespace))["items"]
        return [(event["type"], event["reason"], event["message"]) for event in found]


class Gateway:
    """How the API server reaches the one node."""

    world = None

    def reach(self, node):
        assert node.name == self.world.config.name
        return self.world.node.service


def is_ready(pod):
    return pod is not None and any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions)


def condition(pod, kind):
    return next((one for one in pod.status.conditions if one.type == kind), None)


@asynccontextmanager
async def a_world(*, script=None, options=None, **config):
    script = script or Script()
    gateway = Gateway()
    async with running_apiserver(nodes=gateway) as api:
        system = api.system
        async with open_simulated(now=system.clock.now, name="n1", script=script) as runtime:
            world = World(api, runtime, script, system, NodeConfig(name="n1", **config), options or {})
            gateway.world = world
            async with open_supervisor("test", system) as supervisor:
                world.supervisor = supervisor
                policy = RestartPolicy(restart="always", limit=None)
                world.child = supervisor.start("node/n1", partial(World.make_node, world), policy)
                await world.until_node(lambda node: node is not None)
                yield world
                supervisor.cancel()
