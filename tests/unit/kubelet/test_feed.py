"""One watch of all pods, dealt out to the nodes of a process."""

import trio
import trio.testing

from kube_actors.api.messages import UserInfo
from kube_actors.api.types.core_v1 import Pod
from kube_actors.client import Informer
from kube_actors.kubelet import SharedFeed
from tests.kit.apiserver import running_apiserver


def pod(name, node):
    spec = {"containers": [{"name": "c", "image": "i:1"}], **({"nodeName": node} if node else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def test_pods_are_dealt_out_by_node(autojump_clock):
    async with running_apiserver() as api, trio.open_nursery() as nursery:
        client = api.client(UserInfo(name="x", groups=("system:masters",)))
        informer = Informer(client, api.system, Pod)
        feed = SharedFeed(informer)
        nursery.start_soon(informer.run)
        told = {"a": [], "b": []}

        def handler(node):
            return lambda old, new: told[node].append(
                (old and old.metadata.name, new and new.metadata.name, new and new.metadata.deletion_timestamp)
            )

        await api.create(pod("early", "a"))
        await api.create(pod("floating", ""))
        async with feed.open("a", handler("a")), feed.open("b", handler("b")):
            assert told == {"a": [(None, "early", None)], "b": []}
            await client.bind("floating", "b", namespace="default")
            await trio.testing.wait_all_tasks_blocked()
            assert told["b"] == [(None, "floating", None)]
            await api.delete("Pod", "floating", grace_seconds=0)
            await trio.testing.wait_all_tasks_blocked()
            assert told["b"][-1] == ("floating", None, None)
            assert len(told["a"]) == 1
        await api.create(pod("late", "b"))
        await trio.testing.wait_all_tasks_blocked()
        assert all(new != "late" for _, new, _ in told["b"])
        async with feed.open("b", handler("b")):
            assert told["b"][-1] == (None, "late", None)
        nursery.cancel_scope.cancel()
