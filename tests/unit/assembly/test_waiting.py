"""Goals of a wait, as pure tests of plain objects."""

from __future__ import annotations

from typing import Any

import pytest

from kube_actors.assembly.waiting import Goal, value_at


def deployment(available: str, generation: int = 1, observed: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "generation": generation},
        "status": {
            "observedGeneration": observed,
            "replicas": 3,
            "conditions": [{"type": "Available", "status": available, "reason": "Why", "message": "Because."}],
        },
    }


@pytest.mark.parametrize(
    ("what", "obj", "met"),
    [
        ("Available", deployment("True"), True),
        ("available", deployment("True"), True),
        ("Available", deployment("False"), False),
        ("Available=False", deployment("False"), True),
        ("Available", deployment("True", generation=2, observed=1), False),
        ("Available", None, False),
        ("Deleted", None, True),
        ("Deleted", deployment("True"), False),
        ("Exists", deployment("True"), True),
        ("status.replicas=3", deployment("True"), True),
        ("status.replicas=4", deployment("True"), False),
        (lambda obj: obj["status"]["replicas"] > 2, deployment("True"), True),
    ],
)
def test_goals(what: Any, obj: Any, met: bool) -> None:
    assert Goal(what).met(obj) is met


def test_the_shortfall_says_how_it_is_instead() -> None:
    assert Goal("Available").shortfall(deployment("False")) == "Available=False (Why: Because.)"
    assert Goal("status.replicas=4").shortfall(deployment("True")) == "status.replicas is 3"
    assert Goal("Available").shortfall(None) == "there is no such object"
    assert Goal("Ready").shortfall({"status": {}}) == "it has no conditions"


def test_paths_reach_into_lists_and_stop_where_nothing_is() -> None:
    obj = {"a": [{"b": 1}]}
    assert value_at(obj, "a.0.b") == 1
    assert value_at(obj, ".a.1.b") is None
    assert value_at(obj, "a.x") is None
