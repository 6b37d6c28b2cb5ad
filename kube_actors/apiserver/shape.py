"""A body brought into the shape in which Kubernetes would write it back.

Guided by the schema table: unknown and duplicate fields are dropped and noted, wrong types refused in the words of
Go's decoder, nulls and zero values left out or filled in as Go's types would (see `zeros`), times and quantities
put in canonical form. Owns no defaults: what a kind defaults is its strategy's. Never keeps state beyond the compiled
shapes, which are the schema's and never change.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection
from typing import Any

from kube_actors.api import schema, time
from kube_actors.api.quantity import QuantityError, canonical
from kube_actors.apiserver import zeros

JSONObject = dict[str, Any]
ABSENT: Any = object()
"""What a reader gives back when the field should not be written."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_INT32 = 2**31
_EXACT: dict[str, type[Any]] = {"string": str, "bool": bool, "int32": int, "int64": int}
"""Types whose values are written as they are, when they are of just this Python type and not its zero."""

Reader = Callable[[Any, "Place", list[str]], Any]


class WrongType(Exception):
    """A value of the wrong JSON type; the message is Go's."""


class Duplicates(dict[str, Any]):
    """A JSON object in which keys came twice; repeated holds their names in order.

    before says where: the repeated keys that came ahead of a key's first occurrence, "" standing for the end.
    """

    repeated: tuple[str, ...] = ()
    before: dict[str, tuple[str, ...]] = {}


class Place:
    """Where in the body we are, kept as a chain and rendered only when there is something to say."""

    __slots__ = ("name", "parent", "struct")

    def __init__(self, parent: Place | None, name: str | int, struct: str) -> None:
        self.parent = parent
        self.name = name
        self.struct = struct

    def path(self) -> str:
        """As in field errors: spec.containers[0].image."""
        head = self.parent.path() if self.parent is not None else ""
        if isinstance(self.name, int):
            return f"{head}[{self.name}]"
        return f"{head}.{self.name}" if head else self.name

    def go_path(self) -> str:
        """As in Go's decoder: spec.containers.image."""
        names: list[str] = []
        place: Place | None = self
        while place is not None:
            if isinstance(place.name, str) and place.name:
                names.append(place.name)
            place = place.parent
        return ".".join(reversed(names))


def go_kind(value: Any) -> str:
    """How Go's decoder names a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _refuse(value: Any, place: Place, wanted: str) -> WrongType:
    field = f"{place.struct}.{place.go_path()}"
    return WrongType(f"json: cannot unmarshal {go_kind(value)} into Go struct field {field} of type {wanted}")


class Shape:
    """One compiled definition; a field is compiled when it is first met."""

    __slots__ = ("_definition", "_exact", "_readers", "always", "name")

    def __init__(self, definition: schema.Definition) -> None:
        self.name = _short(definition.name)
        self.always: tuple[tuple[str, Callable[[], Any]], ...] = ()
        self._definition = definition
        self._readers: dict[str, Reader] = {}
        self._exact: dict[str, type[Any]] = {}

    def read(self, value: JSONObject, place: Place, problems: list[str], elsewhere: Collection[str] = ()) -> JSONObject:
        """The canonical object; raises WrongType. What comes from elsewhere is not filled in."""
        if type(value) is Duplicates:
            return self._read_noting(value, place, problems)
        out: JSONObject = {}
        exact = self._exact
        for key, item in value.items():
            # Nearly every value is a plain one of the right type and not the zero: it stays as it is.
            kind = exact.get(key)
            if item and type(item) is kind and (kind is not int or -_INT32 <= item < _INT32):
                out[key] = item
            else:
                self._read_field(key, item, place, problems, out)
        for key, zero in self.always:
            if key not in out and key not in elsewhere:
                out[key] = zero()
        return out

    def _read_field(self, key: str, item: Any, place: Place, problems: list[str], out: JSONObject) -> None:
        reader = self._readers.get(key) or self._compile(key)
        if reader is None:
            problems.append(f'unknown field "{Place(place, key, self.name).path()}"')
        elif item is not None:
            got = reader(item, Place(place, key, self.name), problems)
            if got is not ABSENT:
                out[key] = got

    def _read_noting(self, value: Duplicates, place: Place, problems: list[str]) -> JSONObject:
        """As read, with a note where a key came again."""
        out: JSONObject = {}
        for key, item in value.items():
            self._note_duplicates(value.before.get(key, ()), place, problems)
            self._read_field(key, item, place, problems, out)
        self._note_duplicates(value.before.get("", ()), place, problems)
        for key, zero in self.always:
            if key not in out:
                out[key] = zero()
        return out

    def _note_duplicates(self, repeated: tuple[str, ...], place: Place, problems: list[str]) -> None:
        for key in repeated:
            problems.append(f'duplicate field "{Place(place, key, self.name).path()}"')

    def _compile(self, key: str) -> Reader | None:
        """A field's reader, made at its first use, so that a Pod does not compile every volume source at start."""
        field = self._definition.fields.get(key)
        if field is None:
            return None
        exact = _EXACT.get(field.type.kind)
        if exact is not None:
            self._exact[key] = exact
        if (self.name, key) == ("ObjectMeta", "managedFields"):
            reader = _entries(field.type)
        elif (self.name, key) in _SCHEMAS_OR:
            reader = _schema_or(self)
        else:
            reader = _reader(field.type, keep_zero=keeps_zero(self._definition.name, field))
        self._readers[key] = reader
        return reader


_SCHEMAS_OR = frozenset(("JSONSchemaProps", key) for key in ("items", "additionalProperties", "additionalItems"))
"""Fields that hold a schema or something else, for which the table has no type."""


def _schema_or(shape: Shape) -> Reader:
    """A schema in canonical shape, a list of such, or a boolean. What is unknown goes unsaid: in Go such a field
    decodes itself, and is not strict about it."""

    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if isinstance(value, dict):
            return shape.read(value, place, [])
        if isinstance(value, list):
            return [read(item, Place(place, at, shape.name), problems) for at, item in enumerate(value)]
        return value

    return read


def _short(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _string(keep_empty: bool) -> Reader:
    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if type(value) is not str:
            raise _refuse(value, place, "string")
        return value if value or keep_empty else ABSENT

    return read


def _bytes(keep_empty: bool) -> Reader:
    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if type(value) is not str:
            raise _refuse(value, place, "[]uint8")
        if value and len(value) % 4 == 0 and _BASE64.fullmatch(value):
            return value
        if not value:
            return value if keep_empty else ABSENT
        bad = _NOT_BASE64.search(value)
        raise WrongType(f"illegal base64 data at input byte {bad.start() if bad else len(value) // 4 * 4}")

    return read


def _number(wanted: str, keep_zero: bool) -> Reader:
    low, high = (-(2**31), 2**31 - 1) if wanted == "int32" else (-(2**63), 2**63 - 1)

    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if type(value) is not int:
            if type(value) is float:
                raise WrongType(
                    f"json: cannot unmarshal number {value:g} into Go struct field "
                    f"{place.struct}.{place.go_path()} of type {wanted}"
                )
            raise _refuse(value, place, wanted)
        if not low <= value <= high:
            raise WrongType(
                f"json: cannot unmarshal number {value} into Go struct field "
                f"{place.struct}.{place.go_path()} of type {wanted}"
            )
        return value if value or keep_zero else ABSENT

    return read


def _double(value: Any, place: Place, problems: list[str]) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refuse(value, place, "float64")
    return value


def _boolean(keep_false: bool) -> Reader:
    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if type(value) is not bool:
            raise _refuse(value, place, "bool")
        return value if value or keep_false else ABSENT

    return read


def _quantity(value: Any, place: Place, problems: list[str]) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _refuse(value, place, "resource.Quantity")
    try:
        return canonical(value)
    except QuantityError as error:
        raise WrongType(str(error)) from None


def _int_or_string(value: Any, place: Place, problems: list[str]) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise _refuse(value, place, "intstr.IntOrString")
    return value


def _time(micro: bool) -> Reader:
    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if type(value) is not str:
            raise _refuse(value, place, "v1.MicroTime" if micro else "v1.Time")
        try:
            return time.normal_micro_time(value) if micro else time.normal_time(value)
        except time.TimeError:
            raise WrongType(
                f'parsing time "{value}" as "2006-01-02T15:04:05'
                f'{".000000" if micro else ""}Z07:00": cannot parse "{value}" as "2006"'
            ) from None

    return read


def _free(value: Any, place: Place, problems: list[str]) -> Any:
    return plain(value)


def _as_it_is(value: Any, place: Place, problems: list[str]) -> Any:
    """A set of fields is looked at by those who take it, if at all."""
    return value


def _entries(kind: schema.Type) -> Reader:
    """managedFields: an empty list is an order to forget them, so it is told apart from none."""
    inner = _reader(kind, keep_zero=False)

    def read(value: Any, place: Place, problems: list[str]) -> Any:
        return [] if value == [] else inner(value, place, problems)

    return read


def plain(value: Any) -> Any:
    """A free-form value without the marks of duplicate keys."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _struct(name: str) -> Reader:
    shape = compiled(name)

    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if not isinstance(value, dict):
            raise _refuse(value, place, _go_type(name))
        return shape.read(value, place, problems)

    return read


def _go_type(name: str) -> str:
    parts = name.split(".")
    return f"{parts[-2]}.{parts[-1]}" if len(parts) > 1 else name


def _go_type_of(kind: schema.Type) -> str:
    if kind.kind == "ref":
        return _go_type(kind.ref)
    if kind.kind == "list" and kind.element is not None:
        return f"[]{_go_type_of(kind.element)}"
    if kind.kind == "map" and kind.element is not None:
        return f"map[string]{_go_type_of(kind.element)}"
    return {"bytes": "[]uint8", "quantity": "resource.Quantity", "intorstring": "intstr.IntOrString"}.get(
        kind.kind, kind.kind
    )


def _list(element: schema.Type, keep_empty: bool) -> Reader:
    inner = _reader(element, keep_zero=True)
    wanted = f"[]{_go_type_of(element)}"
    zero = _zero(element)
    is_struct = element.kind == "ref"

    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if type(value) is not list:
            raise _refuse(value, place, wanted)
        if not value:
            return None if keep_empty else ABSENT
        return [
            zero() if item is None else inner(item, Place(place, index, place.struct) if is_struct else place, problems)
            for index, item in enumerate(value)
        ]

    return read


def _map(element: schema.Type, keep_empty: bool) -> Reader:
    inner = _reader(element, keep_zero=True)
    wanted = f"map[string]{_go_type_of(element)}"
    zero = _zero(element)
    of_strings = element.kind == "string"

    def read(value: Any, place: Place, problems: list[str]) -> Any:
        if not isinstance(value, dict):
            raise _refuse(value, place, wanted)
        if type(value) is Duplicates:
            problems.extend(f'duplicate field "{place.path()}.{key}"' for key in value.repeated)
        if not value:
            return {} if keep_empty else ABSENT
        if of_strings:
            for item in value.values():
                if type(item) is not str and item is not None:
                    raise _refuse(item, place, "string")
            return {key: "" if item is None else item for key, item in value.items()}
        return {
            key: zero() if item is None else inner(item, Place(place, key, place.struct), problems)
            for key, item in value.items()
        }

    return read


def _zero(kind: schema.Type) -> Callable[[], Any]:
    """What Go writes for an unset plain value of this type."""
    if kind.kind == "ref":
        shape = compiled(kind.ref)
        return lambda: shape.read({}, Place(None, "", shape.name), [])
    if kind.kind in ("string", "intorstring"):
        return lambda: ""
    if kind.kind in ("int32", "int64", "double"):
        return lambda: 0
    if kind.kind == "bool":
        return lambda: False
    if kind.kind == "quantity":
        return lambda: "0"
    return lambda: None


def _reader(kind: schema.Type, *, keep_zero: bool) -> Reader:
    name = kind.kind
    if name == "ref":
        return _struct(kind.ref)
    if name == "string":
        return _string(keep_zero)
    if name == "bytes":
        return _bytes(keep_zero)
    if name in ("int32", "int64"):
        return _number(name, keep_zero)
    if name == "bool":
        return _boolean(keep_zero)
    if name == "list" and kind.element is not None:
        return _list(kind.element, keep_zero)
    if name == "map" and kind.element is not None:
        return _map(kind.element, keep_zero)
    simple: dict[str, Reader] = {
        "quantity": _quantity,
        "intorstring": _int_or_string,
        "double": _double,
        "time": _time(False),
        "microtime": _time(True),
        "fields": _as_it_is,
    }
    return simple.get(name, _free)


def keeps_zero(definition: str, field: schema.Field) -> bool:
    if field.required:
        return True
    key = (_short(definition), field.name)
    kind = field.type.kind
    if kind in ("int32", "int64"):
        return key not in zeros.PLAIN_NUMBERS or key in zeros.ZEROS_KEPT
    if kind == "bool":
        return key not in zeros.PLAIN_BOOLS
    if kind == "string":
        return key in zeros.POINTER_STRINGS or (definition, field.name) in zeros.POINTER_STRINGS_BY_GROUP
    return False


def _is_null_time(key: tuple[str, str], field: schema.Field) -> bool:
    """Times of the older condition types are plain in Go, so an unset one is null."""
    return field.type.kind == "time" and key[0] != "Condition" and key[0].endswith("Condition")


_shapes: dict[str, Shape] = {}


def compiled(name: str) -> Shape:
    """The shape of a definition, compiled once; recursive definitions meet themselves half-built, which is enough."""
    found = _shapes.get(name)
    if found is not None:
        return found
    definition = schema.definition(name)
    shape = _shapes[name] = Shape(definition)
    always: list[tuple[str, Callable[[], Any]]] = []
    for field in definition.fields.values():
        key = (shape.name, field.name)
        if key in zeros.POINTER_STRUCTS:
            continue
        if field.required or key in zeros.EMPTY_STRUCTS or key in zeros.ZEROS_KEPT or _is_null_time(key, field):
            always.append((field.name, _lazy_zero(field.type)))
    shape.always = tuple(always)
    return shape


def _lazy_zero(kind: schema.Type) -> Callable[[], Any]:
    @functools.cache
    def zero() -> Callable[[], Any]:
        return _zero(kind)

    return lambda: zero()()
