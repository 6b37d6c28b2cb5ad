"""How the fields of a kind are owned and merged: the typed view that server-side apply has of an object.

A type says of a value which field paths it holds (`whole`, `field_set`) and in which paths two values differ (`diff`).
Built-in kinds compile from the schema table, custom resources from their structural schema, both bit by bit at first
use. These are the walks of every write, so they are short cuts on plain dicts; merging and removing, which only apply
needs, are in `merging`. Owns no managers.
"""

from __future__ import annotations

import functools
from typing import Any

from kube_actors.api import schema
from kube_actors.api.fieldsets import MEMBER, FieldSet, as_member, key_element, text_key_element, value_element

JSONObject = dict[str, Any]

FLAT_NODES = 512
"""Nodes of one type that are remembered by their names."""
Difference = tuple[FieldSet | None, FieldSet | None]
"""The node of what is added or modified, and the node of what is removed."""


class Untypable(ValueError):
    """A value that is not of its type: a list element without its keys."""


class MergeType:
    """A leaf: a scalar, or a list or map that has one owner as a whole.

    scalar is what a scalar must be: "string", "numeric", "boolean" or "" for anything; form is "scalar", "list", "map",
    "deduced" or "anything".
    For an atomic list or map, fields and element say what must be in it.
    """

    __slots__ = ("element", "form", "keys", "scalar")
    atomic = True

    def __init__(self, form: str = "scalar", scalar: str = "", element: MergeType | None = None) -> None:
        self.form = form
        self.scalar = scalar
        self.element = element
        self.keys: tuple[str, ...] = ()

    def whole(self, value: Any) -> FieldSet:
        """The node of a value that is only on one side of a comparison."""
        return {}

    def diff(self, old: Any, new: Any) -> Difference:
        """Where two values that are not equal differ."""
        return {}, None

    def field_set(self, value: Any) -> FieldSet | None:
        """The node of what an applied value mentions; None for nothing."""
        return {}


class Fields(dict[str, MergeType]):
    """Types of declared fields, each compiled when it is first met; anything else is of the element type."""

    def __init__(self, declared: Any, compile_field: Any, element: MergeType | None) -> None:
        super().__init__()
        self.declared = declared
        self.element = element
        self._compile = compile_field

    def __missing__(self, key: str) -> MergeType:
        field = self.declared.get(key)
        if field is None:
            return self.element or ANYTHING
        found: MergeType = self._compile(field)
        self[key] = found
        return found


class MapType(MergeType):
    """A struct or a map whose fields have owners of their own."""

    __slots__ = ("_flat", "fields")
    atomic = False

    def __init__(self, fields: Fields) -> None:
        super().__init__("map", element=fields.element)
        self.fields = fields
        self._flat: dict[tuple[str, ...], FieldSet] = {}

    def whole(self, value: Any) -> FieldSet:
        if type(value) is not dict or not value:
            return {}
        keys = tuple(value)
        known = self._flat.get(keys)
        if known is not None:
            return known
        fields = self.fields
        out: FieldSet = {MEMBER: {}}
        flat = True
        for key, item in value.items():
            kind = fields[key]
            if kind.atomic:
                out["f:" + key] = {}
            else:
                flat = False
                out["f:" + key] = kind.whole(item)
        # Leaves only: the node depends on the names alone, and most objects of a kind have the same ones.
        if flat and len(self._flat) < FLAT_NODES:
            self._flat[keys] = out
        return out

    def diff(self, old: Any, new: Any) -> Difference:
        if not isinstance(old, dict):
            old = {}
        if not isinstance(new, dict):
            new = {}
        if not old and not new:
            return {}, None
        fields = self.fields
        changed: FieldSet = {}
        removed: FieldSet = {}
        for key, item in new.items():
            if key not in old:
                changed["f:" + key] = fields[key].whole(item)
                continue
            before = old[key]
            if before == item:
                continue
            more, less = fields[key].diff(before, item)
            if more is not None:
                changed["f:" + key] = more
            if less is not None:
                removed["f:" + key] = less
        for key, before in old.items():
            if key not in new:
                removed["f:" + key] = fields[key].whole(before)
        return changed or None, removed or None

    def field_set(self, value: Any) -> FieldSet | None:
        if not isinstance(value, dict):
            return None
        fields = self.fields
        out: FieldSet = {}
        for key, item in value.items():
            node = fields[key].field_set(item)
            if item is None or item == {} or key not in fields.declared:
                node = as_member(node)
            if node is not None:
                out["f:" + key] = node
        return out or None


class ListType(MergeType):
    """A list whose elements have owners of their own: found by their keys, or by their value where there are none."""

    __slots__ = ("defaults", "item")
    atomic = False

    def __init__(self, item: MergeType, keys: tuple[str, ...], defaults: JSONObject) -> None:
        super().__init__("list", element=item)
        self.item = item
        self.keys = keys
        self.defaults = defaults

    def path_element(self, value: Any) -> str:
        """What names an element; raises Untypable in Kubernetes' words."""
        keys = self.keys
        if not keys:
            if isinstance(value, dict):
                raise Untypable("associative list without keys has an element that's a map type")
            if isinstance(value, list):
                raise Untypable("not supported: associative list with lists as elements")
            if value is None:
                raise Untypable("associative list without keys has an element that's an explicit null")
            return value_element(value)
        if value is None:
            raise Untypable("associative list with keys may not have a null element")
        if not isinstance(value, dict):
            raise Untypable("associative list with keys may not have non-map elements")
        if len(keys) == 1:
            only = value.get(keys[0])
            if type(only) is str:
                return text_key_element(keys[0], only)
        found = {}
        for key in keys:
            if key in value:
                found[key] = value[key]
            elif key in self.defaults:
                found[key] = self.defaults[key]
        # A key that is left out tells an element from one that has it, so it need not be there: but one of them must.
        if not found:
            shown = " ".join(f'"{key}"' for key in keys)
            raise Untypable(
                f"associative list with keys has an element that omits all key fields [{shown}] "
                "(and doesn't have default values for any key fields)"
            )
        return key_element(found)

    def indexed(self, value: Any) -> dict[str, list[Any]]:
        """Elements by what names them; more than one where they repeat."""
        out: dict[str, list[Any]] = {}
        if isinstance(value, list):
            for item in value:
                out.setdefault(self.path_element(item), []).append(item)
        return out

    def whole(self, value: Any) -> FieldSet:
        if not isinstance(value, list) or not value:
            return {}
        out: FieldSet = {MEMBER: {}}
        for element, items in self.indexed(value).items():
            out[element] = self.item.whole(items[0]) if len(items) == 1 else {}
        return out

    def diff(self, old: Any, new: Any) -> Difference:
        before, after = self.indexed(old), self.indexed(new)
        if not before and not after:
            return {}, None
        changed: FieldSet = {}
        removed: FieldSet = {}
        for element, items in after.items():
            others = before.get(element)
            if others == items:
                continue
            if others is None:
                changed[element] = self.item.whole(items[0]) if len(items) == 1 else {}
            elif len(others) == 1 == len(items):
                more, less = self.item.diff(others[0], items[0])
                if more is not None:
                    changed[element] = more
                if less is not None:
                    removed[element] = less
            else:
                changed[element] = {}
        for element, items in before.items():
            if element not in after:
                removed[element] = self.item.whole(items[0]) if len(items) == 1 else {}
        return changed or None, removed or None

    def field_set(self, value: Any) -> FieldSet | None:
        if not isinstance(value, list):
            return None
        return {
            element: as_member(self.item.field_set(items[0])) for element, items in self.indexed(value).items()
        } or None


class DeducedType(MergeType):
    """A value without a schema: its objects are maps of the same, everything else is a leaf."""

    __slots__ = ("as_map",)

    def __init__(self) -> None:
        super().__init__("deduced", element=self)
        self.as_map = MapType(Fields({}, None, self))

    def whole(self, value: Any) -> FieldSet:
        return self.as_map.whole(value)

    def diff(self, old: Any, new: Any) -> Difference:
        if isinstance(old, dict) and isinstance(new, dict):
            return self.as_map.diff(old, new)
        return self.whole(new), self.whole(old) if isinstance(old, dict) and old else None

    def field_set(self, value: Any) -> FieldSet | None:
        return self.as_map.field_set(value) if isinstance(value, dict) else {}


ANYTHING = MergeType("anything")
"""No schema at all: one leaf whatever it is."""
DEDUCED = DeducedType()

_SCALARS = {
    "string": "string",
    "bytes": "string",
    "int32": "numeric",
    "int64": "numeric",
    "double": "numeric",
    "bool": "boolean",
}
# The published schema leaves out defaults, and these are the ones that complete the keys of list elements.
_KEY_DEFAULTS: dict[tuple[str, str], JSONObject] = {
    ("Container", "ports"): {"protocol": "TCP"},
    ("EphemeralContainer", "ports"): {"protocol": "TCP"},
    ("ServiceSpec", "ports"): {"protocol": "TCP"},
    ("PodSpec", "imagePullSecrets"): {"name": ""},
}


@functools.cache
def of_definition(name: str) -> MergeType:
    """The type of a built-in definition."""
    definition = schema.definition(name)
    short = name.rsplit(".", 1)[-1]
    fields = Fields(definition.fields, lambda field: _of_field(short, field), None)
    if definition.map_type == "atomic":
        return AtomicMap(fields)
    return MapType(fields)


class AtomicMap(MergeType):
    """A map with one owner; fields are kept for checking what is in it."""

    __slots__ = ("fields",)

    def __init__(self, fields: Fields) -> None:
        super().__init__("map", element=fields.element)
        self.fields = fields


def _of_field(owner: str, field: schema.Field) -> MergeType:
    return _of_type(field.type, owner, field)


def _of_type(kind: schema.Type, owner: str = "", field: schema.Field | None = None) -> MergeType:
    name = kind.kind
    if name == "ref":
        found = of_definition(kind.ref)
        if field is not None and field.map_type == "atomic" and isinstance(found, MapType):
            return AtomicMap(found.fields)
        return found
    if name == "list":
        item = _of_type(kind.element) if kind.element is not None else ANYTHING
        if field is None or field.list_type not in ("set", "map"):
            return MergeType("list", element=item)
        return ListType(item, field.list_map_keys, _KEY_DEFAULTS.get((owner, field.name), {}))
    if name == "map":
        fields = Fields({}, None, _of_type(kind.element) if kind.element is not None else ANYTHING)
        return AtomicMap(fields) if field is not None and field.map_type == "atomic" else MapType(fields)
    if name in ("raw", "fields"):
        return DEDUCED.as_map
    return ANYTHING if name == "any" else MergeType("scalar", _SCALARS.get(name, ""))


_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_STRUCTURAL = {"string": "string", "integer": "numeric", "number": "numeric", "boolean": "boolean"}


def of_structural(root: JSONObject | None) -> MergeType:
    """The type of a custom resource, from its structural schema; deduced where there is none."""
    head: dict[str, Any] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": None}
    declared = {**((root or {}).get("properties") or {}), **head}
    free = root is None or root.get("x-kubernetes-preserve-unknown-fields")
    return MapType(Fields(_Declared(declared), _of_node, DEDUCED if free else None))


class _Declared(dict[str, Any]):
    """Declared properties, in which metadata has no schema of its own."""

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            return default
        found = self[key]
        return {"x-object-meta": True} if found is None else found


def _of_node(node: JSONObject) -> MergeType:
    if node.get("x-object-meta"):
        return of_definition(_META)
    if node.get("x-kubernetes-int-or-string"):
        return MergeType("scalar")
    kind = node.get("type")
    preserve = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    if kind == "array":
        items = node.get("items") or {}
        item = _of_node(items)
        list_type = node.get("x-kubernetes-list-type")
        if list_type not in ("set", "map"):
            return MergeType("list", element=item)
        keys = tuple(node.get("x-kubernetes-list-map-keys") or ()) if list_type == "map" else ()
        below = items.get("properties") or {}
        defaults = {key: below[key]["default"] for key in keys if "default" in below.get(key, {})}
        return ListType(item, keys, defaults)
    if kind == "object":
        declared: JSONObject = dict(node.get("properties") or {})
        if node.get("x-kubernetes-embedded-resource"):
            declared = {**declared, "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": None}
        more = node.get("additionalProperties")
        element = _of_node(more) if isinstance(more, dict) and more else DEDUCED if preserve or more is True else None
        fields = Fields(_Declared(declared), _of_node, element)
        return AtomicMap(fields) if node.get("x-kubernetes-map-type") == "atomic" else MapType(fields)
    if kind in _STRUCTURAL:
        return MergeType("scalar", _STRUCTURAL[kind])
    return DEDUCED if preserve else ANYTHING
