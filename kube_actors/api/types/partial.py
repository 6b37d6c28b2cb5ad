"""Objects seen only by their metadata, whatever their kind: what a garbage collector looks at.

Written by hand, since the published schema leaves it out. kind and apiVersion are what the bytes said.
"""

from __future__ import annotations

from msgspec import field

from kube_actors.api.types._base import Object
from kube_actors.api.types.meta_v1 import ObjectMeta


class PartialObjectMetadata(Object, frozen=True, kw_only=True):
    """Any object without its spec and status; decoding skips these."""

    kind: str = ""
    api_version: str = field(default="", name="apiVersion")
    metadata: ObjectMeta = ObjectMeta()

    @property
    def gvk(self) -> tuple[str, str, str]:
        group, _, version = self.api_version.rpartition("/")
        return group, version, self.kind
