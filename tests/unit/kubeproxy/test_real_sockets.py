"""From an object in the API to bytes over a socket: API server, actor and the loopback tier together."""

import trio

from kube_actors.api.messages import UserInfo
from kube_actors.kubeproxy import KubeProxy
from netproxy.addresses import open_proxy, reserve_loopback_range
from tests.kit.apiserver import running_apiserver

PORT = 8080


async def server(nursery, name):
    """A server that tells its name and ends; returns its port on 127.0.0.1."""

    async def serve(stream):
        await stream.send_all(name.encode())
        await stream.aclose()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    return listeners[0].socket.getsockname()[1]


def slice_to(port):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }


async def ask(address):
    async with await trio.open_tcp_stream(address, PORT) as stream:
        answer = b""
        async for data in stream:
            answer += data
        return answer.decode()


async def test_endpoints_are_exchanged_under_load_without_a_lost_request():
    reserved = reserve_loopback_range()
    async with (
        running_apiserver(service_range=reserved.network) as api,
        open_proxy("loopback", reserved.network) as proxy,
        trio.open_nursery() as nursery,
    ):
        client = api.client(UserInfo(name="proxy", groups=("system:masters",)))
        actor = KubeProxy(client, api.system, proxy)
        nursery.start_soon(actor.run)
        ports = {name: await server(nursery, name) for name in ("one", "two")}
        await api.create(slice_to(ports["one"]))
        spec = {"ports": [{"port": PORT}]}
        created = await api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
        address = created["spec"]["clusterIP"]
        with trio.fail_after(30):
            while proxy.statistics().frontends < 2:  # default/kubernetes, and this one
                await trio.lowlevel.checkpoint()
            answers = []
            for name in ("one", "two", "one", "two"):
                found = await api.get("EndpointSlice", "web-1")
                await api.update({**found, "ports": slice_to(ports[name])["ports"]})
                while not answers or answers[-1] != name:
                    answers.append(await ask(address))
        assert set(answers) == {"one", "two"}
        assert proxy.statistics().refused == 0 and proxy.failures == ()
        nursery.cancel_scope.cancel()
    reserved.close()
