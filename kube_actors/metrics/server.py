"""The extension server of metrics.k8s.io/v1beta1: NodeMetrics and PodMetrics, their tables and their discovery.

It is asked by the API server, which knows who asks and whether he may. Objects here are made for the answer and never
stored; what it knows of nodes and pods it reads from the API like any client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from kube_actors.actors import System
from kube_actors.api import errors, quantity, selectors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, AnyAnswer, Options, RawRequest, Request
from kube_actors.api.time import format_time
from kube_actors.client import Client

from .scraper import Scraper
from .usage import Container, Usage, amounts, duration_text

GROUP = "metrics.k8s.io"
VERSION = "v1beta1"
SERVICE = ("kube-system", "metrics-server")
"""The Service that the real metrics server has, for which this one stands in."""

JSONObject = dict[str, Any]
_ROOT = f"/apis/{GROUP}"


class Metadata(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    namespace: str = ""
    labels: dict[str, str] = {}


class Spec(Struct, frozen=True, kw_only=True, rename="camel"):
    node_name: str = ""


class Status(Struct, frozen=True, kw_only=True):
    phase: str = ""


class Seen(Struct, frozen=True, kw_only=True):
    """What of a node or a pod is looked at."""

    metadata: Metadata
    spec: Spec = Spec()
    status: Status = Status()


class Listed(Struct, frozen=True, kw_only=True):
    items: tuple[Seen, ...] = ()


class MetricsServer:
    """Implements the API server's `Extension` of this process."""

    group = GROUP
    version = VERSION
    service = SERVICE

    def __init__(self, client: Client, system: System) -> None:
        self._client = client
        self._clock = system.clock
        self._scraper = Scraper(client, system.clock)

    # What the API server asks

    async def resource(self, request: Request) -> AnyAnswer:
        """get and list of nodes and pods; raises ApiError."""
        if request.resource not in ("nodes", "pods") or request.subresource:
            raise errors.no_such_resource()
        if request.verb not in ("get", "list"):
            raise errors.method_not_allowed()
        if request.resource == "nodes":
            items = await self._nodes(request)
        else:
            items = await self._pods(request)
        kind = "NodeMetrics" if request.resource == "nodes" else "PodMetrics"
        if "as=Table" in request.accept:
            return _answer(_table(items))
        if request.verb == "get":
            return _answer({"kind": kind, "apiVersion": f"{GROUP}/{VERSION}", **items[0]})
        return _answer({"kind": f"{kind}List", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items})

    async def document(self, request: RawRequest) -> Answer:
        """What there is here, for discovery; nothing else."""
        if request.path.rstrip("/") == f"{_ROOT}/{VERSION}":
            return _answer(_DISCOVERY)
        return Answer(status=404, body=b"404 page not found\n", content_type="text/plain; charset=utf-8")

    # How it is found out

    async def _nodes(self, request: Request) -> list[JSONObject]:
        seen = await self._seen(request, "", Options(label_selector=request.options.label_selector))
        found = await self._scraper.usages(each.metadata.name for each in seen)
        items = [self._node(each, found[each.metadata.name]) for each in seen if each.metadata.name in found]
        if request.verb == "get" and not items:
            raise _not_found("nodemetrics", request.name)
        return items

    async def _pods(self, request: Request) -> list[JSONObject]:
        options = Options(label_selector=request.options.label_selector, field_selector="status.phase=Running")
        seen = [each for each in await self._seen(request, request.namespace, options) if each.spec.node_name]
        found = await self._scraper.usages(each.spec.node_name for each in seen)
        by_pod: dict[tuple[str, str], list[tuple[str, Usage]]] = {}
        for usages in found.values():
            for who, usage in usages.items():
                by_pod.setdefault((who.namespace, who.pod), []).append((who.name, usage))
        items = []
        for each in seen:
            parts = by_pod.get((each.metadata.namespace, each.metadata.name))
            if parts:
                items.append(self._pod(each, parts))
        if request.verb == "get" and not items:
            raise _not_found("podmetrics", f"{request.namespace}/{request.name}")
        return items

    async def _seen(self, request: Request, namespace: str, options: Options) -> Sequence[Seen]:
        """The nodes or pods that a request is about."""
        if request.options.field_selector:
            selectors.parse_fields(request.options.field_selector)  # refused if it cannot be understood
        asked = Request(
            verb=request.verb,
            version="v1",
            resource=request.resource,
            namespace=namespace,
            name=request.name,
            options=options if request.verb == "list" else Options(),
        )
        if request.verb == "list":
            listed = msgspec.json.decode((await self._client.send(asked)).body, type=Listed).items
            return _chosen(listed, request.options.field_selector)
        try:
            return (msgspec.json.decode((await self._client.send(asked)).body, type=Seen),)
        except ApiError as error:
            if not error.is_not_found:
                raise
            return ()

    def _node(self, seen: Seen, usages: Mapping[Container, Usage]) -> JSONObject:
        """A node uses what its containers use."""
        each = list(usages.values())
        total = amounts(sum(usage.nano_cores for usage in each), sum(usage.memory for usage in each))
        return {"metadata": self._metadata(seen), **self._when(each), "usage": total}

    def _pod(self, seen: Seen, parts: Sequence[tuple[str, Usage]]) -> JSONObject:
        containers = [{"name": name, "usage": amounts(usage.nano_cores, usage.memory)} for name, usage in sorted(parts)]
        when = self._when([usage for _, usage in parts])
        return {"metadata": self._metadata(seen), **when, "containers": containers}

    def _metadata(self, seen: Seen) -> JSONObject:
        metadata: JSONObject = {"name": seen.metadata.name}
        if seen.metadata.namespace:
            metadata["namespace"] = seen.metadata.namespace
        metadata["creationTimestamp"] = format_time(self._clock.now())
        if seen.metadata.labels:
            metadata["labels"] = seen.metadata.labels
        return metadata

    def _when(self, usages: Sequence[Usage]) -> JSONObject:
        """The time and window of the oldest figure in it."""
        oldest = min(usages, key=lambda usage: usage.time, default=None)
        if oldest is None:
            return {"timestamp": format_time(self._clock.now()), "window": "0s"}
        return {"timestamp": format_time(oldest.time), "window": duration_text(oldest.window)}


def _chosen(listed: Iterable[Seen], text: str) -> Sequence[Seen]:
    """By name and namespace, the only fields that there are."""
    if not text:
        return tuple(listed)
    selector = selectors.parse_fields(text)
    found = []
    for each in listed:
        fields = {"metadata.name": each.metadata.name, "metadata.namespace": each.metadata.namespace}
        if selector.matches(lambda field, fields=fields: fields.get(field, "")):  # type: ignore[misc]
            found.append(each)
    return found


def _not_found(resource: str, name: str) -> ApiError:
    return errors.not_found(f"{resource}.{GROUP}", name)


def _answer(body: JSONObject) -> Answer:
    return Answer(body=msgspec.json.encode(body) + b"\n")


def _table(items: Sequence[JSONObject]) -> JSONObject:
    names = ("cpu", "memory")
    formats = {"Name": "name", **dict.fromkeys(names, ""), "Window": "duration"}
    columns = [
        {"name": name, "type": "string", "format": form, "description": "", "priority": 0}
        for name, form in formats.items()
    ]
    rows: list[JSONObject] = []
    for item in items:
        parts = [item["usage"]] if "usage" in item else [part["usage"] for part in item["containers"]]
        total = {name: _total(part[name] for part in parts) for name in names}
        cells = [item["metadata"]["name"], *(total[name] for name in names), item["window"]]
        head = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        rows.append({"cells": cells, "object": {**head, "metadata": item["metadata"]}})
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": columns, "rows": rows}


def _total(texts: Iterable[str]) -> str:
    first, *rest = [quantity.parse(text) for text in texts]
    return str(sum(rest, first))


def _entry(name: str, kind: str, namespaced: bool) -> JSONObject:
    return {
        "name": name,
        "singularName": name[:-1],
        "namespaced": namespaced,
        "kind": kind,
        "verbs": ["get", "list"],
    }


_DISCOVERY: JSONObject = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{GROUP}/{VERSION}",
    "resources": [_entry("nodes", "NodeMetrics", False), _entry("pods", "PodMetrics", True)],
}
