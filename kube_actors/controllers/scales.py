"""How many replicas any controller wants, by its scale sub-resource. Asks the server; keeps nothing."""

from __future__ import annotations

from msgspec import Struct, json

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Request
from kube_actors.api.owners import group_of
from kube_actors.api.resources import Resource
from kube_actors.api.types.meta_v1 import OwnerReference
from kube_actors.client import Client

from .kinds import served


class NoScale(Struct, frozen=True):
    """The owner is of a kind that cannot be scaled; text says so."""

    text: str


async def scale_of(client: Client, reference: OwnerReference, namespace: str) -> int | NoScale:
    """The replicas that the owner wants; 0 when it is gone."""
    resource = await _resource(client, reference)
    if resource is None:
        return NoScale(f'no matches for kind "{reference.kind}" in group "{group_of(reference)}"')
    if "scale" not in resource.subresources:
        return NoScale(f"{resource.name} does not implement the scale subresource")
    request = Request(
        verb="get",
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        namespace=namespace if resource.namespaced else "",
        name=reference.name,
        subresource="scale",
    )
    try:
        answer = await client.send(request)
    except ApiError as error:
        if error.is_not_found:
            return 0
        raise
    scale = json.decode(answer.body)
    if scale["metadata"].get("uid") != reference.uid:
        return 0
    return int(scale.get("spec", {}).get("replicas", 0))


async def _resource(client: Client, reference: OwnerReference) -> Resource | None:
    group, _, version = reference.api_version.rpartition("/")
    found = [r for r in await served(client) if (r.group, r.kind) == (group, reference.kind)]
    return next((r for r in found if r.version == version), found[0] if found else None)
