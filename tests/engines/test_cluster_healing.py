"""Any actor may be killed: what was asked for comes to be, and nothing is lost."""

from __future__ import annotations

from tests.kit.clusters import (
    Load,
    Namespace,
    RunningCluster,
    deployment,
    http_get,
    service,
    until,
)
from tests.kit.images import TEST_V1, TEST_V2


def kill(running: RunningCluster, name: str) -> None:
    """Kill an actor and wait until another one has taken its place."""
    cluster = running.cluster

    async def crash() -> int:
        child = cluster.cluster.supervisor.children[name]
        before: int = child.restarts
        child.kill()
        return before

    before = cluster.call(crash)
    child = cluster.cluster.supervisor.children[name]
    until(lambda: child.restarts > before and child.alive, what=f"{name} lives again")


def identities(space: Namespace) -> dict[str, tuple[str, int]]:
    """Every pod's container, and how often it was restarted."""
    statuses = {pod.metadata.name: pod.status.container_statuses[0] for pod in space.pods()}
    return {name: (status.container_id, status.restart_count) for name, status in statuses.items()}


def roll_out(space: Namespace, image: str) -> None:
    containers = [{"name": "web", "image": image}]
    space.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": containers}}}})


def check_end(space: Namespace, version: str) -> None:
    """Three pods of this version, no more, behind the Service."""
    space.rolled_out()
    until(lambda: len(space.client.list("Pod", namespace=space.name).items) == 3, what="three pods in all")
    pods = space.pods()
    assert {pod.spec.containers[0].image for pod in pods} == {version}
    assert {pod.status.container_statuses[0].restart_count for pod in pods} == {0}
    address, names = space.address(), {pod.metadata.name for pod in pods}
    until(lambda: {http_get(address, 80).split()[0] for _ in range(12)} == names, what="all three answer")


def test_every_actor_is_killed_while_a_deployment_rolls_out(space: Namespace) -> None:
    space.apply(deployment(3), service())
    space.rolled_out()
    images = [TEST_V2, TEST_V1]
    children = list(space.cluster.cluster.supervisor.children)
    assert {"apiserver", "scheduler", "controllers", "proxy", "nodes/pods", "node/node-0"} <= set(children)
    for turn in range(2):
        roll_out(space, images[turn])
        for name in children[turn::2]:
            kill(space.running, name)
        check_end(space, images[turn])


def test_a_restarted_node_adopts_its_running_containers(space: Namespace) -> None:
    space.apply(deployment(3), service())
    space.rolled_out()
    before = identities(space)
    address = space.address()
    until(lambda: http_get(address, 80), what="it answers")
    with Load(address, 80) as load:
        for name in ("node/node-0", "node/node-1", "nodes/pods", "apiserver", "controllers"):
            kill(space.running, name)
        victim = space.pods()[0]
        space.kill_container(victim)  # the new actors see to it
        space.wait(
            f"pod/{victim.metadata.name}",
            lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1,
        )
        space.rolled_out()
    assert load.answers
    after = identities(space)
    name = victim.metadata.name
    assert after[name][1] == 1
    del before[name], after[name]
    assert after == before
