"""The objects that a cluster is never without: made at start, and made again when somebody removed them.

Owns which objects those are. Goes through the ordinary request path, so they are defaulted and validated like any.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api.messages import Request, UserInfo
from kube_actors.apiserver import creating, encoding, updating
from kube_actors.apiserver.core import Call, Core
from kube_actors.apiserver.dispatch import dispatch
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.strategies.cluster import SYSTEM_CLASSES
from kube_actors.apiserver.strategies.loopback import loopback_strategy_for

JSONObject = dict[str, Any]

NAMESPACES = ("kube-system", "default", "kube-public", "kube-node-lease")
_DESCRIPTIONS = {
    "system-cluster-critical": (
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
    ),
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
}
_SERVICE = "kubernetes"
_LABELS = {"component": "apiserver", "provider": "kubernetes"}
IDENTITY = UserInfo(name="system:apiserver", groups=("system:masters",))


async def run(core: Core, endpoint: tuple[str, int] | None) -> None:
    """Rebuild what is kept in memory, then create what is missing."""
    page = await core.store.list("/registry/core/services/")
    await core.allocators.rebuild(core, [encoding.decode(entry.value) for entry in page.entries])
    for name in NAMESPACES:
        await ensure(core, "", "v1", "namespaces", "", {"metadata": {"name": name}})
    for name, value in SYSTEM_CLASSES.items():
        body = {"metadata": {"name": name}, "value": value, "description": _DESCRIPTIONS[name]}
        await ensure(core, "scheduling.k8s.io", "v1", "priorityclasses", "", body)
    await _service_cidr(core)
    await _kubernetes_service(core, endpoint)


async def _service_cidr(core: Core) -> None:
    """The range of cluster addresses, as an object for people to see; ready from the start."""
    kind = core.kinds.get("networking.k8s.io", "v1", "servicecidrs")
    if await core.store.get(kind.key("", _SERVICE)) is not None:
        return
    body: JSONObject = {"metadata": {"name": _SERVICE}, "spec": {"cidrs": [str(core.allocators.network)]}}
    await ensure(core, "networking.k8s.io", "v1", "servicecidrs", "", body)
    condition = {"type": "Ready", "status": "True", "reason": "", "lastTransitionTime": core.now_text()}
    condition["message"] = "Kubernetes default Service CIDR is ready"
    body |= {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, "status": {"conditions": [condition]}}
    request = Request(
        verb="update",
        group=kind.resource.group,
        version=kind.resource.version,
        resource=kind.resource.plural,
        name=_SERVICE,
        subresource="status",
        body=encoding.encode(body),
        user=IDENTITY,
    )
    await dispatch(core, request)


async def _kubernetes_service(core: Core, endpoint: tuple[str, int] | None) -> None:
    """Service default/kubernetes; behind it the listener, when there is one."""
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": endpoint[1] if endpoint else 6443}
    service = {
        "metadata": {"name": _SERVICE, "labels": _LABELS},
        "spec": {"type": "ClusterIP", "clusterIP": core.allocators.api_address, "ports": [port]},
    }
    await ensure(core, "", "v1", "services", "default", service)
    if endpoint is None:
        return
    host, number = endpoint
    behind = {"name": "https", "port": number, "protocol": "TCP"}
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    endpoints = {
        "metadata": {"name": _SERVICE, "labels": mirrored},
        "subsets": [{"addresses": [{"ip": host}], "ports": [behind]}],
    }
    await replace(core, "", "v1", "endpoints", "default", endpoints)
    slice_ = {
        "metadata": {"name": _SERVICE, "labels": {"kubernetes.io/service-name": _SERVICE}},
        "addressType": "IPv6" if ":" in host else "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [behind],
    }
    await replace(core, "discovery.k8s.io", "v1", "endpointslices", "default", slice_)


async def replace(core: Core, group: str, version: str, plural: str, namespace: str, obj: JSONObject) -> None:
    """Create an object or bring it to this state: the listener's address changes from start to start.

    Our own listener may be on loopback, where nobody else's endpoints may be.
    """
    resource = core.kinds.get(group, version, plural).resource
    kind = Kind(resource, loopback_strategy_for(resource))
    name = obj["metadata"]["name"]
    there = await core.store.get(kind.key(namespace, name)) is not None
    request = Request(
        verb="update" if there else "create",
        group=group,
        version=version,
        resource=plural,
        namespace=namespace,
        name=name if there else "",
        body=encoding.encode({"apiVersion": resource.api_version, "kind": resource.kind, **obj}),
        user=IDENTITY,
    )
    call = Call(core, kind, request)
    await (updating.update(call) if there else creating.create(call))


async def ensure(core: Core, group: str, version: str, plural: str, namespace: str, obj: JSONObject) -> None:
    """Create an object unless one of its name is there."""
    kind = core.kinds.get(group, version, plural)
    name = obj["metadata"]["name"]
    if await core.store.get(kind.key(namespace, name)) is not None:
        return
    body = encoding.encode({"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, **obj})
    await dispatch(
        core,
        Request(
            verb="create",
            group=group,
            version=version,
            resource=plural,
            namespace=namespace,
            body=body,
            user=IDENTITY,
        ),
    )
