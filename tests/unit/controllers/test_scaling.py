"""The autoscaler's arithmetic: in bounds, monotone, stable in its windows, as fast as its policies let it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api.types.autoscaling_v2 import HorizontalPodAutoscalerBehavior, HPAScalingPolicy, HPAScalingRules
from kube_actors.api.types.core_v1 import Container, Pod, PodCondition, PodSpec, PodStatus, ResourceRequirements
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers.replicas import Rules, Sample, Unknown, by_average, by_share, by_total, by_utilization
from kube_actors.controllers.scaling import Bounds, History, Moment, first, normalized, scaled

NOW = 10_000.0
OLD = "1970-01-01T00:00:00Z"

policies = st.builds(
    HPAScalingPolicy,
    type=st.sampled_from(["Pods", "Percent"]),
    value=st.integers(1, 200),
    period_seconds=st.integers(1, 600),
)
rules = st.builds(
    HPAScalingRules,
    policies=st.lists(policies, min_size=1, max_size=3).map(tuple),
    select_policy=st.sampled_from(["Max", "Min", "Disabled"]),
    stabilization_window_seconds=st.none() | st.integers(0, 600),
)
behaviors = st.none() | st.builds(HorizontalPodAutoscalerBehavior, scale_up=rules, scale_down=rules)
moments = st.lists(st.builds(Moment, st.integers(1, 60), st.floats(NOW - 900, NOW)), max_size=5).map(tuple)
histories = st.builds(History, recommendations=moments, added=moments, taken=moments)
bounds = st.tuples(st.integers(1, 30), st.integers(0, 30)).map(lambda t: Bounds(least=t[0], most=t[0] + t[1]))


@settings(max_examples=150, deadline=None)
@given(behaviors, histories, bounds, st.integers(0, 60), st.integers(0, 1000))
def test_never_out_of_bounds(
    behavior: HorizontalPodAutoscalerBehavior | None, history: History, limit: Bounds, offset: int, desired: int
) -> None:
    current = min(limit.most, limit.least + offset)
    verdict, after = normalized(behavior, history, current, desired, limit, NOW)
    assert limit.least <= verdict.replicas <= limit.most
    assert Moment(desired, NOW) in after.recommendations
    if behavior is not None and verdict.replicas > current:
        assert behavior.scale_up is not None and behavior.scale_up.select_policy != "Disabled"
    if behavior is not None and verdict.replicas < current:
        assert behavior.scale_down is not None and behavior.scale_down.select_policy != "Disabled"


@settings(max_examples=100, deadline=None)
@given(behaviors, histories, bounds, st.integers(0, 60), st.integers(0, 200), st.integers(0, 200))
def test_a_higher_recommendation_never_gives_fewer_replicas(
    behavior: HorizontalPodAutoscalerBehavior | None, history: History, limit: Bounds, offset: int, one: int, other: int
) -> None:
    current = min(limit.most, limit.least + offset)
    low, high = sorted((one, other))
    less, _ = normalized(behavior, history, current, low, limit, NOW)
    more, _ = normalized(behavior, history, current, high, limit, NOW)
    assert less.replicas <= more.replicas


def test_going_down_waits_for_the_window() -> None:
    history = first(History(), 10, NOW)
    limit = Bounds(least=1, most=20)
    verdict, history = normalized(None, history, 10, 2, limit, NOW + 15)
    assert verdict.replicas == 10
    assert verdict.able[0] == "ScaleDownStabilized"
    verdict, _ = normalized(None, history, 10, 2, limit, NOW + 301)
    assert verdict.replicas == 2
    assert (verdict.able[0], verdict.limit[0]) == ("ReadyForNewScale", "DesiredWithinRange")


def test_going_up_at_most_doubles() -> None:
    verdict, _ = normalized(None, History(), 3, 40, Bounds(least=1, most=100), NOW)
    assert (verdict.replicas, verdict.limited, verdict.limit[0]) == (6, True, "ScaleUpLimit")
    verdict, _ = normalized(None, History(), 1, 40, Bounds(least=1, most=3), NOW)
    assert (verdict.replicas, verdict.limit[0]) == (3, "TooManyReplicas")


def test_a_policy_counts_what_was_scaled_in_its_period() -> None:
    up = HPAScalingRules(
        policies=(HPAScalingPolicy(type="Pods", value=4, period_seconds=60),),
        select_policy="Max",
        stabilization_window_seconds=0,
    )
    down = HPAScalingRules(
        policies=(HPAScalingPolicy(type="Percent", value=10, period_seconds=60),),
        select_policy="Max",
        stabilization_window_seconds=0,
    )
    behavior = HorizontalPodAutoscalerBehavior(scale_up=up, scale_down=down)
    limit = Bounds(least=1, most=100)
    history = scaled(History(), behavior, 10, 13, NOW)
    assert normalized(behavior, history, 13, 50, limit, NOW + 15)[0].replicas == 14
    assert normalized(behavior, history, 13, 50, limit, NOW + 61)[0].replicas == 17
    history = scaled(History(), behavior, 80, 72, NOW)
    assert normalized(behavior, history, 72, 1, limit, NOW + 15)[0].replicas == 72
    assert normalized(behavior, history, 72, 1, limit, NOW + 61)[0].replicas == 64


def pod(name: str, *, phase: str = "Running", ready: str = "True", request: str = "100m") -> Pod:
    resources = ResourceRequirements(requests={"cpu": request} if request else {})
    return Pod(
        metadata=ObjectMeta(name=name, namespace="ns"),
        spec=PodSpec(containers=(Container(name="c", resources=resources),)),
        status=PodStatus(
            phase=phase,
            start_time=OLD,
            conditions=(PodCondition(type="Ready", status=ready, last_transition_time="1970-01-01T00:10:00Z"),),
        ),
    )


def samples(*values: int) -> dict[str, Sample]:
    return {f"p{number}": Sample(value, NOW) for number, value in enumerate(values)}


RULES = Rules()


@pytest.mark.parametrize(
    ("values", "replicas", "percent"),
    [((50, 50), 2, 50), ((100, 100), 4, 100), ((20, 20), 1, 20), ((54, 54), 2, 54), ((56, 56), 3, 56)],
)
def test_utilization(values: Any, replicas: int, percent: int) -> None:
    found = by_utilization(2, 50, "cpu", "", [pod("p0"), pod("p1")], samples(*values), RULES, NOW)
    assert (found.replicas, found.percent) == (replicas, percent)


def test_who_was_not_measured_counts_against_the_change() -> None:
    members = [pod("p0"), pod("p1"), pod("p2")]
    assert by_utilization(3, 50, "cpu", "", members, samples(90, 90), RULES, NOW).replicas == 4  # 0 for the third
    assert by_utilization(3, 50, "cpu", "", members, samples(10, 10), RULES, NOW).replicas == 3  # 100% for the third
    pending = [pod("p0"), pod("p1"), pod("p2", phase="Pending")]
    assert by_utilization(3, 50, "cpu", "", pending, samples(90, 90), RULES, NOW).replicas == 4


@pytest.mark.parametrize(
    ("members", "measured", "text"),
    [
        ([], (50,), "no pods returned by selector while calculating replica count"),
        ([pod("p0", phase="Pending")], (), "did not receive metrics for targeted pods (pods might be unready)"),
        ([pod("p0", request="")], (50,), "missing request for cpu in container c of Pod p0"),
    ],
)
def test_what_cannot_be_computed(members: list[Pod], measured: tuple[int, ...], text: str) -> None:
    with pytest.raises(Unknown) as caught:
        by_utilization(1, 50, "cpu", "", members, samples(*measured), RULES, NOW)
    assert str(caught.value) == text


def test_a_starting_pod_counts_once_it_was_ready_for_a_window() -> None:
    fresh = Rules(cpu_initialization=NOW + 1.0)
    late = {"p0": Sample(90, 660.0, 60.0)}
    early = {"p0": Sample(90, 659.0, 60.0)}
    assert by_average(1, 50, "cpu", [pod("p0")], late, fresh, NOW).replicas == 2
    with pytest.raises(Unknown):
        by_average(1, 50, "cpu", [pod("p0")], early, fresh, NOW)
    assert by_average(1, 50, "memory", [pod("p0", ready="False")], early, fresh, NOW).replicas == 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=8), st.integers(0, 8), st.integers(1, 500))
def test_more_use_never_asks_for_fewer_pods(values: Any, extra: int, target: int) -> None:
    count = len(values)
    members = [pod(f"p{number}") for number in range(count + extra)]
    current = count + extra
    one = by_utilization(current, target, "cpu", "", members, samples(*values), RULES, NOW)
    two = by_utilization(current, target, "cpu", "", members, samples(*(2 * value for value in values)), RULES, NOW)
    assert one.replicas <= two.replicas


def test_totals_and_shares() -> None:
    members = [pod("p0"), pod("p1"), pod("p2", ready="False")]
    assert by_total(3, 10, 20, members, RULES).replicas == 4  # of two that are ready
    assert by_total(0, 10, 25, [], RULES).replicas == 3
    assert by_share(2, 10, 95, RULES).replicas == 10
    assert by_share(0, 10, 95, RULES).replicas == 10
    assert by_share(10, 10, 105, RULES) == by_share(10, 10, 105, Rules(up=0.05))
    assert by_share(10, 10, 105, Rules(up=0.01)).replicas == 11
