"""StatefulSets against the real API server: names, claims and revisions as people see them."""

from __future__ import annotations

from typing import Any

import trio

from .conftest import World, running


def stateful_set(replicas: int = 2, **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "db"}},
        "spec": {"containers": [{"name": "c", "image": "img:1"}], "terminationGracePeriodSeconds": 1},
    }
    body = {"replicas": replicas, "selector": {"matchLabels": {"app": "db"}}, "serviceName": "db", "template": template}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": body | spec}


async def settled(world: World) -> dict[str, Any]:
    async def done() -> Any:
        found = await world.api.get("StatefulSet", "db")
        status, spec = found["status"], found["spec"]
        figures = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
        same = status.get("observedGeneration") == found["metadata"]["generation"]
        return found if same and figures == {spec["replicas"]} else None

    found: dict[str, Any] = await world.until(done)
    return found


async def test_pods_have_names_claims_and_revisions(autojump_clock: Any) -> None:
    claims = [
        {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    ]
    async with running() as world:
        await world.api.create(stateful_set(volumeClaimTemplates=claims))
        found = await settled(world)
        assert found["status"]["currentRevision"] == found["status"]["updateRevision"] == "db-b5bdd85b6"
        pods = {pod["metadata"]["name"]: pod for pod in await world.items("Pod")}
        assert sorted(pods) == ["db-0", "db-1"]
        assert pods["db-1"]["metadata"]["labels"] == {
            "app": "db",
            "apps.kubernetes.io/pod-index": "1",
            "controller-revision-hash": "db-b5bdd85b6",
            "statefulset.kubernetes.io/pod-name": "db-1",
        }
        assert (pods["db-1"]["spec"]["hostname"], pods["db-1"]["spec"]["subdomain"]) == ("db-1", "db")
        assert pods["db-1"]["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "data-db-1"}
        made = [claim["metadata"]["name"] for claim in await world.items("PersistentVolumeClaim")]
        assert sorted(made) == ["data-db-0", "data-db-1"]
        events = await world.events()
        text = "Create Claim data-db-1 Pod db-1 in StatefulSet db success"
        assert ("StatefulSet", "SuccessfulCreate", text) in events


async def test_containers_mount_what_the_claims_bring(autojump_clock: Any) -> None:
    """The template itself has no such volume; the pods that are made of it do."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = stateful_set(1, volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": spec}])
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    async with running() as world:
        await world.api.create(body)
        await settled(world)
        (pod,) = await world.items("Pod")
        assert pod["spec"]["containers"][0]["volumeMounts"][0] == {"name": "data", "mountPath": "/data"}


async def test_an_update_and_its_revision_on_the_way_back(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(stateful_set())
        first = (await settled(world))["status"]["currentRevision"]
        for image in ("img:2", "img:1"):
            containers = [{"name": "c", "image": image}]
            await world.patch("StatefulSet", "db", {"spec": {"template": {"spec": {"containers": containers}}}})
            found = await settled(world)
            assert {pod["spec"]["containers"][0]["image"] for pod in await world.items("Pod")} == {image}
        assert found["status"]["currentRevision"] == first
        numbers = {r["metadata"]["name"]: r["revision"] for r in await world.items("ControllerRevision")}
        assert numbers[first] == 3
        assert sorted(numbers.values()) == [2, 3]


async def test_max_unavailable_is_not_kept_without_its_gate(autojump_clock: Any) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
    async with running(kubelet=False) as world:
        made = await world.api.create(stateful_set(updateStrategy=strategy))
        assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


async def test_a_controller_killed_at_any_moment_loses_and_repeats_nothing(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(stateful_set(3))
        for pause in (0.31, 0.05, 0.4, 0.7, 1.1):
            await trio.sleep(pause)
            world.manager.kill("statefulset-controller")
        await settled(world)
        assert sorted(pod["metadata"]["name"] for pod in await world.items("Pod")) == ["db-0", "db-1", "db-2"]
        made = [message for _, reason, message in await world.events() if reason == "SuccessfulCreate"]
        assert sorted(made) == sorted(set(made)), "a pod was made twice"
        assert len(await world.items("ControllerRevision")) == 1
        (before,) = [r for r in world.manager.statistics() if r.name == "statefulset-controller"]
        await trio.sleep(120)
        (after,) = [r for r in world.manager.statistics() if r.name == "statefulset-controller"]
        assert after.actions == before.actions, "a set at rest costs no requests"
