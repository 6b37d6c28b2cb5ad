"""A rolling update keeps its promise at every step and ends, whatever the pods do and however often it is looked at."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api.owners import controller_reference
from kube_actors.api.types.apps_v1 import (
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetStatus,
    RollingUpdateDeployment,
)
from kube_actors.api.types.core_v1 import Container, PodSpec, PodTemplateSpec
from kube_actors.api.types.meta_v1 import LabelSelector, ObjectMeta
from kube_actors.controllers import deployment as deployments
from kube_actors.controllers import rollout
from kube_actors.controllers.contract import Create, Delete, Outcome, Patch, Plan, Update

PERCENT = st.integers(0, 100).map(lambda number: f"{number}%")
AMOUNT = st.one_of(st.integers(0, 5), PERCENT)


def template(image: str) -> PodTemplateSpec:
    containers = (Container(name="c", image=image),)
    return PodTemplateSpec(metadata=ObjectMeta(labels={"app": "web"}), spec=PodSpec(containers=containers))


class World:
    """A Deployment and its sets; what a plan asks for is done at once, what pods do is drawn."""

    def __init__(self, replicas: int, surge: int | str, lack: int | str) -> None:
        strategy = DeploymentStrategy(
            type="RollingUpdate", rolling_update=RollingUpdateDeployment(max_surge=surge, max_unavailable=lack)
        )
        spec = DeploymentSpec(
            replicas=replicas,
            selector=LabelSelector(match_labels={"app": "web"}),
            strategy=strategy,
            template=template("img:1"),
        )
        metadata = ObjectMeta(name="web", namespace="default", uid="d", generation=1)
        self.deployment = Deployment(metadata=metadata, spec=spec)
        self.sets: dict[str, ReplicaSet] = {}
        self.now = 1000.0

    def roll(self, image: str) -> None:
        metadata = structs.replace(self.deployment.metadata, generation=self.deployment.metadata.generation + 1)
        spec = structs.replace(self.deployment.spec, template=template(image))
        self.deployment = structs.replace(self.deployment, metadata=metadata, spec=spec)

    def look(self) -> bool:
        """One plan, performed; whether it did anything."""
        observed = deployments.Observed(deployment=self.deployment, candidates=tuple(self.sets.values()), now=self.now)
        return self.perform(deployments.plan(observed))

    def perform(self, plan: Plan) -> bool:
        for action in plan.actions:
            match action:
                case Create(obj=obj):
                    self.now += 1
                    metadata = structs.replace(obj.metadata, uid=obj.metadata.name, generation=1)
                    assert metadata.owner_references == (controller_reference(self.deployment),)
                    self.sets[metadata.name] = structs.replace(
                        obj, metadata=metadata, status=ReplicaSetStatus(replicas=0, observed_generation=1)
                    )
                case Patch(key=key, body=body):
                    self.patch(key.rpartition("/")[2], body)
                case Update(obj=obj):
                    self.deployment = structs.replace(self.deployment, metadata=obj.metadata, status=obj.status)
                case Delete(key=key):
                    del self.sets[key.rpartition("/")[2]]
        if plan.then is not None:
            self.perform(plan.then(Outcome(results=(None,) * len(plan.actions))))
        return bool(plan.actions)

    def patch(self, name: str, body: dict[str, dict[str, object]]) -> None:
        rs = self.sets[name]
        annotations = {**rs.metadata.annotations, **body["metadata"].get("annotations", {})}  # type: ignore[dict-item]
        spec = rs.spec
        if "replicas" in body.get("spec", {}):
            spec = structs.replace(spec, replicas=body["spec"]["replicas"])
        self.sets[name] = structs.replace(rs, metadata=structs.replace(rs.metadata, annotations=annotations), spec=spec)

    def live(self, draw: st.DataObject) -> None:
        """Every set follows its size; some of the pods that are not available yet become so."""
        for name, rs in self.sets.items():
            wanted = rollout.replicas_of(rs)
            # The ReplicaSet controller takes pods that are not ready first.
            kept = min(rs.status.available_replicas or 0, wanted)
            ready = kept + draw.draw(st.integers(0, wanted - kept), label=f"ready of {name}")
            status = ReplicaSetStatus(
                replicas=wanted,
                available_replicas=ready,
                ready_replicas=ready,
                observed_generation=rs.metadata.generation,
                terminating_replicas=0,
            )
            self.sets[name] = structs.replace(rs, status=status)

    def finish(self) -> None:
        """From now on every pod becomes available at once: it has to end, and soon."""
        for _ in range(200):
            for name, rs in self.sets.items():
                size = rollout.replicas_of(rs)
                status = ReplicaSetStatus(
                    replicas=size, available_replicas=size, ready_replicas=size, observed_generation=1
                )
                self.sets[name] = structs.replace(rs, status=status)
            if not self.look():
                return
        raise AssertionError("the rollout does not end")

    @property
    def available(self) -> int:
        return rollout.available(list(self.sets.values()))


@settings(max_examples=120, deadline=None)
@given(replicas=st.integers(1, 12), surge=AMOUNT, lack=AMOUNT, data=st.data())
def test_the_promise_of_surge_and_unavailable(
    replicas: int, surge: int | str, lack: int | str, data: st.DataObject
) -> None:
    world = World(replicas, surge, lack)
    world.finish()
    assert world.available == replicas
    most = replicas + rollout.max_surge(world.deployment)
    least = replicas - rollout.max_unavailable(world.deployment)
    for number in range(data.draw(st.integers(1, 3), label="rollouts")):
        world.roll(f"img:{number + 2}")
        for _ in range(data.draw(st.integers(0, 12), label="looks")):
            world.look()
            assert rollout.total(list(world.sets.values())) <= most
            world.live(data)
            assert world.available >= least
    world.finish()
    new = [rs for rs in world.sets.values() if rollout.replicas_of(rs)]
    assert [rollout.replicas_of(rs) for rs in new] == [replicas]
    assert new[0].spec.template is not None
    assert new[0].spec.template.spec == world.deployment.spec.template.spec


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    wanted=st.integers(0, 20),
    surge=AMOUNT,
)
@example(sizes=[1, 1, 1, 1], wanted=1, surge=1)
def test_proportional_scaling_gives_exactly_what_is_allowed(sizes: list[int], wanted: int, surge: int | str) -> None:
    world = World(wanted, surge, 1)
    made = []
    for number, size in enumerate(sizes):
        metadata = ObjectMeta(
            name=f"rs{number}",
            annotations={rollout.MAXIMUM: str(sum(sizes))},
            creation_timestamp=f"2026-01-01T00:00:0{number}Z",
        )
        rs = ReplicaSet(metadata=metadata)
        made.append(structs.replace(rs, spec=structs.replace(rs.spec, replicas=size)))
    active = [rs for rs in made if rollout.replicas_of(rs)]
    result = rollout.proportional(world.deployment, active)
    assert all(size >= 0 for size in result.values())
    if active:
        allowed = wanted + rollout.max_surge(world.deployment) if wanted else 0
        total = sum(result.values())
        # As upstream's: what rounding leaves is taken from the first set, which cannot give more than it has.
        assert total == allowed or (total > allowed and 0 in result.values())


@given(count=st.integers(0, 200), percent=st.integers(0, 100))
def test_percentages_round_up_for_surge_and_down_for_unavailable(count: int, percent: int) -> None:
    up, down = rollout.scaled(f"{percent}%", count, up=True), rollout.scaled(f"{percent}%", count, up=False)
    assert up - down == (1 if percent * count % 100 else 0)
    assert down * 100 <= percent * count <= up * 100
