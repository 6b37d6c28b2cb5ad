"""Probes: when a container counts as started, ready and alive, and what users are told."""

import trio

from kube_actors.api.types.core_v1 import Probe
from kube_actors.kubelet.probe_counter import Counter
from runtimes.simulated import Behaviour, Outcome, Script
from tests.unit.kubelet.world import a_world, is_ready


def restarts(pod):
    return pod.status.container_statuses[0].restart_count if pod and pod.status.container_statuses else None


def http(path="/", port=8080, **more):
    return {"httpGet": {"path": path, "port": port}, **more}


async def test_readiness_over_http(autojump_clock):
    script = Script({"web": Behaviour(ready_seconds=12)})
    async with a_world(script=script) as world:
        await world.pod(containers=[{"name": "c", "image": "web:1", "readinessProbe": http(periodSeconds=5)}])
        pod = await world.until("web", lambda pod: pod.status.phase == "Running")
        assert not is_ready(pod) and pod.status.container_statuses[0].started
        pod = await world.ready()
        assert 12 <= trio.current_time() <= 17
        ip = pod.status.pod_ip
        refused = f'Readiness probe failed: Get "http://{ip}:8080/": dial tcp {ip}:8080: connect: connection refused'
        assert ("Warning", "Unhealthy", refused) in await world.events()
        world.script.set("web", Behaviour(paths={"/": 503}))
        await world.until("web", lambda pod: not is_ready(pod))
        assert trio.current_time() <= 35
        assert ("Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503") in (
            await world.events()
        )
        world.script.set("web", Behaviour())
        pod = await world.ready()
        assert restarts(pod) == 0


async def test_liveness_kills_and_restarts(autojump_clock):
    script = Script({"web": Behaviour()})
    async with a_world(script=script) as world:
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 3, "failureThreshold": 2}
        await world.pod(containers=[{"name": "c", "image": "web:1", "livenessProbe": probe}])
        await world.ready()
        await trio.sleep(20)
        world.script.set("web", Behaviour(commands={"check": Outcome(exit_code=1, stdout="broken\n")}))
        await world.until("web", lambda pod: restarts(pod) == 1)
        events = await world.events()
        assert ("Warning", "Unhealthy", "Liveness probe failed: broken\n") in events
        assert ("Normal", "Killing", "Container c failed liveness probe, will be restarted") in events


async def test_startup_holds_the_others_back(autojump_clock):
    slow = Behaviour(commands={"up": Outcome(exit_code=1), "alive": Outcome(exit_code=1)})
    script = Script({"web": slow})
    async with a_world(script=script) as world:
        container = {
            "name": "c",
            "image": "web:1",
            "startupProbe": {"exec": {"command": ["up"]}, "periodSeconds": 10, "failureThreshold": 30},
            "livenessProbe": {"exec": {"command": ["alive"]}, "periodSeconds": 1, "failureThreshold": 1},
        }
        await world.pod(containers=[container])
        pod = await world.until("web", lambda pod: pod.status.phase == "Running")
        assert not pod.status.container_statuses[0].started
        await trio.sleep(100)
        world.script.set("web", Behaviour())
        pod = await world.ready()
        assert pod.status.container_statuses[0].started and restarts(pod) == 0


async def test_startup_that_never_succeeds(autojump_clock):
    script = Script({"web": Behaviour(commands={"up": Outcome(exit_code=1)})})
    async with a_world(script=script) as world:
        probe = {"exec": {"command": ["up"]}, "periodSeconds": 2, "failureThreshold": 3}
        await world.pod(containers=[{"name": "c", "image": "web:1", "startupProbe": probe}])
        await world.until("web", lambda pod: restarts(pod) == 1)
        assert 4 <= trio.current_time() < 8
        message = "Container c failed startup probe, will be restarted"
        assert ("Normal", "Killing", message) in await world.events()


async def test_a_probe_that_takes_too_long_fails(autojump_clock):
    script = Script({"web": Behaviour(commands={"check": Outcome(seconds=5)})})
    async with a_world(script=script) as world:
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 3, "failureThreshold": 1}
        await world.pod(containers=[{"name": "c", "image": "web:1", "readinessProbe": probe}])
        await trio.sleep(10)
        events = await world.events()
        assert any(reason == "Unhealthy" and "timed out" in message for _, reason, message in events)


def test_counting():
    readiness = Counter("readiness", Probe(success_threshold=2, failure_threshold=3))
    taken = [readiness.take(ok) for ok in (True, False, True, True, None, False, False, True, False, False, False)]
    assert taken == [None, None, None, True, None, None, None, None, None, None, False]
    liveness = Counter("liveness", Probe(failure_threshold=2))
    assert [liveness.take(ok) for ok in (True, False, True, False, False)] == [None, None, None, None, False]
