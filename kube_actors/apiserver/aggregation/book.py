"""Which group versions are served by whom: the APIService objects, the local ones among them.

Local ones are written at the first request that could see them, so that a cluster's start does not pay for them. Owns
no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import trio
from msgspec import Struct

from kube_actors.actors import System
from kube_actors.api import time
from kube_actors.apiserver import encoding
from kube_actors.apiserver.aggregation.in_process import Extension, api_service
from kube_actors.apiserver.kinds import Kinds
from kube_actors.apiserver.mirror import Mirror
from kube_actors.store.contract import RevisionConflict, Store

JSONObject = dict[str, Any]
GroupVersion = tuple[str, str]

GROUP = "apiregistration.k8s.io"
PREFIX = f"/registry/{GROUP}/apiservices/"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
_HEAD = encoding.head_of("APIService", f"{GROUP}/v1")
_CUSTOM = (1000, 100)
_PRIORITIES: dict[str, tuple[int, int]] = {
    "": (18000, 1), "apps": (17800, 15), "events.k8s.io": (17750, 15), "authentication.k8s.io": (17700, 15),
    "authorization.k8s.io": (17600, 15), "autoscaling": (17500, 15), "batch": (17400, 15),
    "certificates.k8s.io": (17300, 15), "networking.k8s.io": (17200, 15), "policy": (17100, 15),
    "rbac.authorization.k8s.io": (17000, 15), "storage.k8s.io": (16800, 15), "apiextensions.k8s.io": (16700, 15),
    "admissionregistration.k8s.io": (16700, 15), "scheduling.k8s.io": (16600, 15), "coordination.k8s.io": (16500, 15),
    "node.k8s.io": (16300, 15), "discovery.k8s.io": (16200, 15), "flowcontrol.apiserver.k8s.io": (16100, 21),
    "resource.k8s.io": (15900, 25),
}  # fmt: skip


class FrontProxy(Struct, frozen=True):
    """How this server shows extension servers that it is the one who authenticated the user. PEM."""

    certificate: bytes
    key: bytes
    ca: bytes


class Aggregator:
    """The book. What it gives is shared and never changed."""

    def __init__(self, system: System, store: Store, kinds: Kinds, mirror: Mirror) -> None:
        self.front_proxy: Callable[[], FrontProxy] | None = None
        self.asked = trio.Event()  # somebody has looked at APIServices, or made one
        self.contexts: dict[str, Any] = {}  # TLS contexts by APIService name and revision
        self._system = system
        self._store = store
        self._kinds = kinds
        self._mirror = mirror
        self._version = -1
        self._remote: dict[GroupVersion, JSONObject] = {}
        self.extensions: dict[tuple[str, str], Extension] = {}
        """Extension servers of this process, by the namespace and name of the Service that they stand for."""

    def extend(self, extension: Extension) -> None:
        """Have a group version served by an extension server of this process, as long as nobody installs another."""
        self.extensions[extension.service] = extension
        self._version = -1

    async def remote(self) -> Mapping[GroupVersion, JSONObject]:
        """The APIServices whose requests go to a Service."""
        known = await self._mirror.read()
        if self._mirror.version != self._version:
            self._version = self._mirror.version
            found = {}
            for extension in self.extensions.values():
                found[extension.group, extension.version] = self._entry(extension)
            for obj in known.values():
                spec = obj["spec"]
                if spec.get("service") is not None:
                    found[spec.get("group", ""), spec["version"]] = obj
            self._remote = found
        return self._remote

    async def find(self, group: str, version: str) -> JSONObject | None:
        """The APIService by which a group version is served elsewhere."""
        return (await self.remote()).get((group, version))

    async def ensure_local(self) -> None:
        """Every group version that is served here has its APIService; those of resources that are gone go too."""
        self.asked.set()
        known = await self._mirror.read()
        wanted: dict[str, tuple[str, str, bool]] = {}
        for resource in self._kinds.resources:
            if resource.group != GROUP:
                name = f"{resource.version}.{resource.group}"
                wanted.setdefault(name, (resource.group, resource.version, resource.custom))
        for name, (group, version, custom) in wanted.items():
            if name not in known:
                await self._write(name, group, version, custom)
        for extension in self.extensions.values():
            entry = self._entry(extension)
            if entry["metadata"]["name"] not in known:
                entry["metadata"]["uid"] = self._system.entropy.uuid()
                await self._put(entry)
        for name, obj in known.items():
            labels = obj["metadata"].get("labels") or {}
            if name not in wanted and MANAGED in labels and obj["spec"].get("service") is None:
                await self._store.delete(PREFIX + name, expect=None)

    async def _write(self, name: str, group: str, version: str, custom: bool) -> None:
        minimum, priority = _CUSTOM if custom else _PRIORITIES.get(group, _CUSTOM)
        if (group, version) == ("autoscaling", "v2"):
            priority = 30
        now = time.format_time(self._system.clock.now())
        spec: JSONObject = {"group": group} if group else {}
        spec |= {"version": version, "groupPriorityMinimum": minimum, "versionPriority": priority}
        obj = {
            "metadata": {
                "name": name,
                "uid": self._system.entropy.uuid(),
                "creationTimestamp": now,
                "labels": {MANAGED: "true" if custom else "onstart"},
            },
            "spec": spec,
            "status": {"conditions": [condition("True", "Local", "Local APIServices are always available", now)]},
        }
        await self._put(obj)

    def _entry(self, extension: Extension) -> JSONObject:
        now = time.format_time(self._system.clock.now())
        return api_service(extension, now, condition("True", "Passed", "all checks passed", now))

    async def _put(self, obj: JSONObject) -> None:
        try:
            await self._store.put(PREFIX + obj["metadata"]["name"], encoding.draft(_HEAD, obj), expect=0)
        except RevisionConflict:
            return  # another server of this store was faster


def condition(status: str, reason: str, message: str, now: str) -> JSONObject:
    """The condition Available."""
    return {"type": "Available", "status": status, "lastTransitionTime": now, "reason": reason, "message": message}


def available(service: JSONObject) -> bool:
    """Whether the last check found the server behind it well."""
    for each in (service.get("status") or {}).get("conditions") or ():
        if each.get("type") == "Available":
            return bool(each.get("status") == "True")
    return False
