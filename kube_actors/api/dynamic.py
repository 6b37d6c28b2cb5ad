"""Objects of kinds that have no struct: custom resources, mostly.

Owns the wrapper that gives plain data the face of an object (metadata, kind) and value semantics. It never
validates, and never shows a dict that a holder of the object may change.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kube_actors.api.relaxed import relax
from kube_actors.api.types.meta_v1 import ObjectMeta


class Dynamic:
    """An object as plain data. Treat `content` as frozen: others may hold the same object."""

    __slots__ = ("_metadata", "content")

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self._metadata: ObjectMeta | None = None

    @property
    def api_version(self) -> str:
        return str(self.content.get("apiVersion", ""))

    @property
    def kind(self) -> str:
        return str(self.content.get("kind", ""))

    @property
    def gvk(self) -> tuple[str, str, str]:
        group, _, version = self.api_version.rpartition("/")
        return group, version, self.kind

    @property
    def metadata(self) -> ObjectMeta:
        if self._metadata is None:
            self._metadata = msgspec.convert(relax(self.content.get("metadata") or {}, ObjectMeta), ObjectMeta)
        return self._metadata

    def get(self, *path: str, default: Any = None) -> Any:
        """The value at a path of names, e.g. get("spec", "replicas"); `default` when any part is missing."""
        value: Any = self.content
        for name in path:
            if not isinstance(value, dict) or name not in value:
                return default
            value = value[name]
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dynamic) and self.content == other.content

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Dynamic({self.api_version} {self.kind} {self.metadata.namespace}/{self.metadata.name})"
