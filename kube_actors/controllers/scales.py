"""How many replicas any controller wants, by its scale sub-resource. Asks the server; keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, json, structs

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Request
from kube_actors.api.owners import group_of
from kube_actors.api.resources import Resource
from kube_actors.api.types.meta_v1 import APIGroup, APIResourceList, OwnerReference
from kube_actors.client import Client
from kube_actors.client.decoding import decode
from kube_actors.client.discovery import resources_of


class NoScale(Struct, frozen=True):
    """The owner is of a kind that cannot be scaled; text says so."""

    text: str


class Scaled(Struct, frozen=True, kw_only=True):
    """The scale of an object as the server gave it, and where it is."""

    request: Request
    scale: dict[str, Any]

    @property
    def wanted(self) -> int:
        return int(self.scale.get("spec", {}).get("replicas", 0))

    @property
    def there(self) -> int:
        return int(self.scale.get("status", {}).get("replicas", 0))

    @property
    def selector(self) -> str:
        return str(self.scale.get("status", {}).get("selector") or "")


async def scale_of(client: Client, reference: OwnerReference, namespace: str) -> int | NoScale:
    """The replicas that the owner wants; 0 when it is gone."""
    group, _, version = reference.api_version.rpartition("/")
    found = await resources_for(client, group, reference.kind)
    if not found:
        return NoScale(f'no matches for kind "{reference.kind}" in group "{group_of(reference)}"')
    resource = next((each for each in found if each.version == version), found[0])
    try:
        scale = await _get(client, resource, namespace, reference.name)
    except ApiError as error:
        if not error.is_not_found:
            raise
        # Either the object is gone, or its kind has no such sub-resource: only the former names the object.
        if error.details.name:
            return 0
        return NoScale(f"{resource.name} does not implement the scale subresource")
    return scale.wanted if scale.scale["metadata"].get("uid") == reference.uid else 0


async def find_scale(client: Client, group: str, kind: str, namespace: str, name: str) -> Scaled | NoScale:
    """The scale of an object of any kind, in the first version in which there is one."""
    first: ApiError | None = None
    for resource in await resources_for(client, group, kind):
        try:
            return await _get(client, resource, namespace, name)
        except ApiError as error:
            first = first or error
    return NoScale(first.message if first is not None else f'no matches for kind "{kind}" in group "{group}"')


async def rescale(client: Client, scaled: Scaled, replicas: int) -> None:
    """Have it want so many replicas; an ApiError when it has changed meanwhile."""
    spec = {**scaled.scale.get("spec", {}), "replicas": replicas}
    body = json.encode({**scaled.scale, "spec": spec})
    await client.send(structs.replace(scaled.request, verb="update", body=body))


async def _get(client: Client, resource: Resource, namespace: str, name: str) -> Scaled:
    request = Request(
        verb="get",
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        namespace=namespace if resource.namespaced else "",
        name=name,
        subresource="scale",
    )
    return Scaled(request=request, scale=json.decode((await client.send(request)).body))


async def resources_for(client: Client, group: str, kind: str) -> Sequence[Resource]:
    """The kind in all versions of its group, the preferred one first; the server is asked where it is not built in."""
    known = [each for each in client.kinds.resources if (each.group, each.kind) == (group, kind) and not each.custom]
    if known or not group:
        return known
    found: list[Resource] = []
    try:
        listed = decode(await client.get_raw(f"/apis/{group}"), APIGroup)
        for version in listed.versions:
            document = decode(await client.get_raw(f"/apis/{group}/{version.version}"), APIResourceList)
            found += [each for each in resources_of(document) if each.kind == kind]
    except ApiError as error:
        if not error.is_not_found:
            raise
    return found
