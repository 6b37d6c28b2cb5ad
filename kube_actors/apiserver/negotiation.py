"""What a client will take: the Accept header, and the view of an object that it asks for. Pure.

Objects are served as JSON or YAML, as they are or as a Table or bare metadata. Protobuf is not served: a client that
offers JSON beside it gets JSON, one that does not is refused.
"""

from __future__ import annotations

import functools
from typing import Literal

from msgspec import Struct

from kube_actors.api import errors, messages
from kube_actors.api.messages import Request

Transform = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"]

PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVED = (messages.JSON, messages.YAML)
UPSTREAM = (*SERVED, PROTOBUF)
"""What kube-apiserver lists in its refusals."""
_TRANSFORMS = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
_META_VERSIONS = ("v1", "v1beta1")
_WITHOUT_TABLE = frozenset({
    "bindings", "binding", "eviction", "token", "finalize", "ephemeralcontainers", "tokenreviews",
    "selfsubjectreviews", "subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
})  # fmt: skip


class Clause(Struct, frozen=True):
    """One alternative of an Accept header."""

    media_type: str
    parameters: dict[str, str]
    quality: float = 1.0

    def takes(self, media_type: str) -> bool:
        if self.media_type in ("*/*", media_type):
            return True
        return self.media_type.endswith("/*") and media_type.startswith(self.media_type[:-1])


class View(Struct, frozen=True):
    """How to show an object. version is that of the meta.k8s.io group."""

    media_type: str = messages.JSON
    transform: Transform = ""
    version: str = "v1"

    @property
    def api_version(self) -> str:
        return f"meta.k8s.io/{self.version}"


PLAIN = View()


@functools.lru_cache(maxsize=256)
def parse(header: str) -> tuple[Clause, ...]:
    """The alternatives, best first. What cannot be read is left out."""
    found = []
    for text in header.split(","):
        media_type, *rest = [part.strip() for part in text.split(";")]
        if "/" not in media_type:
            continue
        parameters = {}
        for part in rest:
            name, _, value = part.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"')
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 1.0
        found.append(Clause(media_type.lower(), parameters, quality))
    return tuple(sorted(found, key=lambda clause: (-clause.quality, clause.media_type.count("*"))))


@functools.lru_cache(maxsize=256)
def choose(header: str, *, tables: bool = True) -> View:
    """The view of an object for this Accept header; raises a 406. Not everything has a Table."""
    if not header.strip():
        return PLAIN
    clauses = parse(header)
    for clause in clauses:
        media_type = next((served for served in SERVED if clause.takes(served)), None)
        if media_type is None:
            continue
        view = _view(media_type, clause.parameters)
        if view is not None and (tables or view.transform != "Table"):
            return view
    raise not_acceptable(clauses)


def view_for(asked: Request) -> View:
    """The view that a request wants of its answer; raises a 406."""
    return choose(asked.accept, tables=_has_table(asked))


def _has_table(asked: Request) -> bool:
    """Reviews, bindings and their like are asked once and never listed: nobody drew up columns for them."""
    return asked.resource not in _WITHOUT_TABLE and asked.subresource not in _WITHOUT_TABLE


def _view(media_type: str, parameters: dict[str, str]) -> View | None:
    wanted = parameters.get("as", "")
    if not wanted:
        return View(media_type)
    version = parameters.get("v", "v1")
    if wanted not in _TRANSFORMS or parameters.get("g") != "meta.k8s.io" or version not in _META_VERSIONS:
        return None
    return View(media_type, wanted, version)  # type: ignore[arg-type]


def not_acceptable(clauses: tuple[Clause, ...]) -> errors.ApiError:
    """The 406, in the words of the layer of kube-apiserver that would have sent it."""
    if any(clause.media_type == PROTOBUF for clause in clauses):
        return errors.not_acceptable(SERVED)  # the one who asked for it must not read that it is served
    if any(clause.takes(media_type) for clause in clauses for media_type in UPSTREAM):
        return errors.not_acceptable(UPSTREAM)
    return no_representation()


def no_representation() -> errors.ApiError:
    """No alternative names a media type that there is."""
    text = "406: Not Acceptable\n\nAvailable representations: " + ", ".join(UPSTREAM)
    status = errors.Status(message=text, reason="NotAcceptable", details=errors.Details(), code=406)
    return errors.ApiError(status)
