"""Objects and lists as Tables, the way kubectl shows them. Pure functions on decoded objects with time as an input.

Owns which printer a kind has and the Table object. Custom resources come with a printer of their own.
"""

from __future__ import annotations

from typing import Any, Literal

from kube_actors.apiserver.tables import access, cluster, pods, services, storage, workloads
from kube_actors.apiserver.tables.printer import (
    Cells,
    Column,
    JSONObject,
    Printer,
    age_of,
    at,
    name_column,
    name_of,
)

Include = Literal["None", "Metadata", "Object"]

_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _default_cells(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), at(obj, "metadata", "creationTimestamp")]


def _custom_cells(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), age_of(obj, now)]


DEFAULT = Printer(
    (name_column(), Column("Created At", "=meta.v1.ObjectMeta.creationTimestamp", "date")), _default_cells
)
"""Kinds of Kubernetes' own that nobody drew up columns for."""

CUSTOM = Printer((name_column(), Column("Age", "=meta.v1.ObjectMeta.creationTimestamp", "date")), _custom_cells)
"""Custom resources whose definition names no columns."""

PRINTERS: dict[tuple[str, str], Printer] = {
    **pods.PRINTERS,
    **workloads.PRINTERS,
    **services.PRINTERS,
    **storage.PRINTERS,
    **cluster.PRINTERS,
    **access.PRINTERS,
}


def printer_for(group: str, kind: str) -> Printer:
    """The printer of a built-in kind."""
    return PRINTERS.get((group, kind), DEFAULT)


def table_of(
    obj: dict[str, Any],
    now: float,
    *,
    include: Include = "Metadata",
    api_version: str = "meta.k8s.io/v1",
    printer: Printer | None = None,
    columns: bool = True,
) -> dict[str, Any]:
    """The Table of an object, or of a list of them. Without columns for the later events of a watch."""
    listed = "items" in obj
    kind = obj.get("kind", "")
    if listed:
        kind = kind.removesuffix("List")
    group = obj.get("apiVersion", "").rpartition("/")[0]
    found = printer or printer_for(group, kind)
    metadata = obj.get("metadata") or {}
    kept = ("resourceVersion", "continue", "remainingItemCount") if listed else ("resourceVersion",)
    rows = obj.get("items") or [] if listed else [obj]
    item_version = obj.get("apiVersion", "")
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": {key: metadata[key] for key in kept if metadata.get(key)},
        "columnDefinitions": [column.definition() for column in found.columns] if columns else None,
        "rows": [_row(found, row, now, include, api_version, kind, item_version) for row in rows],
    }


def _row(
    printer: Printer, obj: dict[str, Any], now: float, include: Include, api_version: str, kind: str, item_version: str
) -> dict[str, Any]:
    shown: dict[str, Any] | None = None
    if include == "Metadata":
        shown = partial_of(obj, api_version, kind)
    elif include == "Object":
        shown = {**obj, "kind": kind, "apiVersion": item_version}
    row: dict[str, Any] = {"cells": printer.cells(obj, now)}
    conditions = printer.conditions(obj) if printer.conditions is not None else None
    if conditions:
        row["conditions"] = conditions
    row["object"] = shown
    return row


def partial_of(obj: dict[str, Any], api_version: str = "meta.k8s.io/v1", kind: str = "") -> dict[str, Any]:
    """An object's metadata alone; kind is that of a list's item, which does not say it."""
    metadata = obj.get("metadata") or {}
    if (kind or obj.get("kind")) == "DaemonSet" and _TEMPLATE_GENERATION in metadata.get("annotations", ()):
        metadata = _without_template_generation(metadata)
    return {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": metadata}


def _without_template_generation(metadata: dict[str, Any]) -> dict[str, Any]:
    """To Kubernetes this annotation is a field that only the whole object shows."""
    kept = {key: value for key, value in metadata["annotations"].items() if key != _TEMPLATE_GENERATION}
    found = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**found, "annotations": kept} if kept else found


def partial_list_of(obj: dict[str, Any], api_version: str = "meta.k8s.io/v1") -> dict[str, Any]:
    """A list's metadata alone."""
    kind = obj.get("kind", "").removesuffix("List")
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": api_version,
        "metadata": {key: value for key, value in (obj.get("metadata") or {}).items() if value != ""},
        "items": [partial_of(item, api_version, kind) for item in obj.get("items") or []],
    }
