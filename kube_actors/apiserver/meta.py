"""Object metadata: what the server sets, what it keeps, and what may not change. Pure.

Owns the rules that hold for every kind alike. A kind's own rules are its strategy's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.api.field_errors import FieldError
from kube_actors.apiserver import limits
from kube_actors.apiserver.strategies.base import Strategy

JSONObject = dict[str, Any]

_SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion")
GENERATED_BASE = 58
"""Longest part of a generateName that is kept: a name has 63 letters and five are drawn."""

STANDARD_FINALIZERS = ("kubernetes", "foregroundDeletion", "orphan")


def prepare_create(meta: JSONObject, strategy: Strategy, *, uid: str, now: str) -> None:
    """Drop what clients may not set and set what the server does; the name is already there."""
    for key in ("selfLink", *_SERVER_OWNED):
        meta.pop(key, None)
    meta["uid"] = uid
    meta["creationTimestamp"] = now
    if strategy.generation:
        meta["generation"] = 1


def prepare_update(meta: JSONObject, old: JSONObject) -> None:
    """Carry over what clients may not change; generation is the caller's to bump."""
    for key in (*_SERVER_OWNED, "generation"):
        if key == "uid" and key in meta:
            continue
        if key in old:
            meta[key] = old[key]
        else:
            meta.pop(key, None)
    meta.pop("selfLink", None)
    if "generateName" in old and "generateName" not in meta:
        meta["generateName"] = old["generateName"]


def generated_name(prefix: str, suffix: str) -> str:
    return prefix[:GENERATED_BASE] + suffix


def validate(meta: JSONObject, strategy: Strategy, *, namespaced: bool, generated: bool = False) -> list[FieldError]:
    """As apimachinery's ValidateObjectMeta."""
    found: list[FieldError] = []
    prefix = meta.get("generateName", "")
    if prefix:
        found += [
            fields.invalid("metadata.generateName", prefix, text) for text in strategy.name_problems(_masked(prefix))
        ]
    name = meta.get("name", "")
    if not name:
        found.append(fields.required("metadata.name", "name or generateName is required"))
    elif not generated:
        found += [fields.invalid("metadata.name", name, text) for text in strategy.name_problems(name)]
    namespace = meta.get("namespace", "")
    if namespaced:
        if not namespace:
            found.append(fields.required("metadata.namespace"))
        else:
            found += [fields.invalid("metadata.namespace", namespace, t) for t in names.dns_label(namespace)]
    elif namespace:
        found.append(fields.forbidden("metadata.namespace", "not allowed on this type"))
    return found + validate_common(meta, core_finalizers=strategy.core_finalizers)


def _masked(prefix: str) -> str:
    """A generateName may end in a dash: something follows it."""
    return prefix[:-1] + "a" if prefix.endswith("-") and len(prefix) > 1 else prefix


_COMMON = ("labels", "annotations", "ownerReferences", "finalizers")


def validate_common(meta: JSONObject, *, core_finalizers: bool = True) -> list[FieldError]:
    """Labels, annotations, owners and finalizers, on create and update alike."""
    found: list[FieldError] = []
    owners = meta.get("ownerReferences")
    if owners:
        found += _owner_problems(owners)
    if "finalizers" in meta:
        for index, finalizer in enumerate(meta["finalizers"]):
            found += _finalizer_problems(finalizer, f"metadata.finalizers[{index}]", core_finalizers)
    if meta.get("labels"):
        found += labels_problems(meta["labels"], "metadata.labels")
    if meta.get("annotations"):
        found += annotations_problems(meta["annotations"], "metadata.annotations")
    return found


def labels_problems(labels: dict[str, str], path: str) -> list[FieldError]:
    """As ValidateLabels."""
    found: list[FieldError] = []
    for key, value in sorted(labels.items()):
        found += [fields.invalid(path, key, text) for text in names.qualified_name(key)]
        found += [fields.invalid(path, value, text) for text in names.label_value(value)]
    return found


def annotations_problems(annotations: JSONObject, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    total = 0
    for key, value in sorted(annotations.items()):
        found += [fields.invalid(path, key, text) for text in names.qualified_name(key.lower())]
        total += len(key.encode()) + len(value.encode())
    if total > limits.ANNOTATIONS_BYTES:
        found.append(fields.too_long(path, limits.ANNOTATIONS_BYTES))
    return found


def _owner_problems(owners: list[JSONObject]) -> list[FieldError]:
    found: list[FieldError] = []
    controller = ""
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        version = owner.get("apiVersion", "")
        if not version or version.count("/") > 1:
            found.append(fields.invalid(f"{path}.apiVersion", version, "version must not be empty"))
        for key in ("kind", "name", "uid"):
            if not owner.get(key):
                found.append(fields.invalid(f"{path}.{key}", owner.get(key, ""), f"{key} must not be empty"))
        if version == "v1" and owner.get("kind") == "Event":
            text = "/v1, Kind=Event is disallowed from being an owner"
            found.append(fields.invalid("metadata.ownerReferences", go_owner(owner), text))
        if owner.get("controller"):
            if controller:
                found.append(
                    fields.invalid(
                        "metadata.ownerReferences",
                        msgspec.Raw(b"[%b]" % b",".join(bytes(go_owner(owner)) for owner in owners)),
                        'Only one reference can have Controller set to true. Found "true" in references for '
                        f"{controller} and {owner.get('kind', '')}/{owner.get('name', '')}",
                    )
                )
            controller = f"{owner.get('kind', '')}/{owner.get('name', '')}"
    return found


def go_owner(owner: JSONObject) -> msgspec.Raw:
    """An owner reference as Go writes it."""
    order = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    return msgspec.Raw(msgspec.json.encode({key: owner[key] for key in order if key in owner}))


def _finalizer_problems(name: str, path: str, core: bool) -> list[FieldError]:
    found = [fields.invalid(path, name, text) for text in names.qualified_name(name)]
    if core and not found and "/" not in name and name not in STANDARD_FINALIZERS:
        found.append(fields.invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
    return found


def validate_update(
    meta: JSONObject, old: JSONObject, strategy: Strategy, *, namespaced: bool, whole: bool = False
) -> list[FieldError]:
    """As apimachinery's ValidateObjectMetaUpdate, after prepare_update.

    whole is for kinds whose own update rules look at all of the new object's metadata once more.
    """
    found: list[FieldError] = []
    if old.get("deletionTimestamp"):
        before = old.get("finalizers", ())
        added = [name for name in meta.get("finalizers", ()) if name not in before]
        if added:
            shown = ", ".join(fields.quote(name) for name in added)
            found.append(
                fields.forbidden(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers "
                    f"[]string{{{shown}}}",
                )
            )
    for key in ("name", "namespace", "uid"):
        if meta.get(key, "") != old.get(key, "") and (key != "namespace" or namespaced):
            found.append(fields.invalid(f"metadata.{key}", meta.get(key, ""), "field is immutable"))
    # Kubernetes checks these in the registry and again in the strategy, and names each finding as often.
    # What is stored was found in order: where none of it has changed there is nothing to find.
    same = all(meta.get(key) == old.get(key) for key in _COMMON)
    common = [] if same else validate_common(meta, core_finalizers=strategy.core_finalizers)
    return found + found + common * (4 if whole else 3) if common else found + found
