"""Deployments and ReplicaSets against the real API server: rollouts as people see them."""

from __future__ import annotations

from typing import Any

from .conftest import World, deployment, running


def condition(obj: dict[str, Any], kind: str) -> tuple[str, str, str] | None:
    for found in obj["status"].get("conditions", []):
        if found["type"] == kind:
            return found["status"], found["reason"], found["message"]
    return None


async def settled(world: World, image: str | None = None, name: str = "web") -> dict[str, Any]:
    async def done() -> Any:
        found = await world.api.get("Deployment", name)
        status, spec = found["status"], found["spec"]
        figures = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
        if status.get("observedGeneration") != found["metadata"]["generation"] or figures != {spec["replicas"]}:
            return None
        if status.get("terminatingReplicas"):
            return None
        return found

    found: dict[str, Any] = await world.until(done)
    return found


async def test_a_deployment_comes_up(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment())
        found = await settled(world)
        assert found["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
        assert found["metadata"]["generation"] == 1
        (rs,) = await world.items("ReplicaSet")
        name = rs["metadata"]["name"]
        assert condition(found, "Available") == (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
        assert condition(found, "Progressing") == (
            "True",
            "NewReplicaSetAvailable",
            f'ReplicaSet "{name}" has successfully progressed.',
        )
        assert rs["metadata"]["annotations"] == {
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
            "deployment.kubernetes.io/revision": "1",
        }
        events = await world.events()
        assert ("Deployment", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 3") in events
        assert sum(reason == "SuccessfulCreate" for _, reason, _ in events) == 3


async def test_a_rolling_update_and_back(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment())
        await settled(world)
        (first,) = await world.items("ReplicaSet")
        image = [{"name": "c", "image": "img:2"}]
        await world.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": image}}}})
        found = await settled(world)
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
        assert {pod["spec"]["containers"][0]["image"] for pod in await world.items("Pod")} == {"img:2"}
        back = [{"name": "c", "image": "img:1"}]
        await world.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": back}}}})
        found = await settled(world)
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
        sets = {rs["metadata"]["name"]: rs for rs in await world.items("ReplicaSet")}
        again = sets[first["metadata"]["name"]]
        assert again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
        assert again["spec"]["replicas"] == 3
        assert sorted(rs["spec"]["replicas"] for rs in sets.values()) == [0, 3]


async def test_a_deleted_pod_is_replaced_and_scaling_follows(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment())
        await settled(world)
        pod = (await world.items("Pod"))[0]
        await world.api.delete("Pod", pod["metadata"]["name"])

        async def replaced() -> bool:
            uids = {p["metadata"]["uid"] for p in await world.items("Pod")}
            return len(uids) == 3 and pod["metadata"]["uid"] not in uids

        await world.until(replaced)
        await settled(world)
        await world.patch("Deployment", "web", {"spec": {"replicas": 5}})
        await settled(world)
        await world.patch("Deployment", "web", {"spec": {"replicas": 1}})
        await settled(world)
        assert len(await world.items("Pod")) == 1


async def test_recreate_has_never_old_and_new_at_once(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment(strategy={"type": "Recreate"}))
        await settled(world)
        seen: list[set[str]] = []
        image = [{"name": "c", "image": "img:2"}]
        await world.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": image}}}})

        async def watch() -> bool:
            seen.append({pod["spec"]["containers"][0]["image"] for pod in await world.items("Pod")})
            return seen[-1] == {"img:2"}

        await world.until(watch, step=0.05)
        assert all(len(images) <= 1 for images in seen)
        await settled(world)


async def test_a_rollout_that_never_gets_ready_is_late(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment(progressDeadlineSeconds=60))
        await settled(world)
        body = {"spec": {"template": {"metadata": {"annotations": {"test/behaviour": "never-ready"}}}}}
        await world.patch("Deployment", "web", body)

        async def late() -> bool:
            found = await world.api.get("Deployment", "web")
            progressing = condition(found, "Progressing")
            return progressing is not None and progressing[1] == "ProgressDeadlineExceeded"

        await world.until(late, seconds=200)
        found = await world.api.get("Deployment", "web")
        assert found["status"]["availableReplicas"] == 3
        assert found["status"]["unavailableReplicas"] == 1


async def test_paused_and_resumed(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment(paused=True))

        async def noted() -> Any:
            return condition(await world.api.get("Deployment", "web"), "Progressing")

        assert await world.until(noted) == ("Unknown", "DeploymentPaused", "Deployment is paused")
        assert await world.items("ReplicaSet") == []
        await world.patch("Deployment", "web", {"spec": {"paused": False}})
        await settled(world)


async def test_old_sets_beyond_the_history_go(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment(revisionHistoryLimit=1, replicas=1))
        for number in range(2, 5):
            await settled(world)
            image = [{"name": "c", "image": f"img:{number}"}]
            await world.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": image}}}})

        async def two() -> bool:
            return len(await world.items("ReplicaSet")) == 2

        await settled(world)
        await world.until(two)


async def test_orphans_are_adopted_and_strays_released(autojump_clock: Any) -> None:
    async with running() as world:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "lone", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "img:1"}]},
        }
        await world.api.create(pod)
        template = deployment()["spec"]["template"]
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        await world.api.create(
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "rs"}, "spec": spec}
        )

        async def two() -> bool:
            rs = await world.api.get("ReplicaSet", "rs")
            return bool(rs["status"].get("readyReplicas") == 2)

        await world.until(two)
        lone = await world.api.get("Pod", "lone")
        assert lone["metadata"]["ownerReferences"][0]["name"] == "rs"
        assert len(await world.items("Pod")) == 2
        await world.patch("Pod", "lone", {"metadata": {"labels": {"app": "other"}}})

        async def released() -> bool:
            return "ownerReferences" not in (await world.api.get("Pod", "lone"))["metadata"]

        await world.until(released)
        await world.until(two)
        assert len(await world.items("Pod")) == 3


async def test_a_replication_controller_does_the_same(autojump_clock: Any) -> None:
    async with running() as world:
        template = deployment()["spec"]["template"]
        spec = {"replicas": 2, "selector": {"app": "web"}, "template": template}
        await world.api.create(
            {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc"}, "spec": spec}
        )

        async def two() -> bool:
            rc = await world.api.get("ReplicationController", "rc")
            return bool(rc["status"].get("readyReplicas") == 2)

        await world.until(two)
        assert len(await world.items("Pod")) == 2
