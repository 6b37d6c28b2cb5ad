"""A Job's plan, carried out by hand over pods that end as they like, and broken off wherever one likes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api.selectors import from_labels
from kube_actors.api.time import format_time
from kube_actors.api.types.batch_v1 import Job, JobSpec
from kube_actors.api.types.core_v1 import Pod, PodTemplateSpec
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers import indexes
from kube_actors.controllers.contract import Batch, Chain, Create, Delete, Outcome, Patch, Plan, Update
from kube_actors.controllers.job import plan
from kube_actors.controllers.job_backoff import Record, remaining
from kube_actors.controllers.job_pods import FINALIZER, name_prefix
from kube_actors.controllers.job_state import Observed, is_finished, new_finished

START = 1_800_000_000.0


class World:
    """One Job and its pods; a plan is carried out action by action, until it is broken off."""

    def __init__(self, spec: JobSpec) -> None:
        self.job = Job(metadata=ObjectMeta(name="job", namespace="ns", uid="j"), spec=spec)
        self.pods: dict[str, Pod] = {}
        self.made: dict[str, Pod] = {}
        self.record = Record()
        self.now = START
        self.writes = 0
        self.most_active = 0

    def look(self, steps: int) -> None:
        """One look, broken off after so many actions."""
        if is_finished(self.job):
            return
        found = tuple(self.pods.values())
        self.record = self.record.after(*new_finished(self.job, found))
        observed = Observed(
            job=self.job, selector=from_labels({"a": "b"}), candidates=found, record=self.record, now=self.now
        )
        budget = iter(range(steps))
        self._carry_out(plan(observed), budget)

    def _carry_out(self, wanted: Plan, budget: Iterator[int]) -> bool:
        results: list[Any] = []
        for action in wanted.actions:
            if isinstance(action, Batch):
                done = []
                for one in action.actions:
                    if next(budget, None) is None:
                        return False
                    done.append(self._perform(one))
                results.append(tuple(done))
            elif next(budget, None) is None:
                return False
            else:
                results.append(self._perform(action))
        return wanted.then is None or self._carry_out(wanted.then(Outcome(results=tuple(results))), budget)

    def _perform(self, action: Any) -> Any:
        self.writes += isinstance(action, Create | Update | Patch | Delete)
        match action:
            case Chain():
                return tuple(self._perform(one) for one in action.actions)
            case Create():
                name = f"p{len(self.made)}"
                metadata = structs.replace(action.obj.metadata, name=name, uid=name, creation_timestamp=self.text)
                pod = structs.replace(action.obj, metadata=metadata)
                self.pods[name] = self.made[name] = pod
                self.most_active = max(self.most_active, len(self.active()))
                return pod
            case Update():
                self.job = action.obj
                return self.job
            case Patch():
                name = action.key.removeprefix("ns/")
                if name not in self.pods:
                    return None
                assert action.body["metadata"]["$deleteFromPrimitiveList/finalizers"] == [FINALIZER]
                return self._change(name, finalizers=())
            case Delete():
                name = action.key.removeprefix("ns/")
                if name in self.pods:
                    self._change(name, deletion_timestamp=self.text)
                return name
        return None

    @property
    def text(self) -> str:
        return format_time(self.now)

    def active(self) -> list[str]:
        return [n for n, p in self.pods.items() if not p.status.phase and p.metadata.deletion_timestamp is None]

    def _change(self, name: str, **changes: Any) -> Pod:
        pod = self.pods[name]
        pod = structs.replace(pod, metadata=structs.replace(pod.metadata, **changes))
        self.pods[name] = self.made[name] = pod
        self._settle(name)
        return pod

    def end(self, name: str, phase: str) -> None:
        pod = self.pods[name]
        self.pods[name] = self.made[name] = structs.replace(pod, status=structs.replace(pod.status, phase=phase))
        self._settle(name)

    def delete(self, name: str) -> None:
        self._change(name, deletion_timestamp=self.text)

    def _settle(self, name: str) -> None:
        """What is being deleted is gone once nobody holds it."""
        pod = self.pods[name]
        if pod.metadata.deletion_timestamp is not None and not pod.metadata.finalizers:
            del self.pods[name]


def ended(world: World, phase: str) -> int:
    return sum(pod.status.phase == phase for pod in world.made.values())


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    indexed = draw(st.booleans())
    per_index = draw(st.none() | st.integers(0, 2)) if indexed else None
    return JobSpec(
        template=PodTemplateSpec(metadata=ObjectMeta(labels={"a": "b"})),
        completion_mode="Indexed" if indexed else "NonIndexed",
        completions=draw(st.integers(0, 4)),
        parallelism=draw(st.integers(1, 3)),
        backoff_limit=draw(st.integers(0, 3)),
        backoff_limit_per_index=per_index,
        pod_replacement_policy=draw(st.sampled_from(("Failed", "TerminatingOrFailed"))),
    )


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(("Succeeded", "Failed", "delete", "look")), st.integers(0, 5), st.sampled_from((0, 1, 2, 3, 99))
    ),
    max_size=25,
)


@settings(max_examples=50)
@given(specs(), EVENTS)
def test_every_pod_is_counted_once_whenever_the_controller_dies(spec: JobSpec, events: list[Any]) -> None:
    world = World(spec)
    for what, which, steps in events:
        active = world.active()
        if what == "look":
            world.now += 700
            world.look(steps)
        elif active and what == "delete":
            world.delete(active[which % len(active)])
        elif active:
            world.end(active[which % len(active)], what)
        check(world)
    for _ in range(60):
        # From here on all goes well: what runs succeeds, what is going goes, the pauses pass.
        for name in list(world.pods):
            if not world.pods[name].status.phase:
                world.end(name, "Succeeded" if world.pods[name].metadata.deletion_timestamp is None else "Failed")
        world.now += 700
        world.look(1000)
        check(world)
    assert is_finished(world.job)
    status = world.job.status
    assert not any(FINALIZER in pod.metadata.finalizers for pod in world.pods.values())
    if not indexes_of(world):
        assert (status.succeeded or 0) == ended(world, "Succeeded")
    # A pod that is going when its Job completes is nobody's failure where only failed ones are replaced.
    failed = len(world.made) - ended(world, "Succeeded")
    assert (status.failed or 0) == failed or (spec.pod_replacement_policy == "Failed" and status.completion_time)
    before, writes = world.job, world.writes
    world.look(1000)
    assert world.job is before and world.writes == writes


def indexes_of(world: World) -> bool:
    return world.job.spec.completion_mode == "Indexed"


def check(world: World) -> None:
    status = world.job.status
    assert world.most_active <= (world.job.spec.parallelism or 0)
    assert (status.succeeded or 0) <= ended(world, "Succeeded")
    assert (status.failed or 0) <= len(world.made) - ended(world, "Succeeded")
    done = {c.type for c in status.conditions if c.status == "True"}
    assert not {"Complete", "Failed"} <= done and not {"SuccessCriteriaMet", "FailureTarget"} <= done
    assert "Complete" not in done or status.completion_time
    if indexes_of(world):
        total = indexes.total(indexes.parse(status.completed_indexes, world.job.spec.completions or 0))
        assert (status.succeeded or 0) == total


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.integers(0, 31), st.integers(0, 31))
def test_intervals_are_sets(one: set[int], other: set[int], completions: int, count: int) -> None:
    first, second = indexes.single(one), indexes.single(other)
    assert indexes.merge(first, second) == indexes.single(one | other)
    assert indexes.total(first) == len(one) and indexes.overlap(first, second) == len(one & other)
    assert indexes.parse(indexes.text_of(first), completions) == indexes.single(n for n in one if n < completions)
    missing = [n for n in range(completions) if n not in one][:count]
    assert indexes.first_missing(first, count, completions) == missing
    assert all(indexes.has(first, n) == (n in one) for n in range(32))


def test_texts_of_indexes() -> None:
    assert indexes.text_of(indexes.single({0, 1, 3, 4, 5, 9})) == "0,1,3-5,9"
    assert indexes.parse("x,1-y,2,4-7", 6) == ((2, 2), (4, 5))
    assert name_prefix("job", "7") == "job-7-" and len(name_prefix("j" * 63, "12")) == 58


def test_pauses_double_up_to_ten_minutes() -> None:
    waits = [remaining(failures, 0.0, 0.0) for failures in range(9)]
    assert waits == [0, 10, 20, 40, 80, 160, 320, 600, 600]
    assert remaining(2, 0.0, 25.0) == 0.0
