"""Status, scale, binding, eviction, finalize, logs and exec over the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import ByteStream, Session, SessionAnswer, StreamAnswer
from kube_actors.api.node_messages import AttachRequest, ExecRequest, LogRequest, NodeEndpoint, NodeService
from tests.kit.apiserver import RunningAPIServer, running_apiserver


class Text:
    """A log that is all there."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def receive_some(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def close(self) -> None:
        self._data = b""


class Silent:
    """A session in which nothing is said."""

    async def send(self, channel: int, data: bytes) -> None: ...

    async def receive(self) -> tuple[int, bytes] | None:
        return None

    def close(self) -> None: ...


class OneNode:
    """A node that writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[LogRequest | ExecRequest | AttachRequest] = []
        self.endpoint = NodeEndpoint(name="")

    def reach(self, node: NodeEndpoint) -> NodeService:
        self.endpoint = node
        return self

    async def logs(self, request: LogRequest) -> ByteStream:
        self.asked.append(request)
        return Text(b"hello\n")

    async def exec(self, request: ExecRequest) -> Session:
        self.asked.append(request)
        return Silent()

    async def attach(self, request: AttachRequest) -> Session:
        self.asked.append(request)
        return Silent()


@pytest.fixture
def node() -> OneNode:
    return OneNode()


@pytest.fixture
async def api(node: OneNode) -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver(nodes=node) as running:
        yield running


def pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "img:v1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "a"}},
        "spec": {"containers": containers, **spec},
    }


def deployment() -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "img:v1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template},
    }


@pytest.mark.parametrize("media", ["merge-patch", "strategic-merge-patch"])
async def test_a_status_patch_leaves_the_rest_as_it_is(
    autojump_clock: MockClock, api: RunningAPIServer, media: str
) -> None:
    made = await api.create(deployment())
    patch = {"status": {"replicas": 2, "readyReplicas": 0, "nonsense": 1}, "spec": {"replicas": 7}}
    where = {"name": "web", "subresource": "status", "content_type": f"application/{media}+json"}
    told = await api.ask("patch", "deployments", body={"status": patch["status"]}, **where)
    assert told["status"] == {"replicas": 2}
    assert (told["spec"], list(told)) == (made["spec"], list(made))
    assert (await api.ask("patch", "deployments", body=patch, **where))["spec"] == made["spec"]
    with pytest.raises(ApiError):
        await api.ask("patch", "deployments", body={"spec": {"replicas": "x"}, "status": {"replicas": 3}}, **where)
    with pytest.raises(ApiError):
        await api.ask("patch", "deployments", body={"status": {"replicas": "x"}}, **where)


async def test_status_and_spec_are_written_apart(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await api.create({**deployment(), "status": {"replicas": 9}})
    assert made["status"] == {}
    made["status"] = {"replicas": 2, "observedGeneration": 1}
    made["spec"]["replicas"] = 7
    told = await api.ask("update", "deployments", name="web", body=made, subresource="status")
    assert told["status"]["replicas"] == 2
    assert told["spec"]["replicas"] == 1
    assert told["metadata"]["generation"] == 1
    told["status"] = {}
    told["spec"]["replicas"] = 7
    changed = await api.update(told)
    assert changed["status"]["replicas"] == 2
    assert changed["metadata"]["generation"] == 2


async def test_scale_reads_and_writes_replicas(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(deployment())
    scale = await api.ask("get", "deployments", name="web", subresource="scale")
    assert scale["kind"] == "Scale"
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 0, "selector": "app=a"}
    scale["spec"]["replicas"] = 3
    await api.ask("update", "deployments", name="web", body=scale, subresource="scale")
    assert (await api.get("deployments", "web"))["spec"]["replicas"] == 3
    patched = await api.ask(
        "patch",
        "deployments",
        name="web",
        body={"spec": {"replicas": 0}},
        subresource="scale",
        content_type="application/merge-patch+json",
    )
    assert patched["spec"] == {}


async def test_binding_assigns_once(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(pod("a"))
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}}
    answer = await api.ask("create", "pods", name="a", body=body, subresource="binding")
    assert answer["status"] == "Success"
    bound = await api.get("Pod", "a")
    assert bound["spec"]["nodeName"] == "n1"
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    with pytest.raises(ApiError) as refused:
        await api.ask("create", "bindings", body=body)
    assert refused.value.message == (
        'Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "n1"'
    )


async def test_a_scheduled_pod_goes_gracefully(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(pod("a", nodeName="n1", terminationGracePeriodSeconds=7))
    going = await api.delete("Pod", "a")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 7
    assert going["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:07Z"
    assert going["metadata"]["generation"] == 2
    sooner = await api.delete("Pod", "a", grace_seconds=2)
    assert sooner["metadata"]["deletionGracePeriodSeconds"] == 2
    gone = await api.delete("Pod", "a", grace_seconds=0)
    assert gone["metadata"]["deletionGracePeriodSeconds"] == 2
    with pytest.raises(ApiError):
        await api.get("Pod", "a")


async def test_an_unscheduled_pod_goes_at_once(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(pod("a"))
    gone = await api.delete("Pod", "a")
    assert gone["kind"] == "Pod"
    assert (await api.list("Pod"))["items"] == []


EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}


async def running_pod(api: RunningAPIServer, name: str) -> None:
    made = await api.create(pod(name, nodeName="n1"))
    made["status"] |= {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await api.ask("update", "pods", name=name, body=made, subresource="status")


async def budget(api: RunningAPIServer, allowed: int) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    made = await api.create(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": spec}
    )
    made["status"] = {
        "observedGeneration": 1,
        "disruptionsAllowed": allowed,
        "currentHealthy": 1 + allowed,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }
    await api.ask("update", "poddisruptionbudgets", name="b", body=made, subresource="status")


async def test_eviction_takes_from_the_budget(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await running_pod(api, "a")
    await budget(api, 1)
    await api.ask("create", "pods", name="a", body=EVICTION, subresource="eviction")
    evicted = await api.get("Pod", "a")
    assert evicted["metadata"]["deletionTimestamp"]
    reasons = [c.get("reason") for c in evicted["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert reasons == ["EvictionByEvictionAPI"]
    status = (await api.get("PodDisruptionBudget", "b"))["status"]
    assert status["disruptionsAllowed"] == 0
    assert set(status["disruptedPods"]) == {"a"}


async def test_eviction_beyond_the_budget_is_refused(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await running_pod(api, "a")
    await budget(api, 0)
    with pytest.raises(ApiError) as refused:
        await api.ask("create", "pods", name="a", body=EVICTION, subresource="eviction")
    assert refused.value.code == 429
    assert refused.value.has_cause("DisruptionBudget")
    assert "deletionTimestamp" not in (await api.get("Pod", "a"))["metadata"]


async def test_finalize_ends_a_namespace(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}})
    going = await api.delete("Namespace", "ns")
    going["spec"]["finalizers"] = []
    await api.ask("update", "namespaces", name="ns", body=going, subresource="finalize")
    with pytest.raises(ApiError) as refused:
        await api.get("Namespace", "ns")
    assert refused.value.is_not_found


async def test_log_and_exec_reach_the_pods_node(
    autojump_clock: MockClock, api: RunningAPIServer, node: OneNode
) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    }
    await api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": status})
    await api.create(pod("a", nodeName="n1"))
    answer = await api.server.handle(
        api.request("get", "pods", name="a", subresource="log", params=(("tailLines", "5"), ("follow", "true")))
    )
    assert isinstance(answer, StreamAnswer)
    assert await answer.stream.receive_some() == b"hello\n"
    assert node.asked == [LogRequest(namespace="default", pod="a", container="c", tail_lines=5, follow=True)]
    assert node.endpoint == NodeEndpoint(name="n1", host="10.0.0.1", port=10250)
    params = (("command", "ls"), ("command", "-l"), ("stdout", "true"), ("stderr", "true"))
    answer = await api.server.handle(api.request("connect", "pods", name="a", subresource="exec", params=params))
    assert isinstance(answer, SessionAnswer)
    asked = node.asked[1]
    assert isinstance(asked, ExecRequest)
    assert asked.command == ("ls", "-l")


async def test_a_container_must_be_chosen_among_several(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    two = pod("a", nodeName="n1")
    two["spec"]["containers"].append({"name": "d", "image": "img:v1"})
    await api.create(two)
    with pytest.raises(ApiError) as refused:
        await api.ask("get", "pods", name="a", subresource="log")
    assert refused.value.message == "a container name must be specified for pod a, choose one of: [c d]"
    with pytest.raises(ApiError) as refused:
        await api.ask("get", "pods", name="a", subresource="log", params=(("container", "x"),))
    assert refused.value.message == "container x is not valid for pod a"


async def test_ephemeral_containers_are_added_and_stay(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await api.create(pod("a"))
    made["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "img:v1"}]
    made = await api.update(made)
    assert "ephemeralContainers" not in made["spec"]
    made["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "img:v1"}]
    added = await api.ask("update", "pods", name="a", body=made, subresource="ephemeralcontainers")
    assert added["spec"]["ephemeralContainers"][0]["terminationMessagePath"] == "/dev/termination-log"
    assert added["metadata"]["generation"] == 2
    del added["spec"]["ephemeralContainers"]
    with pytest.raises(ApiError) as refused:
        await api.ask("update", "pods", name="a", body=added, subresource="ephemeralcontainers")
    assert refused.value.is_invalid
