"""Starting, restarting and ending of containers, as kubectl would show it."""

import trio
import trio.testing

from runtimes.simulated import Behaviour, Outcome, Script
from tests.unit.kubelet.world import a_world, condition, is_ready

IMAGE = "example.test/web:1"


def container(name="c", image=IMAGE, **more):
    return {"name": name, "image": image, **more}


def waiting(reason, which=0):
    def check(pod):
        if pod is None or not pod.status.container_statuses:
            return False
        state = pod.status.container_statuses[which].state
        return state.waiting is not None and state.waiting.reason == reason

    return check


def restarts(pod):
    return pod.status.container_statuses[0].restart_count if pod and pod.status.container_statuses else None


def phase(wanted):
    return lambda pod: pod is not None and pod.status.phase == wanted


async def test_init_containers_run_in_order(autojump_clock):
    script = Script({"first": Behaviour(run_seconds=2), "second": Behaviour(run_seconds=3)})
    async with a_world(script=script) as world:
        inits = [container("one", "first:1"), container("two", "second:1")]
        await world.pod(initContainers=inits)
        pod = await world.until(
            "web", lambda pod: pod and any(s.state.running for s in pod.status.init_container_statuses)
        )
        assert pod.status.phase == "Pending"
        one, two = pod.status.init_container_statuses
        assert one.state.running and two.state.waiting.reason == "PodInitializing"
        assert pod.status.container_statuses[0].state.waiting.reason == "PodInitializing"
        initialized = condition(pod, "Initialized")
        assert initialized.reason == "ContainersNotInitialized"
        assert initialized.message == "containers with incomplete status: [one two]"
        pod = await world.ready()
        one, two = pod.status.init_container_statuses
        assert one.ready and two.ready and one.state.terminated.reason == "Completed"
        assert one.state.terminated.finished_at <= two.state.terminated.started_at


async def test_a_failed_init_container_fails_a_pod_that_never_restarts(autojump_clock):
    script = Script({"bad": Behaviour(run_seconds=1, exit_code=3)})
    async with a_world(script=script) as world:
        await world.pod(initContainers=[container("i", "bad:1")], restartPolicy="Never")
        pod = await world.until("web", phase("Failed"))
        assert pod.status.init_container_statuses[0].state.terminated.exit_code == 3
        assert condition(pod, "Ready").reason == "PodFailed"


async def test_crash_loop(autojump_clock):
    script = Script({"crash": Behaviour(run_seconds=1, exit_code=1)})
    async with a_world(script=script) as world:
        await world.pod(containers=[container(image="crash:1")])
        pod = await world.until("web", waiting("CrashLoopBackOff"))
        (status,) = pod.status.container_statuses
        assert status.restart_count == 1
        assert status.last_state.terminated.reason == "Error"
        uid = pod.metadata.uid
        assert status.state.waiting.message == f"back-off 10s restarting failed container=c pod=web_default({uid})"
        ready = condition(pod, "Ready")
        assert (ready.reason, ready.message) == ("ContainersNotReady", "containers with unready status: [c]")
        pod = await world.until("web", lambda pod: restarts(pod) == 4)
        began = trio.current_time()
        assert 70 <= began <= 80  # 10 s, 20 s, 40 s
        pod = await world.until("web", lambda pod: restarts(pod) == 8)
        assert trio.current_time() - began > 80 + 160 + 300
        message = f"Back-off restarting failed container c in pod web_default({uid})"
        assert ("Warning", "BackOff", message) in await world.events()


async def test_a_container_that_ran_long_starts_again_at_once(autojump_clock):
    script = Script({"long": Behaviour(run_seconds=700, exit_code=1)})
    async with a_world(script=script) as world:
        await world.pod(containers=[container(image="long:1")])
        await world.until("web", lambda pod: restarts(pod) == 3, seconds=3000)
        assert 2100 <= trio.current_time() < 2110


async def test_never_and_on_failure_come_to_an_end(autojump_clock):
    script = Script({"ok": Behaviour(run_seconds=1), "bad": Behaviour(run_seconds=1, exit_code=2)})
    async with a_world(script=script) as world:
        await world.pod("good", containers=[container(image="ok:1")], restartPolicy="OnFailure")
        await world.pod("bad", containers=[container(image="bad:1")], restartPolicy="Never")
        good = await world.until("good", phase("Succeeded"))
        bad = await world.until("bad", phase("Failed"))
        assert good.status.container_statuses[0].state.terminated.reason == "Completed"
        assert condition(good, "Ready").reason == "PodCompleted"
        assert condition(good, "PodReadyToStartContainers").status == "False"
        assert bad.status.container_statuses[0].state.terminated.exit_code == 2
        await world.api.delete("Pod", "good")
        await world.gone("good")
        await trio.testing.wait_all_tasks_blocked()  # a pod that has ended is gone from the API at once
        assert [one.name for one in await world.runtime.list_sandboxes()] == ["bad"]


async def test_an_image_that_cannot_be_pulled(autojump_clock):
    script = Script({"away": Behaviour(pull_error="manifest unknown", pull_failures=2)})
    async with a_world(script=script) as world:
        await world.pod(containers=[container(image="away:1")])
        pod = await world.until("web", waiting("ErrImagePull"))
        assert "manifest unknown" in pod.status.container_statuses[0].state.waiting.message
        pod = await world.until("web", waiting("ImagePullBackOff"))
        text = pod.status.container_statuses[0].state.waiting.message
        assert text.startswith('Back-off pulling image "away:1": ErrImagePull: ')
        await world.ready()
        assert 30 <= trio.current_time() <= 32
        events = await world.events()
        assert ("Warning", "Failed", "Error: ErrImagePull") in events
        assert ("Warning", "Failed", "Error: ImagePullBackOff") in events
        assert ("Normal", "BackOff", 'Back-off pulling image "away:1"') in events


async def test_pull_policy_never(autojump_clock):
    async with a_world() as world:
        await world.pod(containers=[container(imagePullPolicy="Never")])
        pod = await world.until("web", waiting("ErrImageNeverPull"))
        message = f'Container image "{IMAGE}" is not present with pull policy of Never'
        assert pod.status.container_statuses[0].state.waiting.message == message


async def test_a_missing_config_map_is_waited_for(autojump_clock):
    async with a_world() as world:
        env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
        await world.pod(containers=[container(env=env)])
        pod = await world.until("web", waiting("CreateContainerConfigError"))
        assert pod.status.container_statuses[0].state.waiting.message == 'configmap "settings" not found'
        assert ("Warning", "Failed", 'Error: configmap "settings" not found') in await world.events()
        settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
        await world.api.create(settings)
        pod = await world.ready()
        assert pod.status.container_statuses[0].restart_count == 0


async def test_a_missing_volume_is_waited_for(autojump_clock):
    async with a_world() as world:
        await world.pod(volumes=[{"name": "v", "secret": {"secretName": "keys"}}])
        pod = await world.until("web", waiting("ContainerCreating"))
        assert condition(pod, "PodReadyToStartContainers").status == "False"
        await trio.sleep(3)
        message = 'MountVolume.SetUp failed for volume "v" : secret "keys" not found'
        assert ("Warning", "FailedMount", message) in await world.events()
        await world.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}})
        await world.ready()


async def test_root_certificates_are_read_once_for_many_pods(autojump_clock):
    async with a_world() as world:
        name = "kube-root-ca.crt"
        volumes = [{"name": "ca", "configMap": {"name": name}}]
        await world.pod("early", volumes=volumes)
        pod = await world.until("early", waiting("ContainerCreating"))
        assert condition(pod, "PodReadyToStartContainers").status == "False"
        await world.api.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}
        )
        await world.ready("early")
        await world.api.delete("ConfigMap", name)
        await world.pod("soon", volumes=volumes)
        await world.ready("soon")
        await trio.sleep(11)
        await world.pod("late", volumes=volumes)
        pod = await world.until("late", waiting("ContainerCreating"))
        assert condition(pod, "PodReadyToStartContainers").status == "False"


async def test_a_process_that_cannot_start(autojump_clock):
    script = Script({"broken": Behaviour(start_error="exec: no such file", start_exit_code=127)})
    async with a_world(script=script) as world:
        await world.pod(containers=[container(image="broken:1")])
        pod = await world.until("web", waiting("RunContainerError"))
        last = pod.status.container_statuses[0].last_state.terminated
        assert (last.exit_code, last.reason, last.message) == (127, "StartError", "exec: no such file")
        await world.until("web", waiting("CrashLoopBackOff"))


async def test_grace_period_and_exit_codes(autojump_clock):
    script = Script({"stubborn": Behaviour(ignore_term=True)})
    async with a_world(script=script) as world:
        await world.pod(containers=[container(image="stubborn:1")], terminationGracePeriodSeconds=7)
        await world.ready()
        began = trio.current_time()
        await world.api.delete("Pod", "web")
        codes = []

        def ended(pod):
            if pod is not None and pod.status.container_statuses[0].state.terminated:
                codes.append(pod.status.container_statuses[0].state.terminated.exit_code)
            return pod is None

        await world.until("web", ended)
        assert 7 <= trio.current_time() - began < 7.5
        assert codes and set(codes) == {137}


async def test_forced_deletion_ends_at_once(autojump_clock):
    script = Script({"stubborn": Behaviour(ignore_term=True)})
    async with a_world(script=script) as world:
        await world.pod(containers=[container(image="stubborn:1")])
        await world.ready()
        await world.api.delete("Pod", "web", grace_seconds=0)
        await world.gone()
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(0.1)
        assert await world.runtime.list_sandboxes() == ()


async def test_pre_stop_uses_up_grace(autojump_clock):
    script = Script({"web": Behaviour(commands={"drain": Outcome(seconds=4)})})
    async with a_world(script=script) as world:
        hook = {"preStop": {"exec": {"command": ["drain"]}}}
        await world.pod(containers=[container(lifecycle=hook)])
        await world.ready()
        began = trio.current_time()
        await world.api.delete("Pod", "web")
        await world.gone()
        assert 4 <= trio.current_time() - began < 4.5


async def test_a_failing_post_start_hook_kills_the_container(autojump_clock):
    script = Script({"web": Behaviour(commands={"register": Outcome(exit_code=1)})})
    async with a_world(script=script) as world:
        hook = {"postStart": {"exec": {"command": ["register"]}}}
        await world.pod(containers=[container(lifecycle=hook)])
        await world.until("web", restarts)
        assert ("Warning", "FailedPostStartHook", "PostStartHook failed") in await world.events()


async def test_active_deadline(autojump_clock):
    async with a_world() as world:
        await world.pod(activeDeadlineSeconds=20)
        await world.ready()
        pod = await world.until("web", phase("Failed"))
        assert pod.status.reason == "DeadlineExceeded"
        assert pod.status.message == "Pod was active on the node longer than the specified deadline"
        assert 20 <= trio.current_time() < 21


async def test_sidecars_start_first_and_end_last(autojump_clock):
    script = Script({"job": Behaviour(run_seconds=10), "side": Behaviour(term_seconds=2)})
    async with a_world(script=script) as world:
        sidecar = container("s", "side:1", restartPolicy="Always")
        await world.pod(initContainers=[sidecar], containers=[container(image="job:1")], restartPolicy="Never")
        pod = await world.ready()
        assert pod.status.init_container_statuses[0].state.running
        pod = await world.until("web", phase("Succeeded"))
        assert 12 <= trio.current_time() < 13
        assert pod.status.init_container_statuses[0].state.terminated


async def test_a_killed_container_is_restarted_and_its_log_kept(autojump_clock):
    async with a_world() as world:
        await world.pod()
        await world.ready()
        (found,) = await world.runtime.list_containers()
        world.runtime.crash(found.id)
        pod = await world.until("web", lambda pod: is_ready(pod) and restarts(pod) == 1)
        last = pod.status.container_statuses[0].last_state.terminated
        assert (last.exit_code, last.reason) == (137, "Error")
        assert last.container_id.endswith(found.id)
        assert len(await world.runtime.list_containers()) == 2


async def test_a_lost_sandbox_is_made_again(autojump_clock):
    async with a_world() as world:
        await world.pod()
        first = await world.ready()
        (sandbox,) = await world.runtime.list_sandboxes()
        await world.runtime.stop_sandbox(sandbox.id)
        pod = await world.until("web", lambda pod: is_ready(pod) and restarts(pod) == 1)
        assert pod.status.container_statuses[0].restart_count == 1
        assert first.status.container_statuses[0].container_id != pod.status.container_statuses[0].container_id
        message = "Pod sandbox changed, it will be killed and re-created."
        assert ("Normal", "SandboxChanged", message) in await world.events()


async def test_out_of_memory(autojump_clock):
    script = Script({"hungry": Behaviour(run_seconds=1, oom=True)})
    async with a_world(script=script) as world:
        await world.pod(containers=[container(image="hungry:1")], restartPolicy="Never")
        pod = await world.until("web", phase("Failed"))
        ended = pod.status.container_statuses[0].state.terminated
        assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


async def test_pods_that_do_not_fit_are_refused(autojump_clock):
    async with a_world(capacity={"cpu": "2"}) as world:
        half = {"resources": {"requests": {"cpu": "1500m"}}}
        await world.pod("one", containers=[container(**half)])
        await world.ready("one")
        await world.pod("two", containers=[container(**half)])
        pod = await world.until("two", phase("Failed"))
        assert pod.status.reason == "OutOfcpu"
        assert pod.status.message == (
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 1500, used: 1500, capacity: 2000"
        )
        port = [{"containerPort": 80, "hostPort": 8080}]
        await world.pod("three", containers=[container(ports=port)])
        await world.ready("three")
        await world.pod("four", containers=[container(ports=port)])
        assert (await world.until("four", phase("Failed"))).status.reason == "NodePorts"
        await world.pod("five", nodeSelector={"disk": "ssd"})
        assert (await world.until("five", phase("Failed"))).status.reason == "NodeAffinity"
        await world.api.delete("Pod", "one")
        await world.gone("one")
        await world.pod("six", containers=[container(**half)])
        await world.ready("six")


async def test_an_ephemeral_container_joins(autojump_clock):
    async with a_world() as world:
        await world.pod()
        await world.ready()
        body = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "tools:1"}]}}
        await world.client.patch("Pod", "web", body, namespace="default", subresource="ephemeralcontainers")
        pod = await world.until(
            "web",
            lambda pod: (
                pod.status.ephemeral_container_statuses and pod.status.ephemeral_container_statuses[0].state.running
            ),
        )
        assert is_ready(pod)


async def test_a_changed_image_restarts_the_container(autojump_clock):
    async with a_world() as world:
        await world.pod()
        await world.ready()
        body = {"spec": {"containers": [{"name": "c", "image": "example.test/web:2"}]}}
        await world.client.patch("Pod", "web", body, namespace="default")
        pod = await world.until("web", lambda pod: is_ready(pod) and restarts(pod) == 1)
        assert pod.status.container_statuses[0].image == "example.test/web:2"
        message = "Container c definition changed, will be restarted"
        assert ("Normal", "Killing", message) in await world.events()


async def test_a_readiness_gate_is_waited_for(autojump_clock):
    async with a_world() as world:
        await world.pod(readinessGates=[{"conditionType": "example.test/open"}])
        pod = await world.until("web", lambda pod: pod.status.phase == "Running")
        ready = condition(pod, "Ready")
        assert ready.reason == "ReadinessGatesNotReady"
        text = 'corresponding condition of pod readiness gate "example.test/open" does not exist.'
        assert ready.message == text
        gate = {"status": {"conditions": [{"type": "example.test/open", "status": "True"}]}}
        await world.client.patch("Pod", "web", gate, namespace="default", subresource="status")
        pod = await world.ready()
        assert condition(pod, "Ready").message is None
        gate["status"]["conditions"][0]["status"] = "False"
        await world.client.patch("Pod", "web", gate, namespace="default", subresource="status")
        await world.until("web", lambda pod: not is_ready(pod))


async def test_a_finalizer_holds_the_object_and_not_the_containers(autojump_clock):
    script = Script({"job": Behaviour(run_seconds=2, exit_code=3)})
    async with a_world(script=script) as world:
        await world.pod(
            metadata={"finalizers": ["example.test/hold"]},
            containers=[container(image="job:1")],
            restartPolicy="Never",
        )
        done = await world.until("web", phase("Failed"))
        await world.api.delete("Pod", "web")
        await trio.sleep(5)
        assert await world.runtime.list_sandboxes() == ()
        held = await world.until("web", lambda pod: pod.metadata.deletion_timestamp is not None)
        assert held.status.container_statuses == done.status.container_statuses
        body = {"metadata": {"finalizers": None, "labels": {"a": "b"}}}
        await world.client.patch("Pod", "web", body, namespace="default", patch_type="merge")
        await world.gone()


async def test_a_container_that_the_engine_makes_after_its_pod_was_given_up_is_removed(autojump_clock, monkeypatch):
    async with a_world() as world:
        real, asked, go_on = world.runtime.create_container, trio.Event(), trio.Event()

        async def slow(sandbox_id, config):
            asked.set()
            with trio.CancelScope(shield=True):  # an engine finishes what it was asked for
                await go_on.wait()
                return await real(sandbox_id, config)

        monkeypatch.setattr(world.runtime, "create_container", slow)
        await world.pod(terminationGracePeriodSeconds=1)
        await asked.wait()
        await world.api.delete("Pod", "web")
        await trio.sleep(30)
        still_there = [one["metadata"]["name"] for one in (await world.api.list("Pod", "default"))["items"]]
        go_on.set()
        assert still_there == ["web"]
        await world.gone()
        assert await world.runtime.list_containers() == ()
        assert await world.runtime.list_sandboxes() == ()
