"""Which pods go first, judged by nothing but the pods."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import ContainerStatus, Pod, PodCondition
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers import pods

NOW = 1_800_000_000.0


def pod(
    name: str,
    *,
    node: str | None = "n",
    phase: str = "Running",
    ready_for: float | None = 1000.0,
    created: float = 2000.0,
    restarts: int = 0,
    cost: str | None = None,
) -> Pod:
    annotations = {} if cost is None else {pods.DELETION_COST: cost}
    metadata = ObjectMeta(name=name, uid=name, annotations=annotations, creation_timestamp=format_time(NOW - created))
    made = Pod(metadata=metadata)
    since = None if ready_for is None else format_time(NOW - ready_for)
    condition = PodCondition(type="Ready", status="False" if since is None else "True", last_transition_time=since)
    container = ContainerStatus(name="c", image="i", image_id="", ready=True, restart_count=restarts)
    status = structs.replace(made.status, phase=phase, conditions=(condition,), container_statuses=(container,))
    return structs.replace(made, spec=structs.replace(made.spec, node_name=node), status=status)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("z", node=None), pod("a")),
        (pod("z", phase="Pending"), pod("a", phase="Unknown")),
        (pod("z", phase="Unknown"), pod("a")),
        (pod("z", ready_for=None), pod("a")),
        (pod("z", cost="-5"), pod("a")),
        (pod("z"), pod("a", cost="10")),
        (pod("z", node="crowded"), pod("a")),
        (pod("z", ready_for=10), pod("a", ready_for=1000)),
        (pod("z", restarts=3), pod("a")),
        (pod("z", created=10), pod("a", created=20_000)),
        (pod("a", ready_for=1000), pod("z", ready_for=1001)),
    ],
)
def test_the_order_of_deletion(first: Pod, second: Pod) -> None:
    crowd = {"crowded": 2, "n": 1}
    assert pods.deletion_order([second, first], crowd, NOW) == [first, second]
    assert pods.deletion_order([first, second], crowd, NOW) == [first, second]


@pytest.mark.parametrize(("text", "cost"), [("7", 7), ("-7", -7), ("+7", 0), ("07", 0), ("x", 0), (str(2**31), 0)])
def test_costs_that_are_nonsense_count_as_none(text: str, cost: int) -> None:
    assert pods.deletion_cost(pod("a", cost=text)) == cost


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (lambda p: pods.is_available(p, 0, NOW), True),
        (lambda p: pods.is_available(p, 1000, NOW), True),
        (lambda p: pods.is_available(p, 1001, NOW), False),
        (lambda p: pods.available_in(p, 1060, NOW), 60.0),
    ],
)
def test_available_after_a_while(check: Callable[[Pod], object], expected: object) -> None:
    assert check(pod("a", ready_for=1000.0)) == expected
