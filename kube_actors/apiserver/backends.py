"""Which address stands behind a Service's name: chosen among its ready endpoints, without its cluster address.

What proxies, aggregated API servers and webhooks by Service share. Reads the store; opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kube_actors.api import errors
from kube_actors.apiserver import encoding
from kube_actors.apiserver.aggregation.in_process import Extension
from kube_actors.apiserver.core import Core

JSONObject = dict[str, Any]
_SERVICE_NAME = "kubernetes.io/service-name"


async def service(core: Core, namespace: str, name: str) -> JSONObject | None:
    """A Service, or None."""
    entry = await core.store.get(core.kinds.get("", "v1", "services").key(namespace, name))
    return None if entry is None else encoding.decode(entry.value)


async def extension(core: Core, api_service: JSONObject) -> Extension | None:
    """The extension server of this process that an APIService names, unless there really is such a Service."""
    where = api_service["spec"]["service"]
    found = core.aggregator.extensions.get((where["namespace"], where["name"]))
    if found is None or await service(core, where["namespace"], where["name"]) is not None:
        return None
    return found


async def addresses(core: Core, namespace: str, name: str, port_name: str) -> list[tuple[str, int]]:
    """Every ready address and port behind the named port of a Service. From Endpoints, else from slices."""
    entry = await core.store.get(core.kinds.get("", "v1", "endpoints").key(namespace, name))
    found = list(_of_endpoints(encoding.decode(entry.value), port_name)) if entry is not None else []
    if found:
        return found
    kind = core.kinds.get("discovery.k8s.io", "v1", "endpointslices")
    page = await core.store.list(kind.list_prefix(namespace))
    for each in page.entries:
        if core.facets.get(kind, each.modified, each.value).labels.get(_SERVICE_NAME) == name:
            found += _of_slice(encoding.decode(each.value), port_name)
    return found


def _of_endpoints(endpoints: JSONObject, port_name: str) -> Iterator[tuple[str, int]]:
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            if port.get("name", "") == port_name:
                yield from ((address["ip"], port["port"]) for address in subset.get("addresses") or ())


def _of_slice(endpoint_slice: JSONObject, port_name: str) -> Iterator[tuple[str, int]]:
    for port in endpoint_slice.get("ports") or ():
        if (port.get("name") or "") != port_name or not port.get("port"):
            continue
        for endpoint in endpoint_slice.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True):
                yield from ((address, port["port"]) for address in endpoint.get("addresses") or ())


async def choose(core: Core, namespace: str, name: str, port: str) -> tuple[str, int]:
    """One ready address behind a Service's port, given by name, by number or "" for the one without a name.

    Raises a 404 for a Service that is not there, a 503 for one without such a port or without endpoints.
    """
    found = await service(core, namespace, name)
    if found is None:
        raise errors.not_found("services", name)
    port_name = port
    if port.isascii() and port.isdigit():
        match = [each for each in found["spec"].get("ports") or () if each["port"] == int(port)]
        if not match:
            raise errors.service_unavailable(f'no service port {int(port)} found for service "{name}"')
        port_name = match[0].get("name", "")
    candidates = await addresses(core, namespace, name, port_name)
    if not candidates:
        raise errors.service_unavailable(f'no endpoints available for service "{name}"')
    return candidates[core.system.entropy.integer(0, len(candidates) - 1)]
