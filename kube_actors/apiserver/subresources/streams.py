"""pods/log, pods/exec and pods/attach: found on the pod, answered by its node.

Owns how the parameters are read and the container chosen. The streams themselves are the node's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from kube_actors.api import errors, time
from kube_actors.api import field_errors as fields
from kube_actors.api.messages import AnyAnswer, ForwardAnswer, SessionAnswer, StreamAnswer
from kube_actors.api.node_messages import AttachRequest, ExecRequest, LogRequest, NodeEndpoint, NodeService
from kube_actors.apiserver import encoding, reading
from kube_actors.apiserver.admission.connecting import admit_connect
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.strategies import pod_defaults

JSONObject = dict[str, Any]

_TRUE = frozenset({"true", "1", "t", "T", "TRUE", "True"})
_ADDRESS_ORDER = ("InternalIP", "Hostname", "InternalDNS", "ExternalDNS", "ExternalIP")


class Parameters:
    """The raw query parameters of a connect sub-resource."""

    def __init__(self, params: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for key, value in params:
            self._values.setdefault(key, []).append(value)

    def text(self, key: str) -> str:
        return self._values.get(key, [""])[0]

    def all(self, key: str) -> tuple[str, ...]:
        return tuple(self._values.get(key, ()))

    def flag(self, key: str) -> bool:
        return self.text(key) in _TRUE

    def number(self, key: str) -> int | None:
        text = self.text(key)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


async def log(call: Call) -> AnyAnswer:
    """GET of a container's log, followed if asked."""
    if call.request.verb not in ("get", "connect"):
        raise errors.method_not_allowed()
    given = Parameters(call.request.params)
    request = LogRequest(
        namespace=call.namespace,
        pod=call.name,
        container=given.text("container"),
        follow=given.flag("follow"),
        previous=given.flag("previous"),
        timestamps=given.flag("timestamps"),
        tail_lines=given.number("tailLines"),
        since_seconds=given.number("sinceSeconds"),
        since_time=given.text("sinceTime"),
        limit_bytes=given.number("limitBytes"),
    )
    problems = log_problems(request)
    if problems:
        raise errors.invalid("PodLogOptions", call.name, problems)
    pod = encoding.decode((await reading.find(call)).value)
    container = choose_container(pod, request.container)
    if not pod["spec"].get("nodeName"):
        return call.answer(b"")  # kube-apiserver has nothing to ask yet, and says nothing
    node = await _node(call, pod)
    stream = await node.logs(structs.replace(request, container=container))
    return StreamAnswer(stream=stream)


def log_problems(request: LogRequest) -> list[fields.FieldError]:
    """As ValidatePodLogOptions."""
    found = []
    if request.tail_lines is not None and request.tail_lines < 0:
        found.append(fields.invalid("tailLines", request.tail_lines, "must be greater than or equal to 0"))
    if request.limit_bytes is not None and request.limit_bytes < 1:
        found.append(fields.invalid("limitBytes", request.limit_bytes, "must be greater than 0"))
    if request.since_seconds is not None and request.since_time:
        found.append(fields.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif request.since_seconds is not None and request.since_seconds < 1:
        found.append(fields.invalid("sinceSeconds", request.since_seconds, "must be greater than 0"))
    elif request.since_time:
        try:
            time.parse_time(request.since_time)
        except time.TimeError:
            found.append(fields.invalid("sinceTime", request.since_time, "must be an RFC 3339 time"))
    return found


async def exec_(call: Call) -> AnyAnswer:
    """A command in a running container."""
    given = Parameters(call.request.params)
    stdin, stdout, stderr, tty = (given.flag(key) for key in ("stdin", "stdout", "stderr", "tty"))
    _check_streams(stdin, stdout, stderr)
    command = given.all("command")
    if not command:
        raise errors.bad_request("you must specify at least 1 command for the container")
    await admit_connect(call, "PodExecOptions", call.request.params)
    pod, container, node = await _running(call, given.text("container"))
    request = ExecRequest(
        namespace=call.namespace,
        pod=pod["metadata"]["name"],
        container=container,
        command=command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr and not tty,
        tty=tty,
    )
    return SessionAnswer(session=await node.exec(request))


async def attach(call: Call) -> AnyAnswer:
    """A running container's first process."""
    given = Parameters(call.request.params)
    stdin, stdout, stderr, tty = (given.flag(key) for key in ("stdin", "stdout", "stderr", "tty"))
    _check_streams(stdin, stdout, stderr)
    await admit_connect(call, "PodAttachOptions", call.request.params)
    pod, container, node = await _running(call, given.text("container"))
    request = AttachRequest(
        namespace=call.namespace,
        pod=pod["metadata"]["name"],
        container=container,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr and not tty,
        tty=tty,
    )
    return SessionAnswer(session=await node.attach(request))


async def portforward(call: Call) -> AnyAnswer:
    """Ports of a pod, through its own address."""
    ports = []
    for text in ",".join(Parameters(call.request.params).all("ports")).split(","):
        if text:
            if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) < 65536:
                raise errors.bad_request(f'invalid port "{text}"')
            ports.append(int(text))
    pod = encoding.decode((await reading.find(call)).value)
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {call.name} does not have a host assigned")
    address = (pod.get("status") or {}).get("podIP", "")
    if not address:
        raise errors.bad_request(f"pod {call.name} has no address yet")
    return ForwardAnswer(address=address, ports=tuple(ports))


def _check_streams(stdin: bool, stdout: bool, stderr: bool) -> None:
    if not (stdin or stdout or stderr):
        raise errors.bad_request("you must specify at least one of stdin, stdout, stderr")


async def _running(call: Call, container: str) -> tuple[JSONObject, str, NodeService]:
    """The pod, the chosen container and the node's service, for exec and attach."""
    pod = encoding.decode((await reading.find(call)).value)
    chosen = choose_container(pod, container)
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {call.name} does not have a host assigned")
    return pod, chosen, await _node(call, pod)


def choose_container(pod: JSONObject, name: str) -> str:
    """The named container, or the only one; a 400 in kube-apiserver's words otherwise."""
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    if name:
        if any(container["name"] == name for container in pod_defaults.containers(spec)):
            return name
        raise errors.bad_request(f"container {name} is not valid for pod {pod_name}")
    names = [container["name"] for container in spec["containers"]]
    if len(names) == 1:
        found: str = names[0]
        return found
    text = f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(names)}]"
    inits = [container["name"] for container in spec.get("initContainers") or ()]
    if inits:
        text += f" or one of the init containers: [{' '.join(inits)}]"
    raise errors.bad_request(text)


async def _node(call: Call, pod: JSONObject) -> NodeService:
    """The service of the pod's node. Raises ApiError when there is no way to it."""
    if call.core.nodes is None:
        raise errors.service_unavailable("this API server knows no way to its nodes")
    name = pod["spec"]["nodeName"]
    kind = call.core.kinds.get("", "v1", "nodes")
    entry = await call.core.store.get(kind.key("", name))
    if entry is None:
        raise errors.not_found("nodes", name)
    return call.core.nodes.reach(endpoint_of(encoding.decode(entry.value)))


def endpoint_of(node: JSONObject) -> NodeEndpoint:
    """Where a node's kubelet listens, by the preferred kind of address."""
    status = node.get("status") or {}
    addresses = {address.get("type"): address.get("address", "") for address in status.get("addresses") or ()}
    host = next((addresses[kind] for kind in _ADDRESS_ORDER if addresses.get(kind)), "")
    port = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint", {}).get("Port", 0)
    return NodeEndpoint(name=node["metadata"]["name"], host=host, port=port)
