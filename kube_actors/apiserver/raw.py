"""Everything that is no resource: discovery, OpenAPI, version, health, metrics, and the list of these paths.

Owns the tree of paths and the documents' caches, which last until the book of resources changes. The same answers go
over the channel and over HTTP; who may read them is decided before.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from kube_actors._version import KUBERNETES_VERSION
from kube_actors.actors import System
from kube_actors.api import errors, manifests, messages
from kube_actors.api.messages import Answer, RawRequest
from kube_actors.api.resources import Resource, Resources
from kube_actors.apiserver import discovery, health, metrics, negotiation
from kube_actors.apiserver.health import TEXT, Check
from kube_actors.apiserver.metrics import Family
from kube_actors.apiserver.negotiation import Clause
from kube_actors.apiserver.openapi import OpenAPI
from kube_actors.store.contract import Store

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PAGE_NOT_FOUND = Answer(
    status=404,
    body=b"404 page not found\n",
    content_type=TEXT,
    headers=(("X-Content-Type-Options", "nosniff"),),
)
_HEALTH = ("healthz", "livez", "readyz")


class RawAnswers:
    """Answers raw requests. `checks` are further readiness checks by name, `families` further metrics, `pages` further
    documents by path.

    resources may be changed while this runs (custom resources): documents are made anew when it differs.
    """

    def __init__(
        self,
        system: System,
        resources: Resources,
        store: Store | None = None,
        *,
        checks: Mapping[str, Check] | None = None,
        families: Callable[[], Iterable[Family]] | None = None,
        address: str = "",
        pages: Mapping[str, Callable[[], Answer]] | None = None,
    ) -> None:
        self.resources = resources
        self.address = address
        self._system = system
        self._store = store
        self._checks: dict[str, Check] = {"ping": health.passes, **(checks or {})}
        self._families = families
        self._pages = pages or {}
        self._openapi = OpenAPI(resources)
        self._documents: dict[str, bytes] = {}
        self._documents_of: tuple[Resource, ...] = ()

    async def __call__(self, request: RawRequest) -> Answer:
        """The answer; raises ApiError."""
        path = request.path
        parts = path.strip("/").split("/")
        match parts[0]:
            case "":
                return self._json("/", lambda: {"paths": self._paths()})
            case "api" | "apis":
                return self._discovery(request, parts)
            case "openapi":
                return self._openapi.answer(request)
            case "healthz" | "livez" | "readyz":
                return self._health(request, path.split("/")[1:])
            case "version" if len(parts) == 1:
                return self._json("version", version)
            case "metrics" if path == "/metrics":
                return Answer(body=metrics.render(self._all_families()), content_type=metrics.CONTENT_TYPE)
            case _:
                page = self._pages.get(path)
                return page() if page is not None else PAGE_NOT_FOUND

    # -- documents --------------------------------------------------------------------------------------------

    def _cached(self, key: str, build: Callable[[], Any]) -> bytes:
        current = tuple(self.resources)
        if current != self._documents_of:
            self._documents.clear()
            self._documents_of = current
        found = self._documents.get(key)
        if found is None:
            found = self._documents[key] = msgspec.json.encode(build()) + b"\n"
        return found

    def _json(self, key: str, build: Callable[[], Any]) -> Answer:
        return Answer(body=self._cached(key, build))

    def _discovery(self, request: RawRequest, parts: list[str]) -> Answer:
        clauses = negotiation.parse(request.accept)
        if len(parts) == 1 and any(_wants_aggregated(clause) for clause in clauses):
            return self._aggregated(request, core=parts[0] == "api")
        media_type = _media_type(clauses)
        document = self._document(parts)
        if document is None:
            return PAGE_NOT_FOUND
        key, build = document
        body = self._cached(key, build)
        if media_type == messages.YAML:
            body = manifests.dump_yaml(msgspec.json.decode(body)).encode()
        return Answer(body=body, content_type=media_type)

    def _document(self, parts: list[str]) -> tuple[str, Callable[[], Any]] | None:
        """The document of a path, and its name in the cache; None where Kubernetes knows no such page."""
        key = "/".join(parts)
        match parts:
            case ["api"]:
                return f"{key} {self.address}", lambda: discovery.api_versions(self.resources, self.address)
            case ["apis"]:
                return key, lambda: discovery.group_list(self.resources)
            case ["apis", group] if group in self.resources.groups():
                return key, lambda: discovery.group(self.resources, group)
            case ["api", version]:
                return self._group_version("", version, key)
            case ["apis", group, version] if group in self.resources.groups():
                return self._group_version(group, version, key)
            case _:
                return None

    def _group_version(self, group: str, version: str, key: str) -> tuple[str, Callable[[], Any]]:
        if version not in self.resources.versions(group):
            raise errors.no_such_resource()
        return key, lambda: discovery.resource_list(self.resources, group, version)

    def _aggregated(self, request: RawRequest, *, core: bool) -> Answer:
        body = self._cached(f"aggregated {core}", lambda: discovery.aggregated(self.resources, core=core))
        etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        headers = (("ETag", etag), ("Vary", "Accept"))
        if request.if_none_match == etag:
            return Answer(status=304, content_type=AGGREGATED, headers=headers)
        return Answer(body=body, content_type=AGGREGATED, headers=headers)

    # -- health and figures -----------------------------------------------------------------------------------

    def _health(self, request: RawRequest, parts: list[str]) -> Answer:
        if len(parts) == 1:
            return health.answer(parts[0], self._checks, request.params)
        check = self._checks.get(parts[1]) if len(parts) == 2 else None
        return PAGE_NOT_FOUND if check is None else health.one(check)

    def _all_families(self) -> Iterable[Family]:
        yield metrics.gauge("kube_actors_info", "The version that is served.", 1, (("version", KUBERNETES_VERSION),))
        if self._store is not None:
            yield metrics.gauge("kube_actors_store_revision", "Newest committed revision.", self._store.revision)
            yield metrics.gauge("kube_actors_store_compacted", "Oldest revision compacted.", self._store.compacted)
        yield from _actor_families(self._system)
        if self._families is not None:
            yield from self._families()

    def _paths(self) -> list[str]:
        found = {"/api", "/apis", "/metrics", "/openapi/v2", "/openapi/v3", "/version", *self._pages}
        for endpoint in _HEALTH:
            found.add(f"/{endpoint}")
            found |= {f"/{endpoint}/{name}" for name in self._checks}
        for resource in self.resources:
            found.add(resource.path)
            if resource.group:
                found.add(f"/apis/{resource.group}")
        return sorted(found)


def _wants_aggregated(clause: Clause) -> bool:
    wanted = clause.parameters
    return (
        clause.media_type == messages.JSON
        and wanted.get("g") == "apidiscovery.k8s.io"
        and wanted.get("v") == "v2"
        and wanted.get("as") == "APIGroupDiscoveryList"
    )


def _media_type(clauses: tuple[Clause, ...]) -> str:
    """How to write a plain document; raises a 406."""
    if not clauses:
        return messages.JSON
    for clause in clauses:
        if "as" in clause.parameters:
            continue
        for media_type in negotiation.SERVED:
            if clause.takes(media_type):
                return media_type
    raise negotiation.not_acceptable(clauses)


def version() -> dict[str, str]:
    """GET /version. What describes a Go build describes the interpreter here."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": KUBERNETES_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": sys.implementation.name,
        "platform": f"{sys.platform}/{machine}",
    }


def _actor_families(system: System) -> Iterable[Family]:
    """One series an actor would grow with the number of pods, so actors are summed up by the first part of the name."""
    alive: dict[str, int] = {}
    restarts: dict[str, int] = {}
    handled: dict[str, int] = {}
    waiting: dict[str, int] = {}
    for actor in system.statistics():
        kind = actor.name.partition("/")[0]
        alive[kind] = alive.get(kind, 0) + actor.alive
        restarts[kind] = restarts.get(kind, 0) + actor.restarts
        handled[kind] = handled.get(kind, 0) + actor.handled
        waiting[kind] = waiting.get(kind, 0) + (actor.mailbox.depth if actor.mailbox is not None else 0)
    yield _by_actor("kube_actors_actors", "Actors that run.", "gauge", alive)
    yield _by_actor("kube_actors_actor_restarts_total", "Restarts of actors.", "counter", restarts)
    yield _by_actor("kube_actors_actor_messages_total", "Messages that actors handled.", "counter", handled)
    yield _by_actor("kube_actors_actor_mailbox_depth", "Messages that wait in mailboxes.", "gauge", waiting)


def _by_actor(name: str, text: str, kind: str, values: Mapping[str, int]) -> Family:
    samples = tuple(metrics.Sample(value, (("actor", actor),)) for actor, value in values.items())
    return Family(name, text, kind, samples)
