"""From a Service that the API server itself has to call to an address of a pod behind it.

Owns the way from a Service's port to a ready endpoint. Knows nothing of what is called, and takes no detour over the
Service's own address: that one is the node proxies' affair, and this server need not be where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kube_actors.apiserver import encoding
from kube_actors.apiserver.core import Core

JSONObject = dict[str, Any]
_OWNER = "kubernetes.io/service-name"


class Unresolved(Exception):
    """Nobody answers for that Service now; the message says why, as kube-apiserver does."""


async def resolve(core: Core, namespace: str, name: str, port: int) -> tuple[str, int]:
    """Host and port of a ready endpoint. Raises Unresolved."""
    entry = await core.store.get(f"/registry/core/services/{namespace}/{name}")
    if entry is None:
        raise Unresolved(f'service "{name}" not found')
    spec = encoding.decode(entry.value).get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", "")), port
    wanted = next((one for one in spec.get("ports") or () if one.get("port") == port), None)
    if wanted is None:
        raise Unresolved(f'no service port {port} found for service "{name}"')
    page = await core.store.list(f"/registry/discovery.k8s.io/endpointslices/{namespace}/")
    slices = [encoding.decode(found.value) for found in page.entries]
    own = [one for one in slices if (one["metadata"].get("labels") or {}).get(_OWNER) == name]
    found = list(_addresses(own, wanted.get("name") or ""))
    if not found:
        raise Unresolved(f'no endpoints available for service "{name}"')
    return core.system.entropy.choice(found) if len(found) > 1 else found[0]


def _addresses(slices: list[JSONObject], port_name: str) -> Iterator[tuple[str, int]]:
    for one in slices:
        number = next((p.get("port") for p in one.get("ports") or () if (p.get("name") or "") == port_name), None)
        if number is None:
            continue
        for endpoint in one.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True) is False:
                continue
            for address in endpoint.get("addresses") or ():
                yield address, number
