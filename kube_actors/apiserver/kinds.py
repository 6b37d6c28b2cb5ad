"""What the server serves: each resource with its strategy, its compiled shape and its key layout.

Owns the book of kinds, seeded from the resource table and open to custom resources. Never touches the store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from kube_actors.api import merge_types, schema
from kube_actors.api.fieldsets import FieldSet
from kube_actors.api.messages import WatchEvent
from kube_actors.api.resources import Resource, Resources
from kube_actors.apiserver import conversions, encoding, limits
from kube_actors.apiserver.shape import Place, Shape, compiled
from kube_actors.apiserver.strategies import strategy_for
from kube_actors.apiserver.strategies.base import JSONObject, Strategy
from kube_actors.store.contract import Event, Sorter


class Kind:
    """One served resource."""

    __slots__ = (
        "_canonical",
        "_conversion",
        "_merge_type",
        "_shape",
        "_zero",
        "has_status",
        "head",
        "item_head",
        "known_fields",
        "last_event",
        "namespaced",
        "prefix",
        "resource",
        "sorters",
        "store_head",
        "strategy",
        "structural",
    )

    def __init__(self, resource: Resource, strategy: Strategy) -> None:
        self.resource = resource
        self.strategy = strategy
        self.namespaced = resource.namespaced
        self.prefix = resource.prefix
        self.has_status = "status" in resource.subresources and strategy.resets_status
        self.head = encoding.head_of(resource.kind, resource.api_version)
        self.item_head = self.head
        """What an item of a list does without."""
        self.structural: JSONObject | None = None
        """The structural schema of a custom resource's version."""
        stored_group, stored_version = resource.stored_group, resource.stored_version
        stored = f"{stored_group}/{stored_version}" if stored_group else stored_version
        self.store_head = encoding.head_of(resource.kind, stored) if stored else self.head
        self._conversion = conversions.between(resource)
        self._shape: Shape | None = None
        self.last_event: tuple[Event, WatchEvent] | None = None  # of the store, and as watchers see it
        self._zero: JSONObject | None = None
        self._canonical: set[bytes] = set()  # specs that lately came in canonical shape
        self.known_fields: dict[bytes, FieldSet] = {}
        """The fields of specs lately created, by their bytes."""
        self._merge_type: merge_types.MergeType | None = None
        self.sorters: dict[str, Sorter] = {}

    @property
    def name(self) -> str:
        """As messages spell it: pods, deployments.apps."""
        return self.resource.name

    @property
    def definition(self) -> schema.Definition:
        """The schema of the kind."""
        resource = self.resource
        found = schema.for_kind(resource.group, resource.version, resource.kind)
        assert found is not None, f"no schema for {resource.kind} in {resource.api_version}"
        return found

    @property
    def shape(self) -> Shape:
        """Compiled at first use."""
        if self._shape is None:
            self._shape = compiled(self.definition.name)
        return self._shape

    def key(self, namespace: str, name: str) -> str:
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else self.prefix + name

    def list_prefix(self, namespace: str) -> str:
        return f"{self.prefix}{namespace}/" if namespace and self.namespaced else self.prefix

    def conform(self, body: JSONObject, problems: list[str]) -> JSONObject:
        """The body in canonical shape and in the stored version, kind and apiVersion set; raises shape.WrongType."""
        shape = self.shape
        found = shape.read(body, Place(None, "", shape.name), problems)
        found["kind"] = self.resource.kind
        found["apiVersion"] = self.resource.api_version
        found.setdefault("metadata", {})
        return found if self._conversion is None else self._conversion.inward(found)

    def conform_rest(self, body: JSONObject, left: Collection[str], problems: list[str]) -> JSONObject:
        """As conform, but what is under these keys is canonical already and is taken as it is."""
        shape = self.shape
        given = {key: value for key, value in body.items() if key not in left}
        read = shape.read(given, Place(None, "", shape.name), problems, left)
        read["kind"], read["apiVersion"] = self.resource.kind, self.resource.api_version
        found = {key: body[key] if key in left else read[key] for key in body if key in left or key in read}
        for key, value in read.items():
            found.setdefault(key, value)
        found.setdefault("metadata", {})
        return found

    def conform_plain(self, body: JSONObject, problems: list[str]) -> JSONObject:
        """As conform, of a body in which no key comes twice. A spec that was in canonical shape when it came before
        is not read again: pods come by the thousand from one template, and a status is written with its spec."""
        spec = body.get("spec")
        if type(spec) is not dict or self.converts or self.resource.custom:
            return self.conform(body, problems)
        encoded = encoding.encode(spec)
        shortest, longest = limits.KNOWN_SPEC_BYTES
        if not shortest <= len(encoded) <= longest:
            return self.conform(body, problems)
        if encoded in self._canonical:
            return self.conform_rest(body, ("spec",), problems)
        found = self.conform(body, problems)
        if not problems and encoding.encode(found.get("spec")) == encoded:
            if len(self._canonical) >= limits.KNOWN_SPECS:
                self._canonical.clear()
            self._canonical.add(encoded)
        return found

    @property
    def converts(self) -> bool:
        """Whether it is stored in another version than this one."""
        return self._conversion is not None

    @property
    def merge_type(self) -> merge_types.MergeType:
        """How its fields are owned and merged; compiled at first use."""
        if self._merge_type is None:
            if self.resource.custom:
                self._merge_type = merge_types.of_structural(self.structural)
            else:
                self._merge_type = merge_types.of_definition(self.definition.name)
        return self._merge_type

    def zero(self) -> JSONObject:
        """An object of which nothing is set yet, in this version; shared, so not to be changed."""
        if self._zero is None and self.resource.custom:
            self._zero = {"metadata": {}}
        if self._zero is None:
            self._zero = self.shape.read({}, Place(None, "", self.shape.name), [])
        return self._zero

    def inward(self, obj: JSONObject) -> JSONObject:
        """An object of this version as it is stored."""
        return obj if self._conversion is None else self._conversion.inward(obj)

    def outward(self, obj: JSONObject) -> JSONObject:
        """A stored object, decoded, as this version shows it."""
        return obj if self._conversion is None else self._conversion.outward(obj)

    def load(self, value: bytes) -> bytes:
        """Stored bytes as this version shows them."""
        if self._conversion is None:
            return value
        return encoding.whole(self.head, self._conversion.outward(encoding.decode(value)))

    def empty_status(self) -> JSONObject | None:
        """The status of an object that has none yet, as Go writes it; None where it is left out."""
        for key, zero in self.shape.always:
            if key == "status":
                found: JSONObject | None = zero()
                if self._conversion is not None:
                    found = self._conversion.inward({"metadata": {}, "status": found})["status"]
                return found
        return None


class Kinds:
    """The book of served resources."""

    def __init__(self, resources: Resources, strategy_of: Callable[[Resource], Strategy] = strategy_for) -> None:
        self.resources = resources
        self._strategy_of = strategy_of
        self._kinds: dict[tuple[str, str, str], Kind] = {}

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind at a path, or None."""
        key = (group, version, plural)
        found = self._kinds.get(key)
        if found is None:
            resource = self.resources.get(group, version, plural)
            if resource is None:
                return None
            found = self._kinds[key] = Kind(resource, self._strategy_of(resource))
        return found

    def put(self, kind: Kind) -> None:
        """A custom resource, as its definition has it now."""
        resource = kind.resource
        self._kinds[resource.group, resource.version, resource.plural] = kind

    def forget(self, group: str, version: str, plural: str) -> None:
        """A custom resource has changed or gone."""
        self._kinds.pop((group, version, plural), None)

    def get(self, group: str, version: str, plural: str) -> Kind:
        """As find, for kinds that the server itself relies on."""
        found = self.find(group, version, plural)
        assert found is not None, f"{plural} of {group}/{version} is not served"
        return found
