"""pods/proxy, services/proxy and nodes/proxy: HTTP to what runs in the cluster, through the API server.

Owns how `scheme:name:port` is read and which address it means. The passing on is `forwarding`'s.
"""

from __future__ import annotations

import functools
import ssl
from typing import Any
from urllib.parse import urlencode

from msgspec import structs

from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, AnyAnswer, HttpCall, Request
from kube_actors.api.node_messages import NodeDocuments, NodeEndpoint
from kube_actors.apiserver import backends, encoding, forwarding, reading
from kube_actors.apiserver.admission.connecting import admit_connect
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.forwarding import Backend
from kube_actors.apiserver.subresources.streams import endpoint_of
from kube_actors.client.rest import path_of
from kube_actors.wire import client_context

JSONObject = dict[str, Any]
_SCHEMES = ("", "http", "https")


async def pod(call: Call) -> AnyAnswer:
    """To a pod's own address; the port is the first that a container names unless one is given."""
    scheme, name, port = _split(call, "pod")
    await _admit(call, "PodProxyOptions")
    call.name = name
    found = encoding.decode((await reading.find(call)).value)
    address = (found.get("status") or {}).get("podIP", "")
    if not address:
        raise errors.bad_request("address not allowed")
    return await _pass_on(call, scheme, address, _number(port) or _first_port(found) or _usual(scheme))


async def service(call: Call) -> AnyAnswer:
    """To one of a Service's ready endpoints."""
    scheme, name, port = _split(call, "service")
    await _admit(call, "ServiceProxyOptions")
    host, number = await backends.choose(call.core, call.namespace, name, port)
    return await _pass_on(call, scheme, host, number)


async def node(call: Call) -> AnyAnswer:
    """To a port of a node; without one, to its kubelet, which wants to know who asks."""
    scheme, name, port = _split(call, "node")
    await _admit(call, "NodeProxyOptions")
    call.name = name
    endpoint = endpoint_of(encoding.decode((await reading.find(call)).value))
    told = None if port else await _told(call, endpoint)
    if told is not None:
        return told
    if not endpoint.host:
        raise errors.service_unavailable(f"error trying to reach service: node {name} has told no address")
    number = _number(port)
    if number and number != endpoint.port:
        return await _pass_on(call, scheme, endpoint.host, number)
    if not endpoint.port:
        raise errors.service_unavailable(f"error trying to reach service: the kubelet of node {name} serves no HTTP")
    tls = getattr(call.core.nodes, "tls", None)
    return await _pass_on(call, "https", endpoint.host, endpoint.port, tls=tls() if tls is not None else None)


async def _told(call: Call, endpoint: NodeEndpoint) -> Answer | None:
    """What a node of this process says of itself; None when it is another one's, or is to be asked by HTTP."""
    nodes, path = call.core.nodes, call.request.subresource.partition("/")[2]
    if nodes is None or call.request.verb != "get" or not path:
        return None
    try:
        service = nodes.reach(endpoint)
    except ApiError:
        return None  # by HTTP it is told why
    return await service.document(path) if isinstance(service, NodeDocuments) else None


async def _admit(call: Call, kind: str) -> None:
    path = call.request.subresource.partition("/")[2]
    await admit_connect(call, kind, (("path", path),) if path else ())


def _split(call: Call, what: str) -> tuple[str, str, str]:
    """scheme, name and port of `name`, `name:port` or `scheme:name:port`."""
    parts = call.request.name.split(":")
    if len(parts) == 1:
        found = "", parts[0], ""
    elif len(parts) == 2:
        found = "", parts[0], parts[1]
    elif len(parts) == 3:
        found = parts[0], parts[1], parts[2]
    else:
        found = "?", "", ""
    if found[0] not in _SCHEMES or not found[1]:
        raise errors.bad_request(f'invalid {what} request "{call.request.name}"')
    return found


def _number(port: str) -> int:
    """A port as a number; 0 for none."""
    if not port:
        return 0
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise errors.bad_request(f'invalid port "{port}"')
    return int(port)


def _first_port(found: JSONObject) -> int:
    for container in found["spec"]["containers"]:
        for port in container.get("ports") or ():
            number: int = port["containerPort"]
            return number
    return 0


def _usual(scheme: str) -> int:
    return 443 if scheme == "https" else 80


async def _pass_on(call: Call, scheme: str, host: str, port: int, tls: ssl.SSLContext | None = None) -> AnyAnswer:
    came = call.request.http or _as_http(call.request)
    # The name is one segment, behind the version, and behind the namespace where there is one.
    at = 8 if call.request.namespace else 6
    parts = came.path.split("/")
    tail, prefix = parts[at:], "/".join(parts[:at])
    backend = Backend(
        host=host,
        port=port,
        path="/" + "/".join(tail) if tail else "",
        prefix=prefix,
        tls=(tls or _trusting()) if scheme == "https" else None,
    )
    return await forwarding.forward(came, call.request.body, backend)


@functools.cache
def _trusting() -> ssl.SSLContext:
    """Kubernetes does not verify who stands behind `https:name:port`: nothing says whose certificate it would be."""
    return client_context(verify=False)


def _as_http(request: Request) -> HttpCall:
    """What a component of this process asks for, as a client would have sent it."""
    headers: tuple[tuple[str, str], ...] = (("accept", request.accept),)
    if request.body:
        headers = (*headers, ("content-type", request.content_type))
    methods = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
    plain = structs.replace(request, params=())
    return HttpCall(
        method=methods.get(request.verb, "GET"), path=path_of(plain), query=urlencode(request.params), headers=headers
    )
