"""/openapi/v2 and /openapi/v3: which documents there are, their hashes, and their bytes.

Owns the caches: a document is made when it is first asked for, and again when its group version's resources change.
What stands in a document is written by `openapi_schemas` and `openapi_paths`.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import structs

from kube_actors._version import KUBERNETES_VERSION, VERSION
from kube_actors.api import errors, messages
from kube_actors.api.messages import Answer, RawRequest
from kube_actors.api.resources import Resource, Resources
from kube_actors.apiserver import negotiation, openapi_paths, openapi_schemas

_NOT_FOUND = Answer(status=404, content_type="")
Headers = tuple[tuple[str, str], ...]
_IMMUTABLE: Headers = (("Cache-Control", "public, immutable"),)


class OpenAPI:
    """The OpenAPI documents of one book of resources."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._documents: dict[str, tuple[tuple[Resource, ...], bytes]] = {}

    def answer(self, request: RawRequest) -> Answer:
        """Answer a path below /openapi; raises a 406 for who takes no JSON."""
        path = request.path.rstrip("/")
        if path == "/openapi/v2":
            if _wants_proto(request):
                return self._proto(request)
            _check(request)
            body = self._document("v2", tuple(self._resources))
            return _tagged(request, body, _hash(tuple(self._resources)))
        if path == "/openapi/v3":
            body = self._index()
            return _tagged(request, body, hashlib.sha256(body).hexdigest().upper())
        if not path.startswith("/openapi/v3/"):
            return Answer(status=404, body=b"404 page not found\n", content_type="text/plain; charset=utf-8")
        name = path.removeprefix("/openapi/v3/")
        covered = self._covered().get(name)
        if covered is None:
            return _NOT_FOUND
        _check(request)
        body = self._document(name, covered)
        asked = next((value for key, value in request.params if key == "hash"), "")
        digest = _hash(covered)
        if asked and asked != digest:
            return Answer(status=301, content_type="", headers=(("Location", _url(name, digest)),))
        return _tagged(request, body, digest, _IMMUTABLE if asked else ())

    def _proto(self, request: RawRequest) -> Answer:
        from kube_actors.apiserver import openapi_proto  # lazy: only clients with an old way of validating ask for it

        covered = tuple(self._resources)
        kept = self._documents.get("v2.proto")
        if kept is None or kept[0] != covered:
            document = msgspec.json.decode(self._document("v2", covered))
            kept = self._documents["v2.proto"] = (covered, openapi_proto.encode(document))
        answer = _tagged(request, kept[1], _hash(covered))
        return answer if answer.status == 304 else structs.replace(answer, content_type=openapi_proto.MEDIA_TYPE)

    def _covered(self) -> dict[str, tuple[Resource, ...]]:
        """The resources of each document by its name: api/v1, apis/apps/v1."""
        found: dict[str, list[Resource]] = {}
        for resource in self._resources:
            found.setdefault(resource.path.strip("/"), []).append(resource)
        return {name: tuple(resources) for name, resources in found.items()}

    def _index(self) -> bytes:
        paths = {name: {"serverRelativeURL": _url(name, _hash(found))} for name, found in self._covered().items()}
        return msgspec.json.encode({"paths": paths})

    def _document(self, name: str, covered: tuple[Resource, ...]) -> bytes:
        kept = self._documents.get(name)
        if kept is not None and kept[0] == covered:
            return kept[1]
        body = msgspec.json.encode(_v2(covered) if name == "v2" else _v3(covered))
        self._documents[name] = (covered, body)
        return body


def _tagged(request: RawRequest, body: bytes, digest: str, caching: Headers = ()) -> Answer:
    """The document, or 304 to whoever has it. What is asked for by its hash may be kept for ever."""
    etag = f'"{digest}"'
    headers = (("ETag", etag), ("Vary", "Accept"), *caching)
    held = {tag.strip().removeprefix("W/") for tag in request.if_none_match.split(",")}
    if etag in held or "*" in held:
        return Answer(status=304, content_type="", headers=headers)
    return Answer(body=body, headers=headers)


def _v3(covered: tuple[Resource, ...]) -> dict[str, object]:
    writer = openapi_schemas.Writer("#/components/schemas/", version=3)
    paths = openapi_paths.paths(covered, writer)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": paths,
        "components": {"schemas": writer.schemas()},
    }


def _v2(covered: tuple[Resource, ...]) -> dict[str, object]:
    writer = openapi_schemas.Writer("#/definitions/", version=2)
    paths = openapi_paths.paths(covered, writer)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": paths,
        "definitions": writer.schemas(),
    }


def _hash(covered: tuple[Resource, ...]) -> str:
    """Of what a document is made from: a list of hashes must not cost making all documents."""
    return hashlib.sha256(f"{VERSION} {KUBERNETES_VERSION} {covered!r}".encode()).hexdigest().upper()


def _url(name: str, digest: str) -> str:
    return f"/openapi/v3/{name}?hash={digest}"


def _wants_proto(request: RawRequest) -> bool:
    """Asked for by name; a client that takes anything gets JSON."""
    return "proto-openapi.spec.v2" in request.accept.partition(",")[0]


def _check(request: RawRequest) -> None:
    clauses = negotiation.parse(request.accept)
    if clauses and not any(clause.takes(messages.JSON) for clause in clauses):
        raise errors.not_acceptable((messages.JSON,))
