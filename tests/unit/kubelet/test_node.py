"""A node as the API sees it, and the simplest pod on it."""

import trio

from tests.unit.kubelet.world import a_world, condition


async def test_node_registers_with_what_a_scheduler_needs(autojump_clock):
    async with a_world(labels={"disk": "ssd"}, addresses=("10.0.0.5",)) as world:
        node = await world.api.get("Node", "n1")
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "n1"
        assert node["metadata"]["labels"]["disk"] == "ssd"
        assert node["status"]["capacity"]["pods"] == "110"
        assert node["status"]["allocatable"]["cpu"] == "4"
        assert {"type": "InternalIP", "address": "10.0.0.5"} in node["status"]["addresses"]
        ready = next(one for one in node["status"]["conditions"] if one["type"] == "Ready")
        assert (ready["status"], ready["reason"], ready["message"]) == (
            "True",
            "KubeletReady",
            "kubelet is posting ready status",
        )
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.0"


async def test_lease_is_renewed(autojump_clock):
    async with a_world() as world:
        await trio.sleep(1)
        first = await world.api.get("Lease", "n1", "kube-node-lease")
        await trio.sleep(10)
        second = await world.api.get("Lease", "n1", "kube-node-lease")
        assert first["spec"]["leaseDurationSeconds"] == 40
        assert first["spec"]["renewTime"] < second["spec"]["renewTime"]
        assert second["metadata"]["ownerReferences"][0]["kind"] == "Node"


async def test_status_is_reported_every_five_minutes_and_not_more(autojump_clock):
    async with a_world() as world:
        before = (await world.api.get("Node", "n1"))["metadata"]["resourceVersion"]
        await trio.sleep(250)
        assert (await world.api.get("Node", "n1"))["metadata"]["resourceVersion"] == before
        await trio.sleep(100)
        assert (await world.api.get("Node", "n1"))["metadata"]["resourceVersion"] != before


async def test_a_pod_runs_and_goes(autojump_clock):
    async with a_world() as world:
        await world.pod()
        pod = await world.ready()
        status = pod.status
        assert status.phase == "Running"
        assert status.pod_ip and status.pod_ips[0].ip == status.pod_ip
        assert status.host_ip == "127.0.0.1"
        (container,) = status.container_statuses
        assert container.ready and container.started and container.restart_count == 0
        assert container.container_id.startswith("simulated://")
        assert "sha256:" in container.image_id
        assert container.state.running.started_at
        for kind in ("PodReadyToStartContainers", "Initialized", "ContainersReady", "PodScheduled"):
            assert condition(pod, kind).status == "True", kind
        await world.api.delete("Pod", "web")
        await world.gone()
        assert await world.runtime.list_sandboxes() == ()
        events = await world.events()
        image = "example.test/web:1"
        assert ("Normal", "Pulling", f'Pulling image "{image}"') in events
        assert ("Normal", "Created", "Container created") in events
        assert ("Normal", "Started", "Container started") in events
        assert ("Normal", "Killing", "Stopping container c") in events


async def test_a_start_is_one_write(autojump_clock):
    async with a_world() as world:
        await world.pod()
        await world.ready()
        await trio.sleep(5)
        assert world.node.pod_actor("default", "web")._writer.writes == 1


async def test_containers_are_told_of_services(autojump_clock):
    async with a_world() as world:
        ports = [{"name": "http", "port": 80}]
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "my-db"}, "spec": {"ports": ports}}
        service = await world.api.create(body)
        shell = ["sh", "-c", "echo $MY_DB_SERVICE_HOST $MY_DB_PORT; sleep 1000"]
        await world.pod(containers=[{"name": "c", "image": "busybox:1", "command": shell}])
        await world.ready()
        await trio.sleep(1)
        address = service["spec"]["clusterIP"]
        assert await world.client.logs("web", namespace="default") == f"{address} tcp://{address}:80\n"
    async with a_world(service_environment=False) as world:
        await world.pod()
        await world.ready()
        assert not world.node._services._begun
