"""ControllerRevisions: the templates that a StatefulSet or DaemonSet had, under names that are hashes of them.

Pure. A revision holds the patch that brings its template back, written as Go would write it, since the hash is taken
of those very bytes. Which revision is wanted, and when one may go, its owner's plan decides.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from kube_actors.api import codec
from kube_actors.api.owners import Owner, controller_reference
from kube_actors.api.time import parse_time
from kube_actors.api.types.apps_v1 import ControllerRevision
from kube_actors.api.types.core_v1 import PodTemplateSpec
from kube_actors.api.types.meta_v1 import ObjectMeta

from .template_hash import filled, fnv1, safe_encode

HASH_LABEL = "controller.kubernetes.io/hash"
REVISION_LABEL = "controller-revision-hash"
"""On a pod: the revision that it was made from. DaemonSets also put it on their ControllerRevisions."""
_PREFIX_LIMIT = 223
_CACHE_SIZE = 1024
# What Go's encoder escapes besides what JSON asks for.
_ESCAPED = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


class Snapshot(Struct, frozen=True):
    """A template as a revision holds it: the patch, and the bytes that Go would make of it."""

    data: Mapping[str, Any]
    raw: bytes


def snapshot(template: PodTemplateSpec) -> Snapshot:
    """The patch that puts this template in place of any other."""
    return _snapshot(codec.encode(template))


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _snapshot(encoded: bytes) -> Snapshot:
    template = filled(codec.decode_dict(encoded)) | {"$patch": "replace"}
    text = json.dumps({"spec": {"template": template}}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    raw = text.translate(_ESCAPED).encode()
    return Snapshot(codec.decode_dict(raw), raw)


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    """The template that a revision holds."""
    return _template(codec.encode(revision.data))


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _template(encoded: bytes) -> PodTemplateSpec:
    data = codec.decode_plain(encoded)
    spec = data.get("spec") if isinstance(data, dict) else None
    template = spec.get("template") if isinstance(spec, dict) else None
    kept = {key: value for key, value in template.items() if key != "$patch"} if isinstance(template, dict) else {}
    return codec.convert(kept, PodTemplateSpec)


@functools.lru_cache(maxsize=_CACHE_SIZE)
def revision_hash(raw: bytes, collisions: int) -> str:
    """The hash of a patch; another one for every collision counted, and the count 0 is hashed too."""
    return safe_encode(str(fnv1(raw + str(collisions).encode())))


def revision_name(owner: str, digest: str) -> str:
    return f"{owner[:_PREFIX_LIMIT]}-{digest}"


def new_revision(owner: Owner, template: PodTemplateSpec, number: int, collisions: int) -> ControllerRevision:
    """The revision of a StatefulSet's template, as it is to be created."""
    taken = snapshot(template)
    digest = revision_hash(taken.raw, collisions)
    metadata = ObjectMeta(
        name=revision_name(owner.metadata.name, digest),
        namespace=owner.metadata.namespace,
        labels={**template.metadata.labels, HASH_LABEL: digest},
        annotations=owner.metadata.annotations,
        owner_references=(controller_reference(owner),),
    )
    return ControllerRevision(metadata=metadata, data=taken.data, revision=number)


def in_order(revisions: Iterable[ControllerRevision]) -> list[ControllerRevision]:
    """Oldest first: by number, then age, then name."""
    return sorted(revisions, key=_order)


def _order(revision: ControllerRevision) -> tuple[int, float, str]:
    stamp = revision.metadata.creation_timestamp
    return revision.revision, parse_time(stamp) if stamp else 0.0, revision.metadata.name
