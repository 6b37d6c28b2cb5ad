"""Jobs over the in-process API server: made, counted, ended; restarted in between; few requests each."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from kube_actors.api.errors import ApiError

from .conftest import World, running


def job(name: str = "job", **spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
    body = {"template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}} | spec
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


async def end(world: World, name: str, phase: str = "Succeeded") -> None:
    await world.client.patch("Pod", name, {"status": {"phase": phase}}, namespace="default", subresource="status")


async def status(world: World, name: str = "job") -> dict[str, Any]:
    found: dict[str, Any] = (await world.api.get("Job", name, "default"))["status"]
    return found


async def until(world: World, **wanted: Any) -> dict[str, Any]:
    async def there() -> Any:
        found = await status(world)
        return found if all(found.get(key) == value for key, value in wanted.items()) else None

    answer: dict[str, Any] = await world.until(there)
    return answer


async def active(world: World) -> list[str]:
    pods = await world.items("Pod")
    return [p["metadata"]["name"] for p in pods if p["status"].get("phase") not in ("Succeeded", "Failed")]


async def test_a_job_ends_once_enough_pods_have_succeeded_though_its_controller_dies(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(job(completions=2))
        for done in range(2):
            await until(world, active=1)
            world.manager.kill("job-controller")
            (name,) = await active(world)
            await end(world, name)
            await until(world, succeeded=done + 1)
        found = await until(world, succeeded=2, active=None)
        told = [(c["type"], c["reason"]) for c in found["conditions"]]
        assert told == [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
        assert found["uncountedTerminatedPods"] == {} and found["completionTime"]
        assert not any(pod["metadata"].get("finalizers") for pod in await world.items("Pod"))
        assert ("Job", "Completed", "Job completed") in await world.events()


async def test_a_failed_pod_is_replaced_after_ten_seconds_and_the_pause_doubles(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(job(backoffLimit=2))
        for failed in range(3):
            await until(world, active=1, failed=failed or None)
            await end(world, (await active(world))[0], "Failed")
        found = await until(world, failed=3)
        assert [(c["type"], c["reason"]) for c in found["conditions"]] == [
            ("FailureTarget", "BackoffLimitExceeded"),
            ("Failed", "BackoffLimitExceeded"),
        ]
        made = sorted(pod["metadata"]["creationTimestamp"] for pod in await world.items("Pod"))
        seconds = [int(text[14:16]) * 60 + int(text[17:19]) for text in made]
        assert 10 <= seconds[1] - seconds[0] <= 13 and 20 <= seconds[2] - seconds[1] <= 23


async def test_the_requests_that_one_job_of_one_pod_costs_are_five(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(job())
        await until(world, active=1)
        await end(world, (await active(world))[0])
        await until(world, succeeded=1)
        (figures,) = [f for f in world.manager.statistics() if f.name == "job-controller"]
        assert figures.actions <= 6, figures  # pod, status, [ready], status, finalizer, status
        assert figures.refused == 0


async def test_the_status_of_a_job_never_goes_back(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(job())
        await until(world, active=1)
        await end(world, (await active(world))[0])
        await until(world, succeeded=1)
        for change, text in (
            ({"succeeded": 0}, "cannot decrease the succeeded counter"),
            ({"conditions": []}, "cannot disable the terminal Complete=True condition"),
            ({"completionTime": "2020-01-01T00:00:00Z"}, "completionTime cannot be mutated"),
            ({"active": 1}, "active>0 is invalid for finished job"),
            ({"startTime": "2020-01-01T00:00:00Z"}, "startTime cannot be removed for unsuspended job"),
        ):
            with pytest.raises(ApiError, match=text):
                await world.client.patch(
                    "Job", "job", {"status": change}, namespace="default", patch_type="merge", subresource="status"
                )


async def test_what_may_change_of_a_job(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(job(suspend=True, completionMode="Indexed", completions=2, parallelism=2))
        await until(world, ready=0)
        resources = {"requests": {"cpu": "1"}}
        pod = {"nodeSelector": {"x": "y"}, "containers": [{"name": "c", "image": "i", "resources": resources}]}
        await world.client.patch("Job", "job", {"spec": {"template": {"spec": pod}}}, namespace="default")
        await world.patch("Job", "job", {"spec": {"completions": 3, "parallelism": 3}})
        for change, text in (
            ({"completions": 2}, "can only be modified in tandem with spec.parallelism"),
            (
                {"template": {"spec": {"restartPolicy": "OnFailure"}}},
                "spec.template: Invalid value.*field is immutable",
            ),
            ({"template": {"metadata": {"labels": {"job-name": "x"}}}}, "must be 'job'"),
            ({"completionMode": "NonIndexed"}, "spec.completionMode: Invalid value"),
        ):
            with pytest.raises(ApiError, match=text):
                await world.patch("Job", "job", {"spec": change})


def tracked(pod: dict[str, Any]) -> bool:
    return "batch.kubernetes.io/job-tracking" in pod["metadata"].get("finalizers", ())


async def test_pods_are_adopted_released_and_let_go(autojump_clock: Any) -> None:
    async with running() as world:
        body = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
        metadata = {"name": "found", "labels": {"a": "b"}}
        await world.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": body})
        selector = {"matchLabels": {"a": "b"}}
        await world.api.create(job(manualSelector=True, selector=selector, completions=2, parallelism=2))
        await until(world, active=2)
        pods = {pod["metadata"]["name"]: pod for pod in await world.items("Pod")}
        assert len(pods) == 2 and pods["found"]["metadata"]["ownerReferences"][0]["name"] == "job"
        assert all(tracked(pod) for pod in pods.values())
        await world.patch("Pod", "found", {"metadata": {"labels": {"a": "x"}}})

        async def replaced() -> bool:
            return len(await world.items("Pod")) == 3

        await world.until(replaced)
        found = await world.api.get("Pod", "found", "default")
        assert not tracked(found) and not found["metadata"].get("ownerReferences")
        await world.client.delete("Job", "job", namespace="default", propagation="Orphan")

        async def free() -> bool:
            return not any(tracked(pod) for pod in await world.items("Pod"))

        await world.until(free)
        assert len(await world.items("Pod")) == 3


async def test_somebody_elses_job_is_left_alone(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(job(managedBy="example.com/others"))
        await world.api.create(job("ours", managedBy="kubernetes.io/job-controller"))
        await world.until(lambda: world.items("Pod"))
        assert await status(world) == {} and len(await world.items("Pod")) == 1


async def test_a_job_that_may_make_no_pod_asks_ever_more_seldom(autojump_clock: Any) -> None:
    async with running() as world:
        spec = {"hard": {"pods": "0"}}
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec}
        await world.api.create(quota)
        await trio.sleep(2)
        await world.api.create(job())
        await trio.sleep(60)
        (figures,) = [f for f in world.manager.statistics() if f.name == "job-controller"]
        assert 3 <= figures.refused <= 8 and figures.actions <= 12
        assert any(reason == "FailedCreate" and "exceeded quota" in text for _, reason, text in await world.events())
