"""What a server says that it serves, read from its discovery documents.

Pure, but for the fetching, which is the caller's function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kube_actors.api.resources import Resource
from kube_actors.api.types.meta_v1 import APIGroupList, APIResourceList, APIVersions

from .decoding import decode

Fetch = Callable[[str], Awaitable[bytes]]


async def discover(fetch: Fetch) -> list[Resource]:
    """All resources of all group versions, by the legacy discovery that every server has."""
    core = decode(await fetch("/api"), APIVersions)
    paths = [f"/api/{version}" for version in core.versions]
    groups = decode(await fetch("/apis"), APIGroupList)
    paths += [f"/apis/{version.group_version}" for group in groups.groups for version in group.versions]
    found: list[Resource] = []
    for path in paths:
        found += resources_of(decode(await fetch(path), APIResourceList))
    return found


def resources_of(document: APIResourceList) -> list[Resource]:
    """The resources of one group version; sub-resources are left to the built-in table."""
    group, _, version = document.group_version.rpartition("/")
    return [
        Resource(
            group=group,
            version=version,
            plural=entry.name,
            singular=entry.singular_name or entry.kind.lower(),
            kind=entry.kind,
            list_kind=entry.kind + "List",
            namespaced=entry.namespaced,
            verbs=entry.verbs,
            short_names=entry.short_names,
            categories=entry.categories,
            custom=True,
        )
        for entry in document.resources
        if "/" not in entry.name
    ]
