"""Which custom resources are served: kept up with the definitions in the store, whoever wrote them.

Owns the translation of established definitions into kinds of the server's book of kinds. Catching up costs a look at
a revision when nothing has changed. It never writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from kube_actors.api.messages import Request
from kube_actors.api.resources import Resource, Subresource
from kube_actors.apiserver.kinds import Kind, Kinds
from kube_actors.apiserver.mirror import Mirror

if TYPE_CHECKING:
    from kube_actors.apiserver.custom.kind import CustomKind

JSONObject = dict[str, Any]
Key = tuple[str, str, str]
Batch = TypeVar("Batch")

GROUP: Final = "apiextensions.k8s.io"
PLURAL: Final = "customresourcedefinitions"
CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class CustomBook:
    """The custom part of a server's kinds."""

    def __init__(self, mirror: Mirror, kinds: Kinds) -> None:
        self._mirror = mirror
        self._kinds = kinds
        self._version = 0
        self.hooks: Any = None
        """The client of conversion webhooks, made with the first of them."""
        self._served: dict[str, tuple[JSONObject, tuple[Key, ...]]] = {}
        """By definition: as it was read, and what is served of it."""
        self._watches: dict[str, set[trio.CancelScope]] = {}

    async def find(self, request: Request) -> Kind | None:
        """The kind that a request is about, as the store has it now; None when it is not served."""
        await self.refresh()
        return self._kinds.find(request.group, request.version, request.resource)

    async def refresh(self) -> None:
        """Catch up with the store."""
        known = await self._mirror.read()
        if self._version == self._mirror.version:
            return
        self._version = self._mirror.version
        for name in [name for name in self._served if name not in known]:
            self._forget(name)
            self._end_watches(name)
        for name, crd in known.items():
            before = self._served[name][0] if name in self._served else None
            if before is not None and _serves_as(before) == _serves_as(crd):
                continue
            self._forget(name)
            if before is not None and before["spec"] != crd["spec"]:
                self._end_watches(name)
            self._served[name] = (crd, self._serve(crd))

    def _forget(self, name: str) -> None:
        _, keys = self._served.pop(name, ({}, ()))
        for key in keys:
            self._kinds.forget(*key)
            self._kinds.resources.remove(*key)

    def _end_watches(self, name: str) -> None:
        """Watches of what is no longer served as it was end; their clients list anew."""
        for scope in self._watches.pop(name, ()):
            scope.cancel()

    async def watched(self, crd: JSONObject, receive: Callable[[], Awaitable[Batch]]) -> Batch | None:
        """What a watch of this definition's objects receives; None when it is over."""
        name = crd["metadata"]["name"]
        served = self._served.get(name)
        if served is None or _edition(served[0]) != _edition(crd):
            return None
        with trio.CancelScope() as scope:
            self._watches.setdefault(name, set()).add(scope)
            try:
                return await receive()
            finally:
                self._watches.get(name, set()).discard(scope)
        return None

    def _serve(self, crd: JSONObject) -> tuple[Key, ...]:
        if not is_true(crd, "Established"):
            return ()
        from kube_actors.apiserver.custom.kind import CustomKind  # lazy: schemas cost nothing while there are none

        spec = crd["spec"]
        keys = []
        for version in spec["versions"]:
            if not version.get("served"):
                continue
            resource = resource_of(crd, version)
            key = (resource.group, resource.version, resource.plural)
            existing = self._kinds.resources.get(*key)
            if existing is not None and not existing.custom:
                continue  # what is built in stays itself
            self._kinds.resources.add(resource)
            self._kinds.put(CustomKind(resource, version, crd))
            keys.append(key)
        return tuple(keys)

    def printer_for(self, api_version: str, kind: str) -> Any:
        """The printer of a custom kind, None for any other."""
        resource = self._kinds.resources.by_api_version(api_version, kind)
        if resource is None or not resource.custom:
            return None
        found: CustomKind | None = self._kinds.find(resource.group, resource.version, resource.plural)  # type: ignore[assignment]
        return None if found is None else found.printer


def _serves_as(crd: JSONObject) -> tuple[Any, ...]:
    """All by which serving a definition's objects is decided."""
    status = crd.get("status") or {}
    return (
        crd["spec"],
        status.get("acceptedNames"),
        is_true(crd, "Established"),
        crd["metadata"].get("deletionTimestamp"),
    )


def _edition(crd: JSONObject) -> tuple[str, int]:
    return crd["metadata"]["uid"], crd["metadata"].get("generation", 0)


def is_true(crd: JSONObject, condition: str) -> bool:
    """Whether a condition of a definition holds."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)


def storage_version(crd: JSONObject) -> str:
    """The version in which objects are stored."""
    return next((version["name"] for version in crd["spec"].get("versions") or () if version.get("storage")), "")


def resource_of(crd: JSONObject, version: JSONObject) -> Resource:
    """One version of a definition as a resource, under its accepted names."""
    spec = crd["spec"]
    accepted = (crd.get("status") or {}).get("acceptedNames") or {}
    names = accepted if accepted.get("plural") else spec["names"]
    kind = names["kind"]
    subresources = {}
    declared = version.get("subresources") or {}
    if "status" in declared:
        subresources["status"] = Subresource(name="status", kind=kind, verbs=("get", "patch", "update"))
    if "scale" in declared:
        subresources["scale"] = Subresource(
            name="scale", kind="Scale", group="autoscaling", version="v1", verbs=("get", "patch", "update")
        )
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        singular=names.get("singular", ""),
        kind=kind,
        list_kind=names.get("listKind") or f"{kind}List",
        namespaced=spec["scope"] == "Namespaced",
        verbs=CUSTOM_VERBS,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=subresources,
        stored_group=spec["group"],
        stored_version=storage_version(crd),
        custom=True,
        structural=(version.get("schema") or {}).get("openAPIV3Schema") or {},
    )
