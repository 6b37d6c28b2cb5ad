"""One served version of a custom resource, as the generic machinery sees a kind.

Owns reading and showing objects by the structural schema: pruning and defaults on the way in, conversion of the
version and defaults on the way out. Webhook conversion happens around it, in `conversion`.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import merge_types, schema
from kube_actors.api.resources import Resource
from kube_actors.apiserver import encoding
from kube_actors.apiserver.custom import definitions, printing, structural
from kube_actors.apiserver.custom.strategy import CustomStrategy
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.tables.printer import Printer

JSONObject = dict[str, Any]

NO_HEAD = b"\x00"
"""No object begins like this: items of a custom list keep kind and apiVersion."""


class CustomKind(Kind):
    """A version of a definition."""

    __slots__ = (
        "_columns", "_defaults", "_definition", "_merge_type", "_printer", "crd", "scale_paths", "terminating",
        "webhook",
    )  # fmt: skip

    structural: JSONObject

    def __init__(self, resource: Resource, version: JSONObject, crd: JSONObject) -> None:
        found = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        super().__init__(resource, CustomStrategy(found, version, _warning(resource, version)))
        self.structural = found
        self.crd = crd
        self.item_head = NO_HEAD
        self.terminating = bool(crd["metadata"].get("deletionTimestamp"))
        self.scale_paths: JSONObject | None = (version.get("subresources") or {}).get("scale")
        conversion = crd["spec"].get("conversion") or {}
        self.webhook: JSONObject | None = conversion.get("webhook") if conversion.get("strategy") == "Webhook" else None
        self._defaults = structural.has_defaults(self.structural)
        self._columns: list[JSONObject] = version.get("additionalPrinterColumns") or []
        self._printer: Printer | None = None
        self._merge_type: merge_types.MergeType | None = None
        self._definition: schema.Definition | None = None

    @property
    def definition(self) -> schema.Definition:
        """The schema in the shape of the built-in ones."""
        if self._definition is None:
            self._definition = definitions.of(self.resource, self.structural)
        return self._definition

    @property
    def printer(self) -> Printer:
        if self._printer is None:
            self._printer = printing.printer(self._columns)
        return self._printer

    def conform(self, body: JSONObject, problems: list[str]) -> JSONObject:
        found = structural.read(body, self.structural, problems)
        found["kind"] = self.resource.kind
        found["apiVersion"] = self.resource.api_version
        found.setdefault("metadata", {})
        self.complete(found)
        return found

    def complete(self, obj: JSONObject) -> None:
        """Defaults, in place, and no null where there may be none."""
        structural.drop_nulls(obj, self.structural)
        if self._defaults:
            structural.default(obj, self.structural)

    @property
    def merge_type(self) -> merge_types.MergeType:
        """How its fields are owned and merged; compiled at first use."""
        if self._merge_type is None:
            self._merge_type = merge_types.of_structural(self.structural or None)
        return self._merge_type

    def zero(self) -> JSONObject:
        """Nothing is set in an object that says nothing."""
        return {}

    def outward(self, obj: JSONObject) -> JSONObject:
        if obj.get("apiVersion") != self.resource.api_version:
            obj = structural.read({**obj, "apiVersion": self.resource.api_version}, self.structural, [])
        if self._defaults:
            self.complete(obj)
        return obj

    def load(self, value: bytes) -> bytes:
        """Stored bytes as this version shows them; with webhooks, as they are."""
        same_version = value.startswith(self.head)
        if self.webhook is not None and not same_version:
            return value
        if same_version and not self._defaults:
            return value
        return encoding.whole(self.head, self.outward(encoding.decode(value)))

    def empty_status(self) -> JSONObject | None:
        return None


def _warning(resource: Resource, version: JSONObject) -> str:
    if not version.get("deprecated"):
        return ""
    return version.get("deprecationWarning") or f"{resource.api_version} {resource.kind} is deprecated"
