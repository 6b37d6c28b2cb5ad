"""From any pods that a StatefulSet may have, its plan comes to the wanted ones, in order, and then rests."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api import codec, selectors
from kube_actors.api.owners import controller_reference
from kube_actors.api.time import format_time
from kube_actors.api.types.apps_v1 import ControllerRevision, StatefulSet
from kube_actors.api.types.core_v1 import PersistentVolumeClaim, Pod, PodCondition, PodStatus
from kube_actors.controllers import history, statefulset
from kube_actors.controllers import stateful_pods as identity
from tests.kit.planning import Objects

STATES = st.sampled_from(("ready", "waiting", "pending", "failed", "leaving"))


def stateful_set(replicas: int, *, parallel: bool = False, start: int = 0, claims: bool = False, **rolling: Any) -> Any:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "db"}},
        "serviceName": "db",
        "podManagementPolicy": "Parallel" if parallel else "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, **rolling}},
        "ordinals": {"start": start},
        "revisionHistoryLimit": 1,
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "img:2"}]}},
    }
    if claims:
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    metadata = {"name": "db", "namespace": "default", "uid": "set", "generation": 1}
    return codec.convert({"metadata": metadata, "spec": spec}, StatefulSet)


def in_state(pod: Pod, state: str, now: float) -> Pod:
    condition = PodCondition(
        type="Ready", status="True" if state == "ready" else "False", last_transition_time=format_time(now)
    )
    phase = {"pending": "Pending", "failed": "Failed"}.get(state, "Running")
    metadata = pod.metadata
    if state == "leaving":
        metadata = structs.replace(metadata, deletion_timestamp=format_time(now))
    return structs.replace(pod, metadata=metadata, status=PodStatus(phase=phase, conditions=(condition,)))


class Play:
    def __init__(self, owner: StatefulSet, pods: dict[int, tuple[bool, str]], several: bool = False) -> None:
        self.world = Objects()
        self.several = several
        self.owner = self.world.put(owner)
        template = codec.convert(codec.to_dict(owner.spec.template), type(owner.spec.template))
        old = structs.replace(template, metadata=structs.replace(template.metadata, annotations={"a": "old"}))
        revision = self.world.put(history.new_revision(owner, old, 1, 0))
        name = history.new_revision(owner, owner.spec.template, 2, 0).metadata.name
        for ordinal, (is_old, state) in pods.items():
            pod = identity.new_pod(
                owner, old if is_old else owner.spec.template, revision.metadata.name if is_old else name, ordinal
            )
            self.world.put(in_state(self.world.put(pod), state, self.world.now))

    def observed(self) -> statefulset.Observed:
        (owner,) = self.world.of(StatefulSet)
        return statefulset.Observed(
            owner=owner,
            selector=selectors.compile_selector(owner.spec.selector),
            candidates=tuple(self.world.of(Pod)),
            revisions=tuple(self.world.of(ControllerRevision)),
            claims={claim.metadata.name: claim for claim in self.world.of(PersistentVolumeClaim)},
            now=self.world.now,
            several=self.several,
        )

    def step(self) -> int:
        before = self.world.writes
        assert self.world.carry_out(statefulset.plan(self.observed())) is None
        return self.world.writes - before

    def kubelet(self) -> None:
        self.world.now += 1
        for pod in self.world.of(Pod):
            if pod.metadata.deletion_timestamp:
                self.world.forget(pod)
            elif pod.status.phase != "Failed" and not statefulset.pods.is_ready(pod):
                self.world.put(in_state(pod, "ready", self.world.now))

    def pods(self) -> dict[int, Pod]:
        return {identity.ordinal_of(pod): pod for pod in self.world.of(Pod)}

    def settle(self) -> None:
        for _ in range(60):
            if self.step() == 0 and self.step() == 0:
                before = self.pods()
                self.kubelet()
                if self.pods() == before and self.step() == 0:
                    return
            self.kubelet()
        raise AssertionError("it never comes to rest")


PODS = st.dictionaries(st.integers(0, 6), st.tuples(st.booleans(), STATES), max_size=6)


@settings(max_examples=60, deadline=None)
@given(pods=PODS, replicas=st.integers(0, 4), start=st.integers(0, 2), parallel=st.booleans(), claims=st.booleans())
def test_it_comes_to_the_wanted_pods(
    pods: dict[int, tuple[bool, str]], replicas: int, start: int, parallel: bool, claims: bool
) -> None:
    if not parallel:
        # In order, a pod beyond the wanted ones that failed holds the others up for ever, as in Kubernetes.
        wanted = range(start, start + replicas)
        pods = {
            n: (old, "ready" if state == "failed" and n not in wanted else state) for n, (old, state) in pods.items()
        }
    play = Play(stateful_set(replicas, start=start, parallel=parallel, claims=claims), pods)
    play.settle()
    assert sorted(play.pods()) == list(range(start, start + replicas))
    (owner,) = play.world.of(StatefulSet)
    assert {identity.revision_of(pod) for pod in play.pods().values()} <= {owner.status.update_revision}
    assert owner.status.replicas == (owner.status.available_replicas or 0) == replicas
    if replicas:
        assert owner.status.current_revision == owner.status.update_revision
    assert len(play.world.of(ControllerRevision)) <= 2


@settings(max_examples=40, deadline=None)
@given(
    pods=st.dictionaries(st.integers(0, 4), st.tuples(st.booleans(), STATES), max_size=5), replicas=st.integers(1, 4)
)
def test_in_order_means_one_after_the_other(pods: dict[int, tuple[bool, str]], replicas: int) -> None:
    play = Play(stateful_set(replicas), pods)
    for _ in range(30):
        before = play.pods()
        play.step()
        for ordinal in play.pods().keys() - before.keys():
            lower = [before.get(number) for number in range(ordinal)]
            assert all(pod is not None and statefulset.pods.is_ready(pod) for pod in lower), "made before its turn"
        gone = [
            number
            for number, pod in play.pods().items()
            if pod.metadata.deletion_timestamp and not before[number].metadata.deletion_timestamp
        ]
        assert len(gone) <= 1, "one at a time"
        play.kubelet()


def test_several_at_once_behind_the_gate() -> None:
    pods = dict.fromkeys(range(4), (True, "ready"))
    play = Play(stateful_set(4, maxUnavailable=2), pods, several=True)
    play.step()
    leaving = {number for number, pod in play.pods().items() if pod.metadata.deletion_timestamp}
    assert leaving == {2, 3}
    play = Play(stateful_set(4, maxUnavailable=2), pods)
    play.step()
    assert {number for number, pod in play.pods().items() if pod.metadata.deletion_timestamp} == {3}


def test_claims_follow_the_retention_policy() -> None:
    owner = stateful_set(2, claims=True)
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    spec = codec.to_dict(owner.spec) | {"persistentVolumeClaimRetentionPolicy": policy}
    owner = structs.replace(owner, spec=codec.convert(spec, type(owner.spec)))
    play = Play(owner, {})
    play.settle()
    claims = {claim.metadata.name: claim for claim in play.world.of(PersistentVolumeClaim)}
    assert sorted(claims) == ["data-db-0", "data-db-1"]
    assert all(claim.metadata.owner_references == (controller_reference(play.owner),) for claim in claims.values())
    (now,) = play.world.of(StatefulSet)
    play.world.put(structs.replace(now, spec=structs.replace(now.spec, replicas=1)))
    pod = play.pods()[1]
    for _ in range(4):
        play.step()
    (last,) = [c for c in play.world.of(PersistentVolumeClaim) if c.metadata.name == "data-db-1"]
    assert last.metadata.owner_references == (controller_reference(pod),)
