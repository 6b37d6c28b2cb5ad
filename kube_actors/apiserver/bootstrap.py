"""The objects that a cluster is never without: made at start, and made again when somebody removed them.

Owns which objects those are. Goes through the ordinary request path, so they are defaulted and validated like any.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api.messages import Request, UserInfo
from kube_actors.apiserver import encoding
from kube_actors.apiserver.core import Core
from kube_actors.apiserver.dispatch import dispatch

JSONObject = dict[str, Any]

NAMESPACES = ("kube-system", "default", "kube-public", "kube-node-lease")
IDENTITY = UserInfo(name="system:apiserver", groups=("system:masters",))


async def run(core: Core, endpoint: tuple[str, int] | None) -> None:
    """Rebuild what is kept in memory, then create what is missing."""
    page = await core.store.list("/registry/core/services/")
    core.allocators.rebuild(encoding.decode(entry.value) for entry in page.entries)
    for name in NAMESPACES:
        await ensure(core, "", "v1", "namespaces", "", {"metadata": {"name": name}})


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
