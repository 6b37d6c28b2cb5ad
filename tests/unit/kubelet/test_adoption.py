"""Restarts of everything but the containers: the node, a pod's actor, the engine, the API."""

import trio
import trio.testing

from kube_actors.api.codec import convert
from kube_actors.api.types.core_v1 import Pod
from kube_actors.kubelet.adoption import Found, begin
from kube_actors.kubelet.model import StartProbes
from runtimes.contract import ContainerStatus, Sandbox
from runtimes.simulated import Behaviour, Script
from tests.unit.kubelet.world import a_world, is_ready

CONTAINERS = [{"name": "c", "image": "example.test/web:1"}]


def restarts(pod):
    return pod.status.container_statuses[0].restart_count if pod and pod.status.container_statuses else None


async def restarted_node(world):
    before = world.node
    world.child.kill()
    await world.until_node(lambda node: node is not before)


async def test_a_restarted_node_adopts_what_runs(autojump_clock):
    async with a_world() as world:
        await world.pod()
        first = await world.ready()
        await restarted_node(world)
        await trio.sleep(30)
        pod = await world.ready()
        assert pod.status == first.status
        assert len(await world.runtime.list_containers()) == 1
        await world.api.delete("Pod", "web")
        await world.gone()


async def test_what_ended_meanwhile_is_restarted(autojump_clock):
    async with a_world() as world:
        await world.pod()
        await world.ready()
        (found,) = await world.runtime.list_containers()
        world.child.kill()
        world.runtime.crash(found.id, 5)
        pod = await world.until("web", lambda pod: is_ready(pod) and restarts(pod) == 1)
        assert pod.status.container_statuses[0].last_state.terminated.exit_code == 5


async def test_what_was_deleted_meanwhile_is_removed(autojump_clock):
    async with a_world() as world:
        await world.pod("one")
        await world.pod("two")
        await world.ready("one")
        await world.ready("two")
        world.child.kill()
        await world.api.delete("Pod", "one", grace_seconds=0)
        await world.api.delete("Pod", "two")
        await world.gone("two")
        await trio.sleep(1)
        assert await world.runtime.list_sandboxes() == ()


async def test_a_finished_pod_stays_finished(autojump_clock):
    script = Script({"job": Behaviour(run_seconds=2)})
    async with a_world(script=script) as world:
        await world.pod(containers=[{"name": "c", "image": "job:1"}], restartPolicy="Never")
        done = await world.until("web", lambda pod: pod.status.phase == "Succeeded")
        await restarted_node(world)
        await trio.sleep(60)
        again = await world.until("web", lambda pod: True)
        assert again.status == done.status
        await world.api.delete("Pod", "web")
        await world.gone()


async def test_a_killed_pod_actor_is_no_event_for_the_pod(autojump_clock):
    async with a_world() as world:
        await world.pod()
        first = await world.ready()
        uid = first.metadata.uid
        world.node._supervisor.children[f"n1/pod/{uid}"].kill()
        await trio.sleep(30)
        assert (await world.ready()).status == first.status
        (found,) = await world.runtime.list_containers()
        world.runtime.crash(found.id)
        await world.until("web", lambda pod: is_ready(pod) and restarts(pod) == 1)


async def test_the_engine_goes_away_and_comes_back(autojump_clock):
    async with a_world() as world:
        await world.pod("one")
        await world.ready("one")
        (found,) = await world.runtime.list_containers()
        world.runtime.set_available(False)
        await trio.sleep(1)
        ready = next(
            one for one in (await world.api.get("Node", "n1"))["status"]["conditions"] if one["type"] == "Ready"
        )
        assert ready["status"] == "False" and ready["message"].startswith("container runtime is down")
        await world.pod("two")
        await trio.sleep(20)
        world.runtime.crash(found.id)  # nobody is told
        world.runtime.set_available(True)
        await world.ready("two")
        pod = await world.until("one", lambda pod: is_ready(pod) and restarts(pod) == 1)
        assert pod.status.container_statuses[0].last_state.terminated.exit_code == 137
        await trio.sleep(20)
        ready = next(
            one for one in (await world.api.get("Node", "n1"))["status"]["conditions"] if one["type"] == "Ready"
        )
        assert ready["status"] == "True"


def adopted(**probes):
    """The record of a container that runs although the API has no word of it, since who started it died."""
    container = {"name": "c", "image": "example.test/web:1", **probes}
    manifest = {"metadata": {"name": "web", "uid": "u"}, "spec": {"containers": [container]}}
    sandbox = Sandbox(id="s", name="web", uid="u", namespace="default", attempt=0, state="ready", created_at=1.0)
    running = ContainerStatus(
        id="c1", sandbox_id="s", name="c", attempt=0, image="i", image_id="i", state="running", created_at=1.0
    )
    found = Found(sandboxes=(sandbox,), containers=(running,))
    state, effects, _ = begin(convert(manifest, Pod), found, 2.0)
    return state.containers["c"], effects


def test_a_container_that_runs_untold_has_started():
    probe = {"httpGet": {"path": "/healthz", "port": 8080}}
    plain, _ = adopted()
    assert (plain.started, plain.ready) == (True, True)
    probed, effects = adopted(readinessProbe=probe)
    assert (probed.started, probed.ready) == (True, False)
    assert effects == (StartProbes("c", "c1", True),)
    starting, effects = adopted(startupProbe=probe)
    assert (starting.started, starting.ready) == (False, False)
    assert effects == (StartProbes("c", "c1", False),)
