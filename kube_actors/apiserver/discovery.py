"""Discovery: which groups, versions and resources there are. Pure functions on the book of resources.

Owns the documents of /api, /apis and below, plain and aggregated. Groups stand in the order of the book, versions in
Kubernetes' order of preference.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kube_actors.api.resources import Resource, Resources, Subresource

JSONObject = dict[str, Any]


def api_versions(resources: Resources, address: str) -> JSONObject:
    """GET /api. address is where clients find this server, host and port."""
    return {
        "kind": "APIVersions",
        "versions": list(resources.versions("")),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list(resources: Resources) -> JSONObject:
    """GET /apis."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(resources, name) for name in resources.groups()],
    }


def group(resources: Resources, name: str) -> JSONObject | None:
    """GET /apis/GROUP; None when there is no such group."""
    if not name or name not in resources.groups():
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(resources, name)}


def _group(resources: Resources, name: str) -> JSONObject:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in resources.versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(resources: Resources, group_name: str, version: str) -> JSONObject | None:
    """GET /api/V or /apis/GROUP/V; None when there is no such group version."""
    found = resources.in_version(group_name, version)
    if not found:
        return None
    head: JSONObject = {"kind": "APIResourceList"}
    if group_name:
        head["apiVersion"] = "v1"
    entries = [entry for resource in _sorted(found) for entry in _entries(resource)]
    return {**head, "groupVersion": found[0].api_version, "resources": entries}


def _sorted(found: Iterable[Resource]) -> list[Resource]:
    return sorted(found, key=lambda resource: resource.plural)


def _entries(resource: Resource) -> list[JSONObject]:
    entry: JSONObject = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    _add_words(entry, resource)
    if resource.storage_version_hash:
        entry["storageVersionHash"] = resource.storage_version_hash
    return [entry, *(_sub_entry(resource, resource.subresources[name]) for name in sorted(resource.subresources))]


def _add_words(entry: JSONObject, resource: Resource) -> None:
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)


def _sub_entry(resource: Resource, sub: Subresource) -> JSONObject:
    entry: JSONObject = {
        "name": f"{resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if sub.version:
        entry["group"] = sub.group
        entry["version"] = sub.version
    return {**entry, "kind": sub.kind, "verbs": list(sub.verbs)}


# -- aggregated -------------------------------------------------------------------------------------------------


def aggregated(resources: Resources, *, core: bool, version: str = "v2") -> JSONObject:
    """All of /api (core) or of /apis in one document."""
    names = [""] if core else list(resources.groups())
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_group_discovery(resources, name) for name in names],
    }


def _group_discovery(resources: Resources, name: str) -> JSONObject:
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            {
                "version": version,
                "resources": [_discovered(resource) for resource in _sorted(resources.in_version(name, version))],
                "freshness": "Current",
            }
            for version in resources.versions(name)
        ],
    }


def _discovered(resource: Resource) -> JSONObject:
    # Kubernetes leaves the group and version of its built-in kinds empty here: they are those of the document.
    group_name, version = (resource.group, resource.version) if resource.custom else ("", "")
    entry: JSONObject = {
        "resource": resource.plural,
        "responseKind": {"group": group_name, "version": version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    _add_words(entry, resource)
    if resource.subresources:
        entry["subresources"] = [
            _discovered_sub(resource, resource.subresources[name]) for name in sorted(resource.subresources)
        ]
    return entry


def _discovered_sub(resource: Resource, sub: Subresource) -> JSONObject:
    group_name, version = sub.group, sub.version
    if resource.custom and not version:
        group_name, version = resource.group, resource.version
    return {
        "subresource": sub.name,
        "responseKind": {"group": group_name, "version": version, "kind": sub.kind},
        "verbs": list(sub.verbs),
    }
