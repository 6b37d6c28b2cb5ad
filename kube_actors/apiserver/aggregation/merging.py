"""Discovery and OpenAPI of all servers in one: ours, with what the others say of the groups that are theirs.

A server that does not answer takes nothing else with it: its group versions are listed, as stale. Owns the merged
documents of a moment; nothing is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import trio
from msgspec import structs

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import JSON, Answer, RawRequest
from kube_actors.api.resources import version_priority
from kube_actors.apiserver import limits
from kube_actors.apiserver.aggregation import passing
from kube_actors.apiserver.aggregation.book import GroupVersion, available
from kube_actors.apiserver.core import Core

JSONObject = dict[str, Any]
Remote = Mapping[GroupVersion, JSONObject]


class Local(Protocol):
    """Our own documents."""

    async def __call__(self, request: RawRequest) -> Answer: ...


async def answer(core: Core, request: RawRequest, local: Local) -> Answer:
    """A document below /apis or /openapi; whatever is ours alone comes from local."""
    remote = await core.aggregator.remote()
    parts = request.path.strip("/").split("/")
    match parts:
        case ["apis"]:
            return await _groups(core, request, local, remote)
        case ["apis", group] if _versions(remote, group):
            return await _group(request, local, remote, group)
        case ["apis", group, version] if (group, version) in remote:
            return await _theirs(core, remote[group, version], request)
        case ["openapi", "v3"]:
            return await _index(core, request, local, remote)
        case ["openapi", "v3", "apis", group, version] if (group, version) in remote:
            return await _theirs(core, remote[group, version], request)
        case _:
            return await local(request)


async def _theirs(core: Core, service: JSONObject, request: RawRequest) -> Answer:
    return await passing.get(core, service, request.path, request)


def _versions(remote: Remote, group: str) -> list[str]:
    return sorted((version for name, version in remote if name == group), key=version_priority)


def _entry(group: str, versions: list[str]) -> JSONObject:
    shown = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": shown, "preferredVersion": shown[0]}


async def _group(request: RawRequest, local: Local, remote: Remote, group: str) -> Answer:
    ours = await local(request)
    versions = _versions(remote, group)
    if ours.status == 200 and ours.content_type == JSON:
        known = [each["version"] for each in msgspec.json.decode(ours.body)["versions"]]
        versions = sorted({*known, *versions}, key=version_priority)
    body = {"kind": "APIGroup", "apiVersion": "v1", **_entry(group, versions)}
    return Answer(body=msgspec.json.encode(body) + b"\n")


async def _groups(core: Core, request: RawRequest, local: Local, remote: Remote) -> Answer:
    ours = await local(structs.replace(request, if_none_match=""))
    if ours.status != 200 or not ours.content_type.startswith(JSON):
        return ours
    document = msgspec.json.decode(ours.body)
    names = list(dict.fromkeys(group for group, _ in remote))
    if document.get("kind") == "APIGroupList":
        there = {each["name"] for each in document["groups"]}
        document["groups"] += [_entry(name, _versions(remote, name)) for name in names if name not in there]
        return structs.replace(ours, body=msgspec.json.encode(document) + b"\n")
    found = await _discovered(core, request, remote)
    items = {item["metadata"].get("name", ""): item for item in document["items"]}
    for name in names:
        versions = [found[name, version] for version in _versions(remote, name)]
        if name in items:
            items[name]["versions"] += versions
        else:
            document["items"].append({"metadata": {"name": name}, "versions": versions})
    body = msgspec.json.encode(document) + b"\n"
    etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    headers = (("ETag", etag), ("Vary", "Accept"))
    if request.if_none_match == etag:
        return Answer(status=304, content_type=ours.content_type, headers=headers)
    return structs.replace(ours, body=body, headers=headers)


async def _discovered(core: Core, request: RawRequest, remote: Remote) -> dict[GroupVersion, JSONObject]:
    """What each server says of its group version, all asked at once."""
    found: dict[GroupVersion, JSONObject] = {}

    async def ask(key: GroupVersion, service: JSONObject) -> None:
        document = await _document(core, service, f"/apis/{key[0]}/{key[1]}", request) if available(service) else None
        entries = _as_discovery(key, document.get("resources") or []) if document is not None else []
        found[key] = {
            "version": key[1],
            "resources": entries,
            "freshness": "Stale" if document is None else "Current",
        }

    async with trio.open_nursery() as nursery:
        for key, service in remote.items():
            nursery.start_soon(ask, key, service)
    return found


async def _document(core: Core, service: JSONObject, path: str, request: RawRequest) -> JSONObject | None:
    """A JSON object of another server, or None when it has none for us in time."""
    asked = RawRequest(path=path, user=request.user)
    try:
        with trio.move_on_after(limits.EXTENSION_SECONDS):
            answered = await passing.get(core, service, path, asked)
            found = msgspec.json.decode(answered.body) if answered.status == 200 else None
            return found if isinstance(found, dict) else None
    except (ApiError, msgspec.DecodeError):
        return None
    return None


def _as_discovery(key: GroupVersion, resources: list[JSONObject]) -> list[JSONObject]:
    """A list of resources as aggregated discovery writes it."""
    found: dict[str, JSONObject] = {}
    for each in resources:
        name, _, sub = str(each.get("name", "")).partition("/")
        kind = {"group": each.get("group") or key[0], "version": each.get("version") or key[1], "kind": each["kind"]}
        if sub:
            parent = found.get(name)
            if parent is not None:
                entry = {"subresource": sub, "responseKind": kind, "verbs": each.get("verbs") or []}
                parent.setdefault("subresources", []).append(entry)
            continue
        found[name] = {
            "resource": name,
            "responseKind": kind,
            "scope": "Namespaced" if each.get("namespaced") else "Cluster",
            "singularResource": each.get("singularName", ""),
            "verbs": each.get("verbs") or [],
            **{key: each[key] for key in ("shortNames", "categories") if each.get(key)},
        }
    return list(found.values())


async def _index(core: Core, request: RawRequest, local: Local, remote: Remote) -> Answer:
    """Our OpenAPI index with the documents of the others in it."""
    ours = await local(structs.replace(request, if_none_match=""))
    document = msgspec.json.decode(ours.body)
    for (group, version), service in remote.items():
        theirs = await _document(core, service, "/openapi/v3", request) if available(service) else None
        name = f"apis/{group}/{version}"
        entry = ((theirs or {}).get("paths") or {}).get(name)
        if entry is not None:
            document["paths"][name] = entry
    return Answer(body=msgspec.json.encode(document))
