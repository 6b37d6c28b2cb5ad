"""What `Cluster.apply` takes: paths, text, plain and typed objects, lists; and what it makes of them: plain objects.

Raises ManifestError naming the source and what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kube_actors.api import codec, schema
from kube_actors.api import manifests as documents
from kube_actors.api.dynamic import Dynamic
from kube_actors.api.resources import Resource
from kube_actors.api.types._base import Object

Source = str | Path | Mapping[str, Any] | Object | Dynamic | Iterable["Source"]

SUFFIXES = (".yaml", ".yml", ".json")


class ManifestError(ValueError):
    """A source that is no manifest; the message names it."""


def read(what: Source) -> list[dict[str, Any]]:
    """All objects in a source, in order; a Kubernetes List counts as its items.

    A string with a line break or a brace is text, any other string a path. A directory stands for its manifests,
    by name.
    """
    if isinstance(what, Path) or (isinstance(what, str) and "\n" not in what and "{" not in what):
        return _read_path(Path(what))
    if isinstance(what, str):
        return _parse(what, "manifest")
    if isinstance(what, Mapping):
        return _flat(dict(what), "manifest")
    if isinstance(what, Object | Dynamic):
        return _flat(codec.to_dict(what), "manifest")
    return [obj for each in what for obj in read(each)]


def _read_path(path: Path) -> list[dict[str, Any]]:
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.suffix in SUFFIXES)
        return [obj for child in files for obj in _read_path(child)]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ManifestError(f"{path}: cannot be read: {reason}") from None
    return _parse(text, str(path))


def _parse(text: str, source: str) -> list[dict[str, Any]]:
    try:
        found = documents.load_manifests(text)
    except codec.CodecError as error:
        raise ManifestError(f"{source}: {error}") from None
    return [each for obj in found for each in _flat(obj, source)]


def _flat(obj: dict[str, Any], source: str) -> list[dict[str, Any]]:
    if isinstance(obj.get("items"), list) and str(obj.get("kind", "")).endswith("List"):
        return [each for item in obj["items"] for each in _flat(item, source)]
    for field in ("apiVersion", "kind"):
        if not obj.get(field):
            raise ManifestError(f"{source}: an object without {field}: {str(obj)[:80]}")
    if not isinstance(obj.get("metadata"), Mapping) or not obj["metadata"].get("name"):
        raise ManifestError(f"{source}: a {obj['kind']} without metadata.name")
    return [obj]


def placed(obj: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """The object in the namespace it names, else in this one; without a status, which is not declared."""
    metadata = dict(obj["metadata"])
    if namespace and not metadata.get("namespace"):
        metadata["namespace"] = namespace
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def definition_of(resource: Resource) -> schema.Definition | None:
    """The schema that a strategic patch of this resource follows; None for custom resources."""
    return None if resource.custom else schema.for_kind(*resource.gvk)
