"""A Deployment behind a Service, on every engine: all replicas are reached, and what dies comes back."""

from __future__ import annotations

import socket

import pytest

from tests.kit.clusters import (
    REAL,
    Load,
    Namespace,
    deployment,
    http_get,
    service,
    until,
)
from tests.kit.images import BUSYBOX, SERVE_PORT, TEST_V1, TEST_V2


def endpoints(space: Namespace, name: str = "web") -> set[str]:
    """The addresses that the Service's slices call ready."""
    selector = f"kubernetes.io/service-name={name}"
    slices = space.client.list("EndpointSlice", namespace=space.name, label_selector=selector)
    ready = [endpoint for one in slices.items for endpoint in one.endpoints if endpoint.conditions.ready]
    return {address for endpoint in ready for address in endpoint.addresses}


def ips(space: Namespace) -> set[str]:
    return {pod.status.pod_ip for pod in space.pods()}


def names(space: Namespace) -> set[str]:
    return {pod.metadata.name for pod in space.pods()}


def answering(address: str, port: int = 80, count: int = 12) -> set[str]:
    return {http_get(address, port).split()[0] for _ in range(count)}


def a_client(space: Namespace) -> str:
    """A pod from which others are called."""
    pod = {"containers": [{"name": "c", "image": TEST_V1, "command": ["sleep", "100000"]}]}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "caller"}, "spec": pod})
    space.wait("pod/caller", "Ready")
    return "caller"


def test_requests_reach_all_replicas_and_what_dies_comes_back(space: Namespace) -> None:
    space.apply(deployment(3), service())
    space.rolled_out()
    address = space.address()
    until(lambda: answering(address) == names(space), what="all three answer the host")
    assert endpoints(space) == ips(space)
    if space.running.real:
        caller = a_client(space)
        script = f"for i in 1 2 3 4 5 6 7 8 9; do curl -sS -m 5 http://{address}/; done"
        told = space.run(caller, "sh", "-c", script).split("\n")
        assert {line.split()[0] for line in told if line} == names(space)

    victim = space.pods()[0]
    space.kill_container(victim)
    name = victim.metadata.name
    restarted = space.wait(f"pod/{name}", lambda pod: _restarts(pod) == 1 and _first(pod)["ready"])
    ended = _first(restarted)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "Error")
    assert restarted["status"]["podIP"] == victim.status.pod_ip
    until(lambda: answering(address) == names(space), what="all three answer again")

    space.client.delete("Pod", name, namespace=space.name)
    space.wait(f"pod/{name}", "Deleted")
    space.rolled_out()
    assert name not in names(space)
    until(lambda: answering(address) == names(space), what="the new pod answers")
    until(lambda: endpoints(space) == ips(space), what="endpoints follow")

    space.patch("Deployment", "web", {"spec": {"replicas": 1}})
    space.rolled_out()
    until(lambda: len(endpoints(space)) == 1 and answering(address) == names(space), what="one is left")


def test_a_container_that_ends_again_and_again_is_backed_off(space: Namespace) -> None:
    pod = {"containers": [{"name": "c", "image": BUSYBOX, "command": ["sh", "-c", "exit 3"]}]}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "crash"}, "spec": pod})
    found = space.wait("pod/crash", lambda pod: "waiting" in _first(pod)["state"] and _restarts(pod) >= 1)
    waiting = _first(found)["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"
    assert waiting["message"].startswith("back-off 10s restarting failed container=c pod=crash_")
    ended = _first(found)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    assert found["status"]["phase"] == "Running"


def test_a_rolling_update_loses_no_request(space: Namespace) -> None:
    space.apply(deployment(3, env=[{"name": "LINGER_SECONDS", "value": "0.5"}]), service())
    space.rolled_out()
    address = space.address()
    until(lambda: answering(address) == names(space), what="all three answer")
    old = space.get("Deployment", "web").spec.template.spec.containers[0].image
    with Load(address, 80) as load:
        until(lambda: load.answers, what="the load runs")
        space.patch("Deployment", "web", _image(TEST_V2))
        space.rolled_out()
        until(lambda: answering(address) == names(space), what="only new pods answer")
        seen = set(load.versions)
        space.kubectl("rollout", "undo", "deployment/web")
        space.rolled_out()
    assert load.failures == []
    assert len(seen) == 2
    assert sum(load.answers.values()) > 50
    assert space.get("Deployment", "web").spec.template.spec.containers[0].image == old


def test_a_node_port_and_a_client_that_sticks(space: Namespace) -> None:
    space.apply(deployment(2), service(type="NodePort", sessionAffinity="ClientIP"))
    space.rolled_out()
    port = space.get("Service", "web").spec.ports[0].node_port
    assert 30000 <= port <= 32767
    until(lambda: http_get("127.0.0.1", port), what="the node port answers")
    assert len(answering("127.0.0.1", port)) == 1
    assert len(answering(space.address())) == 1
    space.client.delete("Service", "web", namespace=space.name)
    until(lambda: _refused("127.0.0.1", port), what="the node port is closed")


# Simulated containers speak HTTP only: there would be a UDP frontend, and nobody behind it.
@pytest.mark.parametrize("running", REAL, indirect=True)
def test_a_udp_service(space: Namespace) -> None:
    space.apply(deployment(2), service(protocol="UDP", port=53))
    space.rolled_out()
    address = space.address()

    def who() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1)
            sender.sendto(b"who", (address, 53))
            return sender.recv(1000).decode().split()[0]

    until(lambda: {who() for _ in range(8)} == names(space), what="both answer over UDP")


def test_a_headless_service_has_endpoints_and_no_address(space: Namespace) -> None:
    space.apply(deployment(2), service(clusterIP="None"))
    space.rolled_out()
    assert space.address() == "None"
    until(lambda: endpoints(space) == ips(space), what="its endpoints are the pods")
    pod = space.pods()[0]
    assert http_get(pod.status.pod_ip, SERVE_PORT).split()[0] == pod.metadata.name


def _first(pod: dict) -> dict:  # type: ignore[type-arg]
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return statuses[0] if statuses else {"state": {}, "restartCount": 0, "ready": False}


def _restarts(pod: dict) -> int:  # type: ignore[type-arg]
    count: int = _first(pod)["restartCount"]
    return count


def _image(image: str) -> dict:  # type: ignore[type-arg]
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}


def _refused(address: str, port: int) -> bool:
    try:
        http_get(address, port)
    except ConnectionRefusedError:
        return True
    return False
