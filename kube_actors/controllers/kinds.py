"""Which kinds of objects a server has, for controllers that look after all of them.

Asks the server's discovery; a server without one is taken to have the built-in kinds. It keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Options, Request
from kube_actors.api.resources import Resource, builtin
from kube_actors.api.types.partial import PartialObjectMetadata
from kube_actors.client import Client
from kube_actors.client.decoding import decode_list
from kube_actors.client.kinds import Kinds

_NEEDED = ("list", "delete")


class _MetadataKinds(Kinds):
    """Kinds whose objects are decoded as metadata only, so that no kind's own types have to be loaded."""

    async def find(self, kind: Any) -> tuple[Resource, type[Any]]:
        return self.resources.find(kind), PartialObjectMetadata

    def known(self, kind: Any) -> tuple[Resource, type[Any]]:
        return self.resources.find(kind), PartialObjectMetadata


def metadata_client(client: Client) -> Client:
    """A client over the same transport that reads of every object its metadata."""
    made = Client(client.transport, resources=client.kinds.resources)
    made.kinds = _MetadataKinds(client.kinds.resources)
    return made


async def served(client: Client) -> Sequence[Resource]:
    """Every kind in every version."""
    try:
        return await client.discover()
    except ApiError as error:
        if not error.is_not_found:
            raise
        return builtin()


async def deletable(client: Client) -> tuple[Resource, ...]:
    """Every kind whose objects can be listed and deleted, in the server's preferred version."""
    return preferred(await served(client))


def preferred(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """The first version of each kind that can be listed and deleted."""
    chosen: dict[tuple[str, str], Resource] = {}
    for resource in resources:
        if all(verb in resource.verbs for verb in _NEEDED):
            chosen.setdefault((resource.group, resource.plural), resource)
    return tuple(chosen.values())


async def list_metadata(client: Client, resource: Resource, namespace: str = "") -> Sequence[PartialObjectMetadata]:
    """The metadata of all objects of a kind; none where the kind is not served."""
    request = Request(
        verb="list",
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        namespace=namespace if resource.namespaced else "",
        options=Options(),
    )
    try:
        answer = await client.send(request)
    except ApiError as error:
        if error.is_not_found or error.code == 405:
            return ()
        raise
    return decode_list(answer.body, PartialObjectMetadata).items


async def delete_all(client: Client, resource: Resource, namespace: str) -> None:
    """Delete every object of a kind in a namespace, in the background."""
    request = Request(
        verb="deletecollection",
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        namespace=namespace,
        body=b'{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}',
    )
    try:
        await client.send(request)
    except ApiError as error:
        if not error.is_not_found:
            raise
