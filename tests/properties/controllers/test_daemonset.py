"""From any pods that a DaemonSet may have, its plan comes to one on every node, keeps enough serving, and rests."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api import codec, selectors
from kube_actors.api.time import format_time
from kube_actors.api.types.apps_v1 import ControllerRevision, DaemonSet
from kube_actors.api.types.core_v1 import Node, Pod, PodCondition, PodStatus
from kube_actors.controllers import daemon_placement as placing
from kube_actors.controllers import daemonset, pods
from kube_actors.controllers.contract import Told
from kube_actors.controllers.template_hash import pod_template_hash
from tests.kit.planning import Objects

NODES = ("a", "b", "c", "d")
STATES = st.sampled_from(("ready", "waiting", "failed", "leaving", "succeeded"))
PODS = st.lists(st.tuples(st.sampled_from(NODES), st.booleans(), STATES), max_size=6)


def daemon_set(**rolling: Any) -> Any:
    template = {"metadata": {"labels": {"app": "ds"}}, "spec": {"containers": [{"name": "c", "image": "img:2"}]}}
    spec = {
        "selector": {"matchLabels": {"app": "ds"}},
        "template": template,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "revisionHistoryLimit": 1,
    }
    metadata = {"name": "ds", "namespace": "default", "uid": "set", "generation": 1}
    return codec.convert({"metadata": metadata, "spec": spec, "status": {}}, DaemonSet)


def node(name: str, tainted: bool = False) -> Any:
    taints = [{"key": "mine", "effect": "NoSchedule"}] if tainted else []
    return codec.convert({"metadata": {"name": name, "labels": {"n": name}}, "spec": {"taints": taints}}, Node)


class Play:
    def __init__(self, owner: DaemonSet, found: list[tuple[str, bool, str]], tainted: frozenset[str]) -> None:
        self.world = Objects()
        self.nodes = tuple(node(name, name in tainted) for name in NODES)
        self.owner = self.world.put(owner)
        digest = pod_template_hash(owner.spec.template, None)
        for name, is_old, state in found:
            made = placing.creation(owner, name, "old" if is_old else digest, Told(about=owner)).obj
            self.world.put(self.in_state(self.world.put(made), state))
        self.controller = daemonset.DaemonSets()

    def in_state(self, pod: Pod, state: str) -> Pod:
        stamp = format_time(self.world.now)
        condition = PodCondition(
            type="Ready", status="True" if state == "ready" else "False", last_transition_time=stamp
        )
        phase = {"failed": "Failed", "succeeded": "Succeeded"}.get(state, "Running")
        metadata = pod.metadata
        if state == "leaving":
            metadata = structs.replace(metadata, deletion_timestamp=stamp)
        spec = structs.replace(pod.spec, node_name=placing.node_of(pod))
        return structs.replace(
            pod, metadata=metadata, spec=spec, status=PodStatus(phase=phase, conditions=(condition,))
        )

    def step(self) -> int:
        (owner,) = self.world.of(DaemonSet)
        observed = daemonset.Observed(
            owner=owner,
            selector=selectors.compile_selector(owner.spec.selector),
            candidates=tuple(self.world.of(Pod)),
            revisions=tuple(self.world.of(ControllerRevision)),
            nodes=self.nodes,
            now=self.world.now,
        )
        before = self.world.writes
        assert self.world.carry_out(self.controller.plan(observed)) is None
        return self.world.writes - before

    def kubelet(self) -> bool:
        self.world.now += 1
        moved = False
        for pod in self.world.of(Pod):
            if pod.metadata.deletion_timestamp:
                self.world.forget(pod)
                moved = True
            elif not pods.is_terminal(pod) and not pods.is_ready(pod):
                self.world.put(self.in_state(pod, "ready"))
                moved = True
        return moved

    def settle(self) -> None:
        for _ in range(60):
            if not self.step() and not self.kubelet() and not self.step():
                return
            self.kubelet()
        raise AssertionError("it never comes to rest")

    def serving(self) -> set[str]:
        staying = [pod for pod in self.world.of(Pod) if not pod.metadata.deletion_timestamp]
        return {placing.node_of(pod) for pod in staying if pods.is_ready(pod)}


SETTINGS = st.sampled_from(({"maxUnavailable": 1}, {"maxUnavailable": "50%"}, {"maxSurge": 1, "maxUnavailable": 0}))


@settings(max_examples=50, deadline=None)
@given(found=PODS, rolling=SETTINGS, tainted=st.frozensets(st.sampled_from(NODES), max_size=2))
def test_it_comes_to_one_pod_a_node(
    found: list[tuple[str, bool, str]], rolling: dict[str, Any], tainted: frozenset[str]
) -> None:
    play = Play(daemon_set(**rolling), found, tainted)
    play.settle()
    wanted = sorted(set(NODES) - tainted)
    there = sorted(placing.node_of(pod) for pod in play.world.of(Pod))
    assert [name for name in there if name not in tainted] == wanted
    (owner,) = play.world.of(DaemonSet)
    assert (owner.status.desired_number_scheduled, owner.status.number_available or 0) == (len(wanted), len(wanted))
    assert owner.status.updated_number_scheduled == len(wanted)


@settings(max_examples=30, deadline=None)
@given(rolling=st.sampled_from(({"maxUnavailable": 1}, {"maxUnavailable": 2}, {"maxSurge": 2, "maxUnavailable": 0})))
def test_an_update_keeps_enough_nodes_served(rolling: dict[str, Any]) -> None:
    play = Play(daemon_set(**rolling), [(name, True, "ready") for name in NODES], frozenset())
    for _ in range(20):
        play.step()
        assert len(play.serving()) >= len(NODES) - rolling["maxUnavailable"]
        play.kubelet()
    assert {pod.metadata.labels["controller-revision-hash"] for pod in play.world.of(Pod)} != {"old"}


def test_failed_pods_are_replaced_ever_more_slowly() -> None:
    play = Play(daemon_set(maxUnavailable=1), [("a", False, "failed")], frozenset())
    sets = play.controller
    (owner,) = play.world.of(DaemonSet)
    play.step()
    assert play.world.told == [
        next(t for t in play.world.told if t.startswith("Found failed daemon pod default/ds-")),
    ]
    spared = sets._spared_nodes(owner, play.world.now)
    assert spared == {"a": 1.0}
    assert sets._spared_nodes(owner, play.world.now + 1.0) == {}
