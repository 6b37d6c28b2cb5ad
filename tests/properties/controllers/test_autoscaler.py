"""From any number of replicas an autoscaler comes to one that its load asks for, and stays there, always in bounds."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api.messages import Request
from kube_actors.api.types.autoscaling_v2 import (
    CrossVersionObjectReference,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerSpec,
    MetricSpec,
    MetricTarget,
    ResourceMetricSource,
)
from kube_actors.api.types.core_v1 import Container, Pod, PodCondition, PodSpec, PodStatus, ResourceRequirements
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers.autoscaler import Observed, plan
from kube_actors.controllers.contract import Call, Emit, Outcome, Plan, Update
from kube_actors.controllers.replicas import Sample
from kube_actors.controllers.scales import Scaled
from kube_actors.controllers.scaling import History

PERIOD = 15.0
REQUEST = 100
OLD = "1970-01-01T00:00:00Z"


def pod(number: int) -> Pod:
    resources = ResourceRequirements(requests={"cpu": f"{REQUEST}m"})
    ready = PodCondition(type="Ready", status="True", last_transition_time=OLD)
    return Pod(
        metadata=ObjectMeta(name=f"p{number}", namespace="n", labels={"app": "web"}),
        spec=PodSpec(containers=(Container(name="c", resources=resources),)),
        status=PodStatus(phase="Running", start_time=OLD, conditions=(ready,)),
    )


PODS = tuple(pod(number) for number in range(40))


class World:
    """A target whose pods share a load; does what plans say, and looks that each is allowed."""

    def __init__(self, replicas: int, load: int, autoscaler: HorizontalPodAutoscaler) -> None:
        self.replicas, self.load, self.autoscaler = replicas, load, autoscaler
        self.history = History()
        self.now = 1_000_000.0
        self.writes = 0

    def look(self) -> None:
        def remember(history: History | None, _: Any) -> None:
            self.history = history or self.history

        observed = Observed(
            autoscaler=self.autoscaler,
            now=self.now,
            history=self.history,
            select=lambda selector: PODS[: self.replicas],
            remember=remember,
        )
        self.perform(plan(observed))
        self.now += PERIOD

    def perform(self, given: Plan) -> None:
        results = [self.do(action) for action in given.actions]
        if given.then is not None:
            self.perform(given.then(Outcome(results=tuple(results))))
        else:
            assert given.requeue_after == PERIOD

    def do(self, action: Any) -> Any:
        if isinstance(action, Update):
            self.writes += 1
            self.autoscaler = action.obj
            return None
        if isinstance(action, Emit):
            if action.reason == "SuccessfulRescale":
                self.replicas = int(action.message.removeprefix("New size: ").partition(";")[0])
                spec = self.autoscaler.spec
                assert (spec.min_replicas or 1) <= self.replicas <= spec.max_replicas
            return None
        assert isinstance(action, Call)
        if action.name == "scale":
            status = {"replicas": self.replicas, "selector": "app=web"}
            scale = {"metadata": {}, "spec": {"replicas": self.replicas}, "status": status}
            return Scaled(request=Request(verb="get", version="v1", resource="deployments"), scale=scale)
        if action.name == "Resource":
            return {f"p{n}": Sample(self.load // self.replicas, self.now) for n in range(self.replicas)}
        if action.name == "remember":
            step: Any = action.ask(None)  # type: ignore[arg-type]
            try:
                step.send(None)
            except StopIteration:
                return None
        return ""


@settings(max_examples=60, deadline=None)
@given(
    replicas=st.integers(1, 40),
    load=st.integers(0, 3000),
    target=st.integers(10, 150),
    least=st.integers(1, 10),
    spread=st.integers(0, 30),
)
def test_it_comes_to_rest_where_the_load_asks_for(
    replicas: int, load: int, target: int, least: int, spread: int
) -> None:
    metric = ResourceMetricSource(name="cpu", target=MetricTarget(type="Utilization", average_utilization=target))
    spec = HorizontalPodAutoscalerSpec(
        scale_target_ref=CrossVersionObjectReference(api_version="apps/v1", kind="Deployment", name="web"),
        min_replicas=least,
        max_replicas=least + spread,
        metrics=(MetricSpec(type="Resource", resource=metric),),
    )
    world = World(replicas, load, HorizontalPodAutoscaler(metadata=ObjectMeta(name="h", namespace="n"), spec=spec))
    for _ in range(60):  # fifteen minutes: the window of scaling down, more than once
        world.look()
    assert least <= world.replicas <= least + spread
    rest = world.replicas
    if rest not in (least, least + spread):
        percent = load // rest * rest * 100 // (REQUEST * rest)
        lower = math.ceil(percent / target * rest)
        assert 0.9 <= percent / target <= 1.1 or lower == rest
    before = structs.replace(world.autoscaler.status)
    written = world.writes
    for _ in range(4):
        world.look()
    assert world.replicas == rest
    assert world.writes == written and world.autoscaler.status == before, "at rest nothing is written"
