"""A pod spec that was found in order is not looked at again; one that was not, always is."""

from __future__ import annotations

import copy
from typing import Any

from kube_actors.apiserver import limits
from kube_actors.apiserver.strategies import capabilities, known_specs
from kube_actors.apiserver.strategies.checks import Problems
from kube_actors.apiserver.strategies.pod_validation import spec_problems


class Counting:
    """The real judge, with a count of what it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, spec: dict[str, Any], path: str) -> Problems:
        self.asked += 1
        return spec_problems(spec, path)


def spec(suffix: str, image: str, **security: Any) -> dict[str, Any]:
    volume = f"kube-api-access-{suffix}"
    mount = {"name": volume, "mountPath": "/token"}
    one = {
        "name": "c",
        "image": image,
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
        "volumeMounts": [mount],
        "securityContext": security,
    }
    return {
        "containers": [one],
        "volumes": [{"name": volume, "emptyDir": {}}],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
    }


def test_pods_of_one_template_are_judged_once() -> None:
    judge = Counting()
    for suffix in ("abcde", "fghij", "01234"):
        assert known_specs.problems(spec(suffix, "known-specs:1"), judge) == []
    assert judge.asked == 1
    assert known_specs.problems(spec("abcde", "known-specs:2"), judge) == []
    assert judge.asked == 2


def test_problems_are_found_each_time_and_in_their_own_words() -> None:
    judge = Counting()
    good = spec("abcde", "known-specs:3")
    assert known_specs.problems(good, judge) == []
    bad = copy.deepcopy(good)
    bad["containers"][0]["volumeMounts"][0]["name"] = "kube-api-access-fghij"
    for _ in range(2):
        assert known_specs.problems(bad, judge) == spec_problems(bad, "spec") != []
    named = spec("ABCDE", "known-specs:3")
    assert known_specs.problems(named, judge) == spec_problems(named, "spec") != []


def test_what_a_server_allows_counts() -> None:
    wanted = spec("abcde", "known-specs:4", privileged=True)
    assert known_specs.problems(wanted, spec_problems) == []
    with capabilities.without_privileged():
        assert known_specs.problems(wanted, spec_problems) != []


def test_few_and_small_ones_are_remembered() -> None:
    judge = Counting()
    large = spec("abcde", "i" * limits.KNOWN_SPEC_BYTES[1])
    for _ in range(2):
        known_specs.problems(large, judge)
    assert judge.asked == 2
    for number in range(limits.KNOWN_SPECS + 1):
        known_specs.problems({**spec("abcde", "known-specs:5"), "priority": number}, lambda spec, path: [])
    assert len(known_specs._sound) <= limits.KNOWN_SPECS
