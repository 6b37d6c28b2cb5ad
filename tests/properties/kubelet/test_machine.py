"""The pod machine under every order of events: an engine in miniature performs what the machine decides, at any pace.

Whatever happens, no event is impossible, init containers go before the others, no container runs twice at a time, and
once the pod is deleted and everything under way has come to its end, nothing is left.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api.types.core_v1 import Container, ExecAction, Lifecycle, LifecycleHandler, Pod, PodSpec, Probe
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.kubelet import adoption, machine, model
from kube_actors.kubelet.machine import CONTAINER_TABLE, POD_TABLE, ImpossibleEvent
from kube_actors.kubelet.model import Exit, PodStage, Stage
from kube_actors.kubelet.status import Host, difference, pod_status

HOOK = Lifecycle(post_start=LifecycleHandler(exec=ExecAction(command=("x",))))
PROBE = Probe(exec=ExecAction(command=("x",)))


def named(prefix, role):
    return st.builds(
        lambda number, hook, probe: Container(
            name=f"{prefix}{number}",
            image="i:1",
            restart_policy="Always" if role == "sidecar" else None,
            lifecycle=HOOK if hook else None,
            startup_probe=PROBE if probe == 1 else None,
            readiness_probe=PROBE if probe == 2 else None,
            liveness_probe=PROBE if probe == 3 else None,
        ),
        st.integers(0, 3),
        st.booleans(),
        st.integers(0, 3) if role != "init" else st.just(0),
    )


def unique(containers):
    return tuple({container.name: container for container in containers}.values())


PODS = st.builds(
    lambda apps, inits, policy, deadline: Pod(
        metadata=ObjectMeta(name="p", namespace="d", uid="u"),
        spec=PodSpec(
            containers=unique(apps),
            init_containers=unique(inits),
            restart_policy=policy,
            active_deadline_seconds=deadline,
        ),
    ),
    st.lists(named("a", "app"), min_size=1, max_size=3),
    st.lists(st.one_of(named("i", "init"), named("s", "sidecar")), max_size=3),
    st.sampled_from(["Always", "OnFailure", "Never"]),
    st.sampled_from([None, None, 500]),
)


class Engine:
    """Performs effects when it is told to; knows what runs."""

    def __init__(self, pod):
        self.now = 1000.0
        self.pod = pod
        self.pending = {}
        self.running = {}
        self.sandbox = ""
        self.serial = 0
        self.finalized = False
        self.falling = False
        self.state, effects, events = adoption.begin(pod, adoption.NOTHING, self.now)
        self.take_effects(effects)
        for event in events:
            self.step(event)

    def step(self, event):
        before = self.state
        self.state, effects = machine.step(self.state, event, self.now)
        self.take_effects(effects)
        self.check(before)

    def take_effects(self, effects):
        for effect in effects:
            name = getattr(effect, "name", "")
            match effect:
                case model.Report() | model.StartProbes() | model.StopProbes() | model.StopSandbox():
                    continue
                case model.Abort():
                    self.pending.pop(name, None)
                case model.RunPostStart() | model.EnsureImage() | model.StartContainer() | model.StopContainer():
                    self.pending[name] = effect
                case _:
                    self.pending[""] = effect

    def check(self, before):
        state = self.state
        for record in state.containers.values():
            if record.role == "app" and record.stage in (Stage.STARTING, Stage.PULLING):
                for other in state.containers.values():
                    if other.role == "init":
                        assert other.stage is Stage.EXITED and other.exit.code == 0
            if record.ready and record.role != "init":
                assert record.stage in (Stage.RUNNING, Stage.STOPPING) and record.started
            if record.stage in (Stage.HOOKING, Stage.RUNNING) and not self.falling:
                assert self.running.get(record.id) == record.name, "believed to run, but does not"
            assert record.attempt >= before.containers[record.name].attempt
        status = pod_status(state, Host(engine="e", ips=("1.2.3.4",)), before.pod.status, self.now)
        assert difference(status, status) == {}
        for one in (*status.container_statuses, *status.init_container_statuses):
            chosen = (one.state.running, one.state.waiting, one.state.terminated)
            assert sum(part is not None for part in chosen) == 1

    def identity(self):
        self.serial += 1
        return f"id{self.serial}"

    def end(self, name, identity, code):
        self.running.pop(identity, None)
        exit = Exit(id=identity, code=code, reason="x", started_at=self.now - 1, finished_at=self.now)
        self.step(model.Exited(name, exit))

    def complete(self, key, outcome, code):
        """One piece of work comes to its end; outcome 0 is success."""
        effect = self.pending.pop(key)
        match effect:
            case model.Prepare():
                self.step(model.PrepareFailed("FailedMount", "no") if outcome == 1 else model.Prepared())
            case model.RunSandbox():
                if outcome == 1:
                    self.step(model.SandboxFailed("no"))
                else:
                    self.sandbox = self.identity()
                    self.step(model.SandboxReady(self.sandbox, ("10.0.0.1",)))
            case model.EnsureImage():
                failed = model.ImageFailed(key, "ErrImagePull", "no")
                self.step(failed if outcome == 1 else model.ImageReady(key, "image"))
            case model.StartContainer():
                self.start(effect, outcome, code)
            case model.RunPostStart():
                self.step(model.HookFailed(key, "no") if outcome == 1 else model.HookDone(key))
            case model.StopContainer():
                self.end(key, effect.id, code)
            case model.Clean():
                self.running.clear()
                self.sandbox = ""
                self.step(model.Cleaned())
            case model.Finalize():
                assert not self.running
                self.finalized = True
                self.step(model.Finalized())

    def start(self, effect, outcome, code):
        name = effect.name
        if outcome == 1:
            self.step(model.StartFailed(name, "CreateContainerConfigError", "no", effect.attempt))
        elif outcome == 2:
            self.step(model.StartFailed(name, "RunContainerError", "no", effect.attempt, self.identity()))
        else:
            identity = self.identity()
            assert name not in self.running.values(), "two instances of one container"
            self.running[identity] = name
            early = outcome == 3
            if early:
                self.end(name, identity, code)
            self.step(model.Started(name, identity, effect.attempt, self.now))

    def drain(self):
        """Everything that is under way succeeds, until nothing is."""
        for _ in range(200):
            if not self.pending:
                return
            self.complete(next(iter(self.pending)), 0, 0)
        raise AssertionError(f"never comes to rest: {self.pending}")


CHOICES = ("complete", "complete", "complete", "fail", "exit", "tick", "probe", "sandbox", "delete", "gone", "late")


@settings(max_examples=300, deadline=None)
@given(PODS, st.data())
def test_any_order_of_events(pod, data):
    engine = Engine(pod)
    deleted = False
    for _ in range(data.draw(st.integers(1, 40))):
        choice = data.draw(st.sampled_from(CHOICES))
        engine.now += data.draw(st.sampled_from([0.0, 1.0, 15.0, 700.0]))
        code = data.draw(st.integers(0, 1))
        if choice in ("complete", "fail") and engine.pending:
            key = data.draw(st.sampled_from(sorted(engine.pending)))
            engine.complete(key, data.draw(st.integers(1, 3)) if choice == "fail" else 0, code)
        elif choice == "exit" and engine.running:
            identity = data.draw(st.sampled_from(sorted(engine.running)))
            engine.end(engine.running[identity], identity, code)
        elif choice == "tick":
            engine.step(model.Tick())
        elif choice == "probe":
            record = data.draw(st.sampled_from(sorted(engine.state.containers)))
            kind = data.draw(st.sampled_from(["startup", "liveness", "readiness"]))
            spec = model.container_named(pod, record)
            if getattr(spec, f"{kind}_probe") is not None:
                engine.step(model.Probed(record, engine.state.containers[record].id, kind, bool(code)))
        elif choice == "sandbox" and engine.sandbox and engine.state.sandbox_id == engine.sandbox:
            engine.falling = True  # until it is told that the sandbox died, which explains all the rest
            for identity, name in list(engine.running.items()):
                engine.running.pop(identity)
                if data.draw(st.booleans()):
                    exit = Exit(id=identity, code=137, reason="x", finished_at=engine.now)
                    engine.step(model.Exited(name, exit))
            engine.step(model.SandboxDied(engine.sandbox))
            engine.falling = False
        elif choice == "delete":
            deleted = True
            engine.step(model.PodChanged(being_deleted(pod, data.draw(st.sampled_from([0, 1, 30])))))
        elif choice == "gone" and deleted:
            engine.step(model.PodGone())
        elif choice == "late":
            name = data.draw(st.sampled_from(sorted(engine.state.containers)))
            engine.step(model.Exited(name, Exit(id="old", code=1, reason="x")))
    engine.step(model.PodChanged(being_deleted(pod, 30)))
    engine.drain()
    assert engine.state.stage is PodStage.DONE
    assert not engine.running and not engine.sandbox


def being_deleted(pod, grace):
    metadata = ObjectMeta(
        name="p", namespace="d", uid="u", deletion_timestamp="2026-01-01T00:00:00Z", deletion_grace_period_seconds=grace
    )
    return Pod(metadata=metadata, spec=pod.spec)


@settings(max_examples=100, deadline=None)
@given(PODS)
def test_without_faults_everything_runs(pod):
    engine = Engine(pod)
    for _ in range(300):
        if engine.pending:
            engine.complete(next(iter(engine.pending)), 0, 0)
            continue
        inits = [name for name in engine.running.values() if engine.state.containers[name].role == "init"]
        waiting = [
            record
            for record in engine.state.containers.values()
            if record.stage is Stage.RUNNING and not record.started and record.role != "init"
        ]
        if waiting:
            engine.step(model.Probed(waiting[0].name, waiting[0].id, "startup", True))
        elif inits:
            identity = next(key for key, name in engine.running.items() if name == inits[0])
            engine.end(inits[0], identity, 0)
        else:
            break
    apps = [record for record in engine.state.containers.values() if record.role == "app"]
    assert all(record.stage is Stage.RUNNING for record in apps)
    assert engine.state.initialized


def test_the_table_knows_every_event():
    """Every event is listed for some stage, and every stage is left by some event."""
    events = {event for table in (POD_TABLE, CONTAINER_TABLE) for _, event in table}
    known = {
        value
        for value in vars(model).values()
        if isinstance(value, type)
        and issubclass(value, model.Event)
        and value not in (model.Event, model.ContainerEvent)
    }
    assert events == known
    assert {stage for stage, _ in POD_TABLE} == set(PodStage)
    assert {stage for stage, _ in CONTAINER_TABLE} == set(Stage)


def test_an_impossible_event_tells_its_story():
    pod = Pod(metadata=ObjectMeta(name="p", namespace="d", uid="u"), spec=PodSpec(containers=(Container(name="c"),)))
    state, _, _ = adoption.begin(pod, adoption.NOTHING, 0.0)
    with pytest.raises(ImpossibleEvent, match=r"pod d/p \(u\) is PREPARING \[c WAITING\]: Cleaned"):
        machine.step(state, model.Cleaned(), 0.0)
