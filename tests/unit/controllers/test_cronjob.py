"""CronJobs in virtual time: each time kept once, whatever runs, whoever dies, however the clock jumps."""

from __future__ import annotations

from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api.cron import parse
from kube_actors.api.time import format_time, parse_time
from kube_actors.api.types.batch_v1 import CronJob, CronJobSpec, CronJobStatus, JobTemplateSpec
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers import schedules
from kube_actors.controllers.cronjob import Observed, plan

from .conftest import World, running


def cronjob(**spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
    template = {"spec": {"template": {"spec": pod}}}
    body = {"schedule": "* * * * *", "jobTemplate": template} | spec
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": body}


async def jobs(world: World) -> list[str]:
    return sorted(job["metadata"]["name"] for job in await world.items("Job"))


async def finish(world: World) -> None:
    for pod in await world.items("Pod"):
        if pod["status"].get("phase") not in ("Succeeded", "Failed"):
            name, body = pod["metadata"]["name"], {"status": {"phase": "Succeeded"}}
            await world.client.patch("Pod", name, body, namespace="default", subresource="status")


async def test_a_job_each_minute_and_only_the_last_are_kept(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(cronjob(successfulJobsHistoryLimit=2))
        seen: set[str] = set()
        for _ in range(24):
            await trio.sleep(10)
            world.manager.kill("cronjob-controller")
            await finish(world)
            seen.update(await jobs(world))
        assert 3 <= len(seen) <= 4 and len(await jobs(world)) <= 3
        found = await world.api.get("CronJob", "c", "default")
        last = int(parse_time(found["status"]["lastScheduleTime"]))
        assert last % 60 == 0 and f"c-{last // 60}" in seen and found["status"]["lastSuccessfulTime"]
        made = await world.api.get("Job", f"c-{last // 60}", "default")
        stamp = made["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
        assert parse_time(stamp) == last
        told = {(reason, text.rpartition("-")[0]) for _, reason, text in await world.events()}
        assert ("SuccessfulCreate", "Created job c") in told and ("SuccessfulDelete", "Deleted job c") in told


async def test_what_runs_forbids_or_is_replaced(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(cronjob(concurrencyPolicy="Forbid"))
        await trio.sleep(200)
        (first,) = await jobs(world)
        assert any(reason == "JobAlreadyActive" for _, reason, _ in await world.events())
        await world.patch("CronJob", "c", {"spec": {"concurrencyPolicy": "Replace"}})
        await trio.sleep(70)
        found = await world.api.get("CronJob", "c", "default")
        assert [ref["name"] for ref in found["status"]["active"]] != [first] and len(found["status"]["active"]) == 1


async def test_a_finished_job_goes_when_it_asked_to(autojump_clock: Any) -> None:
    async with running() as world:
        pod = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
        spec = {"template": {"spec": pod}, "ttlSecondsAfterFinished": 100, "backoffLimit": 0}
        await world.api.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec})
        await trio.sleep(5)
        await finish(world)
        await trio.sleep(90)
        assert await jobs(world) == ["j"]
        await trio.sleep(30)
        assert await jobs(world) == []


START = 1_800_000_000.0


@settings(max_examples=25)
@given(
    st.sampled_from(("* * * * *", "*/7 * * * *", "30 6-16/4 * * 1-5", "0 0 1 1 *", "@every 45s")),
    st.none() | st.integers(0, 4000),
    st.lists(st.floats(-5000, 500_000), max_size=6),
)
def test_clocks_that_jump_make_no_time_come_twice(text: str, deadline: int | None, jumps: list[float]) -> None:
    found = CronJob(
        metadata=ObjectMeta(name="c", namespace="n", uid="u", creation_timestamp=format_time(START)),
        spec=CronJobSpec(schedule=text, job_template=JobTemplateSpec(), starting_deadline_seconds=deadline),
    )
    schedule, now, kept = parse(text), START, []
    for jump in jumps:
        now = max(START, now + jump)
        missed = schedules.missed(found, schedule, now, deadline=True)
        assert schedules.wait(found, schedule, now) > 0
        assert plan(Observed(cron=found, jobs=(), now=now)) is not None
        if missed.latest is not None:
            assert missed.since < missed.latest <= now
            kept.append(missed.latest)
            found = structs.replace(found, status=CronJobStatus(last_schedule_time=format_time(missed.latest)))
    assert kept == sorted(set(kept))
