"""What the server says of changes that may not be, and the smaller answers around them."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from kube_actors.apiserver import autoscaling_v1
from kube_actors.apiserver.strategies import checks, flow_validation, go_diff, quota_validation
from tests.kit.apiserver import running_apiserver

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i:1", "resources": {"requests": {"cpu": "1"}}}]},
}


async def test_a_change_of_what_is_fixed_in_a_pod_is_shown_as_a_difference(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        made = await api.create(POD)
        made["spec"]["hostname"] = "h"
        with pytest.raises(ApiError) as refused:
            await api.update(made)
        assert '- "Hostname": "",\n+ "Hostname": "h",' in refused.value.status.message


async def test_a_resize_changes_resources_and_nothing_else(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        made = await api.create(POD)
        made["spec"]["containers"][0].update(image="other", resources={"requests": {"cpu": "2"}})
        found = await api.ask("update", "Pod", "", "p", subresource="resize", body=made)
        container = found["spec"]["containers"][0]
        assert (container["image"], container["resources"]["requests"], found["metadata"]["generation"]) == (
            "i:1",
            {"cpu": "2"},
            2,
        )


def test_a_difference_names_fields_in_the_order_of_the_types() -> None:
    text = go_diff.difference("PersistentVolumeClaimSpec", {"volumeName": "a"}, {"volumeName": "b"})
    assert '- "VolumeName": "a",\n+ "VolumeName": "b",\n  "StorageClassName": null,' in text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("10.0.0.0/8", ""),
        ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
        ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
        ("FD00::/64", 'must be in canonical form ("fd00::/64")'),
        ("10.0.0.0", checks.CIDR_TEXT),
        ("10.0.0.0/33", checks.CIDR_TEXT),
    ],
)
def test_networks_have_one_spelling(text: str, complaint: str) -> None:
    assert [problem.detail for problem in checks.cidr(text, "at")] == ([complaint] if complaint else [])


def test_metrics_and_behaviour_survive_the_way_through_the_older_version() -> None:
    metrics = [
        {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
        {
            "type": "External",
            "external": {
                "metric": {"name": "e", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"type": "Value", "value": "3"},
            },
        },
    ]
    behavior = {"scaleDown": {"selectPolicy": "Max", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 2}]}}
    assert autoscaling_v1.read_metrics(autoscaling_v1.write_metrics(metrics)) == metrics
    assert autoscaling_v1.read_behavior(autoscaling_v1.write_behavior(behavior)) == behavior


def test_a_hand_of_queues_must_fit_the_hash() -> None:
    def level(queues: int, hand: int) -> dict[str, Any]:
        response = {"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 5}}
        return {"metadata": {"name": "l"}, "spec": {"type": "Limited", "limited": {"limitResponse": response}}}

    assert flow_validation.priority_level(level(64, 8)) == []
    assert "entropy bits" in flow_validation.priority_level(level(10_000_000, 10))[0].detail


def test_a_scope_counts_only_what_lives_in_it() -> None:
    quota = {"spec": {"hard": {"services": "1"}, "scopes": ["BestEffort"]}}
    assert [problem.detail for problem in quota_validation.quota(quota)] == ["unsupported scope applied to resource"]
