"""The CEL of admission: what expressions of policies and webhooks may speak of, and what they must give.

Owns the environments and the wording of a bad expression. Import it lazily: it brings the whole of CEL, and most
clusters have no expressions.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from kube_actors.cel import types
from kube_actors.cel.environment import Environment, Program
from kube_actors.cel.errors import CompileError
from kube_actors.cel.types import Field, Type

AUTHORIZER = types.opaque("kubernetes.authorization.Authorizer")
RESOURCE_CHECK = types.opaque("kubernetes.authorization.ResourceCheck")
_TEXTS = types.map_of(types.STRING, types.STRING)
_LISTS = types.map_of(types.STRING, types.list_of(types.STRING))


class Faulty(ValueError):
    """The expression is no good; the message is what Kubernetes says of it."""


class _AnyFields(Mapping[str, Field]):
    """Every name is a field of any type: literals of objects are checked only once they meet a schema."""

    def __getitem__(self, name: str) -> Field:
        return Field(name, types.DYN)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


_ANY_FIELDS = _AnyFields()
OBJECT = types.object_of("Object", lambda: _ANY_FIELDS)
PATCH = types.object_of(
    "JSONPatch", {"op": types.STRING, "path": types.STRING, "from": types.STRING, "value": types.DYN}
)


class _Literals(Mapping[str, Type]):
    """Object, Object.spec, Object.spec.template and so on, and JSONPatch."""

    def __getitem__(self, name: str) -> Type:
        if name == "Object":
            return OBJECT
        if name == "JSONPatch":
            return PATCH
        if name.startswith("Object."):
            return types.object_of(name, lambda: _ANY_FIELDS)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("Object", "JSONPatch"))

    def __len__(self) -> int:
        return 2


def _version(name: str, last: str) -> Type:
    return types.object_of(name, {"group": types.STRING, "version": types.STRING, last: types.STRING})


def _request() -> Type:
    kind = _version("kubernetes.GroupVersionKind", "kind")
    resource = _version("kubernetes.GroupVersionResource", "resource")
    user = types.object_of(
        "kubernetes.UserInfo",
        {"username": types.STRING, "uid": types.STRING, "groups": types.list_of(types.STRING), "extra": _LISTS},
    )
    return types.object_of(
        "kubernetes.AdmissionRequest",
        {
            "kind": kind,
            "resource": resource,
            "subResource": types.STRING,
            "requestKind": kind,
            "requestResource": resource,
            "requestSubResource": types.STRING,
            "name": types.STRING,
            "namespace": types.STRING,
            "operation": types.STRING,
            "userInfo": user,
            "dryRun": types.BOOL,
            "options": types.DYN,
        },
    )


def _namespace() -> Type:
    metadata = types.object_of(
        "kubernetes.NamespaceMetadata",
        lambda: {
            "name": Field("name", types.STRING),
            "generateName": Field("generateName", types.STRING),
            "namespace": Field("namespace", types.STRING),
            "labels": Field("labels", _TEXTS),
            "annotations": Field("annotations", _TEXTS),
            "UID": Field("uid", types.STRING),
            "creationTimestamp": Field("creationTimestamp", types.TIMESTAMP),
            "deletionGracePeriodSeconds": Field("deletionGracePeriodSeconds", types.INT),
            "deletionTimestamp": Field("deletionTimestamp", types.TIMESTAMP),
            "generation": Field("generation", types.INT),
            "resourceVersion": Field("resourceVersion", types.STRING),
            "finalizers": Field("finalizers", types.list_of(types.STRING)),
        },
    )
    spec = types.object_of("kubernetes.NamespaceSpec", {"finalizers": types.list_of(types.STRING)})
    status = types.object_of("kubernetes.NamespaceStatus", {"phase": types.STRING})
    return types.object_of("kubernetes.Namespace", {"metadata": metadata, "spec": spec, "status": status})


@functools.cache
def environment(*, params: bool = False, literals: bool = False, namespace: bool = True) -> Environment:
    """What expressions may speak of. params: of a policy with a paramKind. literals: Object{} and JSONPatch{} too."""
    known: dict[str, Type] = {
        "object": types.DYN,
        "oldObject": types.DYN,
        "request": _request(),
        "authorizer": AUTHORIZER,
        "authorizer.requestResource": RESOURCE_CHECK,
    }
    if params:
        known["params"] = types.DYN
    if namespace:
        known["namespaceObject"] = _namespace()
    return Environment(known, _Literals() if literals else None)


def typed_environment(of_object: Type, base: Environment) -> Environment:
    """The same where the object's own type is known: what type checking compares expressions with."""
    return base.extended({"object": of_object, "oldObject": of_object})


def with_variables(base: Environment, known: Mapping[str, Type]) -> Environment:
    """The environment in which `variables` has these fields."""
    return base.extended({"variables": types.object_of("kubernetes.variables", dict(known))})


STRING_OR_NULL = (types.STRING, types.NULL)
BOOL = (types.BOOL,)
STRING = (types.STRING,)
APPLIED = (OBJECT,)
PATCHES = (types.list_of(PATCH),)


def compiled(env: Environment, source: str, *wanted: Type) -> Program:
    """The program; Faulty when it does not compile or gives something else than wanted."""
    try:
        program = env.compile(source)
    except CompileError as error:
        raise Faulty(f"compilation failed: {error}") from None
    result = program.result_type
    if wanted and not any(types.assignable(kind, result, {}) and _not_loose(kind, result) for kind in wanted):
        shown = _shown(wanted[0]) if len(wanted) == 1 else f"one of [{' '.join(map(_shown, wanted))}]"
        raise Faulty(f"must evaluate to {shown} but got {_shown(result)}")
    return program


def _not_loose(kind: Type, result: Type) -> bool:
    """Null may stand for many types in CEL, but not for a result."""
    return result.kind != "null" or kind.kind == "null"


def _shown(kind: Type) -> str:
    return "null_type" if kind.kind == "null" else str(kind)


__all__ = [
    "APPLIED", "BOOL", "PATCHES", "STRING", "STRING_OR_NULL", "Faulty", "Program", "compiled",
    "environment", "typed_environment", "with_variables",
]  # fmt: skip


def plain(value: Any) -> Any:
    """A value of CEL as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
