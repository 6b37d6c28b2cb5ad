"""A node on Docker and on Podman: what a pod's containers see of it, and what survives a restart of the node.

The API server runs in this process; only the engine, its containers and the files are real.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from kube_actors.actors import RestartPolicy, System, open_supervisor
from kube_actors.api.node_messages import ExecRequest, LogRequest
from kube_actors.kubelet import NodeConfig, SocketDialer
from runtimes.docker import open_docker
from runtimes.podman import open_podman
from tests.kit.apiserver import running_apiserver
from tests.kit.images import BUSYBOX, TEST_V1
from tests.unit.kubelet.world import World, condition, is_ready

OPEN = {"docker": open_docker, "podman": open_podman}
SECONDS = 60


async def poll_until(wanted, ask, read=lambda answer: answer):
    """Ask a container until it answers as wanted."""
    with trio.fail_after(SECONDS):
        while read(await ask()) != wanted:  # noqa: ASYNC110
            await trio.sleep(0.1)


class RealWorld(World):
    """A world whose containers are real; probes go over real sockets."""

    def dialer(self):
        return SocketDialer()

    async def exec(self, *command, pod="web", container="c"):
        """What a command in a container says."""
        request = ExecRequest(namespace="default", pod=pod, container=container, command=command)
        session = await self.node.service.exec(request)
        output = b""
        with trio.fail_after(SECONDS):
            while (frame := await session.receive()) is not None:
                if frame[0] != 3:
                    output += frame[1]
        session.close()
        return output.decode()

    async def log(self, pod="web", container="c", **more):
        stream = await self.node.service.logs(LogRequest(namespace="default", pod=pod, container=container, **more))
        data = b""
        with trio.fail_after(SECONDS):
            while chunk := await stream.receive_some():
                data += chunk
        stream.close()
        return data.decode()

    async def restart(self):
        before = self.node
        self.child.kill()
        await self.until_node(lambda node: node is not before, SECONDS)


@asynccontextmanager
async def a_real_world(engine: str, directory: Path, **config) -> AsyncIterator[RealWorld]:
    name = f"n-{directory.name[:20].lower().replace('_', '-').strip('-')}"
    async with running_apiserver() as api, OPEN[engine]() as runtime:
        settings = NodeConfig(name=name, data_dir=str(directory), volume_refresh_seconds=0.5, **config)
        world = RealWorld(api, runtime, None, System(), settings, {})
        async with open_supervisor("test", world.system) as supervisor:
            policy = RestartPolicy(restart="always", limit=None)
            world.child = supervisor.start(f"node/{name}", partial(World.make_node, world), policy)
            await world.until_node(lambda node: node is not None, SECONDS)
            try:
                yield world
            finally:
                with trio.CancelScope(shield=True):
                    supervisor.cancel()
                    await world.node.clear()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path


def shell(script, name="c", image=BUSYBOX, **more):
    return {"name": name, "image": image, "command": ["sh", "-c", script], **more}


FOREVER = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


ENVIRONMENT = [
    {"name": "PLAIN", "value": "1"},
    {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    {"name": "BOTH", "value": "$(COLOR)-$(PLAIN)-$$(PLAIN)"},
    {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
]
LABELS_FILE = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
MOUNTS = [
    {"name": "conf", "mountPath": "/conf"},
    {"name": "live", "mountPath": "/live"},
    {"name": "live", "mountPath": "/one", "subPath": "color"},
    {"name": "keys", "mountPath": "/keys", "readOnly": True},
    {"name": "shared", "mountPath": "/shared"},
    {"name": "fast", "mountPath": "/fast"},
    {"name": "info", "mountPath": "/info"},
    {"name": "host", "mountPath": "/host"},
]


def volumes(data_dir: Path) -> list[dict[str, object]]:
    """One of each kind that a node makes by itself."""
    return [
        {"name": "conf", "configMap": {"name": "settings", "items": [{"key": "file.txt", "path": "sub/f"}]}},
        {"name": "live", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "shared", "emptyDir": {}},
        {"name": "fast", "emptyDir": {"medium": "Memory"}},
        {"name": "info", "downwardAPI": {"items": [LABELS_FILE]}},
        {"name": "host", "hostPath": {"path": str(data_dir / "host"), "type": "DirectoryOrCreate"}},
    ]


async def a_pod_of_everything(world: RealWorld, data_dir: Path) -> None:
    settings = {"color": "blue", "file.txt": "hello\n"}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": settings}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"key": "s3cret"}}
    for obj in (config_map, secret):
        await world.api.create(obj)
    write = shell("echo made > /shared/file", "i", volumeMounts=[{"name": "shared", "mountPath": "/shared"}])
    resources = {"limits": {"memory": "64Mi"}}
    await world.pod(
        metadata={"labels": {"app": "web"}},
        volumes=volumes(data_dir),
        hostAliases=[{"ip": "10.9.8.7", "hostnames": ["alias.test"]}],
        terminationGracePeriodSeconds=2,
        initContainers=[write],
        containers=[shell(FOREVER, env=ENVIRONMENT, volumeMounts=MOUNTS, resources=resources)],
    )


async def test_environment_and_volumes(engine, data_dir):
    async with a_real_world(engine, data_dir) as world:
        await a_pod_of_everything(world, data_dir)
        pod = await world.ready(seconds=SECONDS)
        said = await world.exec("sh", "-c", "echo $COLOR $KEY $POD_IP $BOTH $MEMORY")
        assert said.split() == ["blue", "s3cret", pod.status.pod_ip, "blue-1-$(PLAIN)", "64"]
        files = "cat /conf/sub/f /keys/key /shared/file /info/labels /one; stat -c %a /keys/..data/key"
        said = await world.exec("sh", "-c", files)
        assert said == 'hello\ns3cretmade\napp="web"blue400\n'
        hosts = await world.exec("cat", "/etc/hosts")
        assert f"{pod.status.pod_ip}\tweb\n" in hosts and "10.9.8.7\talias.test" in hosts
        assert "tmpfs" in await world.exec("sh", "-c", "grep ' /fast ' /proc/mounts")
        await world.exec("sh", "-c", "echo back > /host/file")
        assert (data_dir / "host" / "file").read_text() == "back\n"
        await world.client.patch("ConfigMap", "settings", {"data": {"color": "green"}}, namespace="default")
        await poll_until("green", partial(world.exec, "cat", "/live/color"))
        assert await world.exec("hostname") == "web\n"
        await world.api.delete("Pod", "web")
        await world.gone(seconds=SECONDS)
        assert not (data_dir / "pods" / pod.metadata.uid).exists()
        assert await world.runtime.list_sandboxes({"io.kube-actors.node": world.config.name}) == ()


async def test_probes_logs_and_ends(engine, data_dir):
    async with a_real_world(engine, data_dir) as world:
        probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
        server = {"name": "s", "image": TEST_V1, "readinessProbe": probe, "livenessProbe": probe}
        say = "echo one; echo two >&2; echo last > /dev/termination-log; trap 'echo bye; exit 3' TERM; "
        script = say + "while true; do sleep 0.1; done"
        await world.pod(containers=[server, shell(script)], terminationGracePeriodSeconds=5)
        pod = await world.ready(seconds=SECONDS)
        assert {one.name: one.started for one in pod.status.container_statuses} == {"s": True, "c": True}
        assert pod.status.container_statuses[0].container_id.startswith(f"{engine}://")
        await poll_until(["one", "two"], world.log, lambda text: sorted(text.split()))
        # The server says 500 from now on: the liveness probe has it killed, and it comes back.
        await world.exec(
            "python3", "-c", "import socket as s; c=s.create_connection(('127.0.0.1',8080));"
            "c.sendall(b'GET /unhealthy HTTP/1.0\\r\\n\\r\\n'); c.recv(99)", container="s",
        )  # fmt: skip
        pod = await world.until(
            "web", lambda pod: pod.status.container_statuses[0].restart_count == 1 and is_ready(pod), seconds=SECONDS
        )
        ended = []

        def gone(pod):
            if pod is not None and pod.status.container_statuses[1].state.terminated:
                ended.append(pod.status.container_statuses[1].state.terminated)
            return pod is None

        await world.api.delete("Pod", "web")
        await world.until("web", gone, seconds=SECONDS)
        assert (ended[-1].exit_code, ended[-1].message) == (3, "last\n")


async def test_a_restarted_node_adopts(engine, data_dir):
    async with a_real_world(engine, data_dir) as world:
        await world.pod(containers=[shell(FOREVER)], terminationGracePeriodSeconds=2)
        await world.pod("crash", containers=[shell("exit 7")], terminationGracePeriodSeconds=2)
        first = await world.ready(seconds=SECONDS)
        await world.until("crash", lambda pod: restarts(pod) == 1, seconds=SECONDS)
        await world.restart()
        pod = await world.ready(seconds=SECONDS)
        assert pod.status.container_statuses[0].container_id == first.status.container_statuses[0].container_id
        assert restarts(pod) == 0
        labels = {"io.kubernetes.pod.name": "web", "io.kube-actors.node": world.config.name}
        (found,) = await world.runtime.list_containers(labels)
        await world.runtime.kill_container(found.id)
        pod = await world.until("web", lambda pod: is_ready(pod) and restarts(pod) == 1, seconds=SECONDS)
        last = pod.status.container_statuses[0].last_state.terminated
        assert (last.exit_code, last.reason) == (137, "Error")
        pod = await world.until(
            "crash", lambda pod: pod.status.container_statuses[0].state.waiting is not None, seconds=SECONDS
        )
        assert pod.status.container_statuses[0].last_state.terminated.exit_code == 7
        assert condition(pod, "Ready").reason == "ContainersNotReady"


def restarts(pod):
    return pod.status.container_statuses[0].restart_count if pod and pod.status.container_statuses else None
