"""`kube-actors up` as a process: its one line, its clean end, and that it comes back with everything after a kill."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

from kube_actors.api.errors import ApiError
from kube_actors.client import Client, TransportError
from tests.kit.commands import client_of, command, kubectl, left_in, up

CONTROLLED = "scheduler,controllers,cloud"


def _service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], "type": "NodePort"},
    }


def _config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


@pytest.mark.kubectl
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_line_then_kubectl_then_a_clean_end(tmp_path: Path, number: signal.Signals) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    async with up(tmp_path / "d", env={"TMPDIR": str(temporary)}) as server:
        url, kubeconfig = await server.ready()
        assert kubeconfig == tmp_path / "d" / "kubeconfig"
        assert (await kubectl(kubeconfig, "get", "nodes")).split()[5:7] == ["node-0", "Ready"]
        await kubectl(kubeconfig, "create", "deployment", "web", "--image=example.com/web:1", "--replicas=2")
        await kubectl(kubeconfig, "rollout", "status", "deployment/web", "--timeout=30s")
        assert await server.stop(number) == 0
    assert server.out == [f"ready {url} kubeconfig={kubeconfig}"]
    assert server.err == ["stopping"]
    assert left_in(temporary) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) != 0


# A request whose server is killed while its body goes out leaves httpx's own generator to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_everything_is_back_after_kills_in_the_middle_of_writes(tmp_path: Path) -> None:
    data = tmp_path / "d"
    known: dict[str, tuple[str, str]] = {}
    address = "127.0.0.1:0"
    token = authority = ""
    service_ip: dict[str, Any] = {}
    for life in range(4):
        async with up(data, "--without", CONTROLLED, "--listen", address, nodes=0) as server:
            url, kubeconfig = await server.ready()
            address = url.removeprefix("https://")  # the same port, so that the first kubeconfig leads there
            async with client_of(kubeconfig) as client:
                found = await client.list("ConfigMap", namespace="default")
                now = {each.metadata.name: (each.metadata.uid, each.metadata.resource_version) for each in found.items}
                assert {name: now.get(name) for name in known} == known
                services = {each.metadata.name: each.spec for each in (await client.list("Service")).items}
                assert {name: services[name] for name in service_ip} == service_ip
                await client.create(_service(f"s-{life}"), namespace="default")
                fresh = await client.get("Service", f"s-{life}", namespace="default")
                assert fresh.spec.cluster_ip not in {spec.cluster_ip for spec in services.values()}
                service_ip = {**services, f"s-{life}": fresh.spec}
                await _write_until_killed(client, server, known, life)
        token, authority = token or (data / "node-token").read_text(), authority or _authority(data)
        assert (data / "node-token").read_text() == token
        assert _authority(data) == authority
    assert len(known) > 30


def _authority(data: Path) -> str:
    return (data / "node-token").read_text().partition("\n")[2]


async def _write_until_killed(client: Client, server: Any, known: dict[str, tuple[str, str]], life: int) -> None:
    """Several writers; what they were told is written goes into `known`; the server is killed under them."""
    enough = trio.Event()
    before = len(known)

    async def write(writer: int) -> None:
        for number in range(10_000):
            try:
                made = await client.create(_config_map(f"c-{life}-{writer}-{number}"), namespace="default")
            except (TransportError, ApiError):
                return
            known[made["metadata"]["name"]] = (made["metadata"]["uid"], made["metadata"]["resourceVersion"])
            if len(known) >= before + 20:
                enough.set()

    async with trio.open_nursery() as nursery:
        for writer in range(4):
            nursery.start_soon(write, writer)
        with trio.fail_after(30):
            await enough.wait()
        await server.kill()


async def test_the_file_says_all_and_flags_win(tmp_path: Path) -> None:
    config = tmp_path / "cluster.yaml"
    config.write_text(
        """
nodes:
- name: big
  count: 2
  labels: {disk: fast}
  taints: [{key: dedicated, value: gpu}]
  capacity: {cpu: "3", example.com/tokens: 7}
- name: plain
runtime: simulated
store: memory
listen: 127.0.0.1:1
addresses: {nodePorts: 31000-31003, services: 127.99.0.0/24, pods: 127.98.0.0/16}
tokens: [{token: s3cret, user: alice, groups: ["system:masters"]}]
controllers: {nodeMonitorPeriod: 1s, nodeMonitorGracePeriod: 8s, periods: {podGcPeriod: 2s}}
"""
    )
    async with command("up", "--config", str(config), "--listen", "127.0.0.1:0", home=tmp_path) as server:
        _, kubeconfig = await server.ready()
        async with client_of(kubeconfig, token="s3cret") as client:
            nodes = {node.metadata.name: node for node in (await client.list("Node")).items}
            assert sorted(nodes) == ["big-0", "big-1", "plain"]
            assert nodes["big-1"].metadata.labels["disk"] == "fast"
            assert [(taint.key, taint.value) for taint in nodes["big-0"].spec.taints] == [("dedicated", "gpu")]
            assert nodes["big-0"].status.capacity["cpu"] == "3"
            assert nodes["big-0"].status.capacity["example.com/tokens"] == "7"
            await client.create(_service("s"), namespace="default")
            service = await client.get("Service", "s", namespace="default")
            assert service.spec.cluster_ip.startswith("127.99.0.")
            assert 31000 <= service.spec.ports[0].node_port <= 31003
            assert (await client.list("Pod")).items == ()  # the token is a master's
        assert await server.stop() == 0
    assert not (tmp_path / "d" / "cluster.db").exists()
