"""How objects of one version of a custom resource are written: generation, status, schema, rules and selectors.

Owns the order of validation and which failures keep the rules from being asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from kube_actors.api import field_errors as fields
from kube_actors.api.field_errors import NO_FIELD, FieldError
from kube_actors.apiserver import meta
from kube_actors.apiserver.custom import jsonpath, values
from kube_actors.apiserver.strategies.base import Problems, Strategy

if TYPE_CHECKING:
    from kube_actors.apiserver.custom.rules import Rules

JSONObject = dict[str, Any]

_BLOCKING: Final = frozenset(
    {fields.NOT_SUPPORTED, fields.REQUIRED, fields.TOO_LONG, fields.TOO_MANY, fields.TYPE_INVALID}
)
_UNCHECKED: Final = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


class CustomStrategy(Strategy):
    """One version of one definition."""

    generation = True
    unconditional_update = False
    core_finalizers = False
    field_complaint = "field label not supported: {field}"

    def __init__(self, schema: Mapping[str, Any], version: Mapping[str, Any], warning: str) -> None:
        self.schema = schema
        self._status = "status" in (version.get("subresources") or {})
        self._scale: JSONObject = (version.get("subresources") or {}).get("scale") or {}
        self._rules: Rules | None = None
        self._has_rules = has_rules(schema)
        self.deprecation = warning
        self.selectable = {
            path.lstrip("."): _getter(path)
            for path in (field["jsonPath"] for field in version.get("selectableFields") or ())
        }

    def desired(self, obj: JSONObject) -> Any:
        """Everything a client says: all but metadata and, where it is apart, status."""
        left_out = {"metadata", "apiVersion", "kind", "status"} if self._status else {"metadata", "apiVersion", "kind"}
        return {key: value for key, value in obj.items() if key not in left_out}

    def prepare_status(self, new: JSONObject, old: JSONObject) -> None:
        """Of metadata a status update changes nothing but who manages what."""
        before, after = old["metadata"], new["metadata"]
        kept = {key: after[key] for key in ("managedFields", "resourceVersion") if key in after}
        new["metadata"] = {**{key: value for key, value in before.items() if key != "managedFields"}, **kept}

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        """A finalizer without a domain is allowed, but may be somebody else's too."""
        names = obj["metadata"].get("finalizers")
        if not names:
            return []
        before = old["metadata"].get("finalizers", ()) if old else ()
        return [
            f"metadata.finalizers: {fields.quote(name)}: prefer a domain-qualified finalizer name including a path (/) "
            "to avoid accidental conflicts with other finalizer writers"
            for name in sorted(set(names).difference(before))
            if "/" not in name and name not in meta.STANDARD_FINALIZERS
        ]

    def validate_create(self, obj: JSONObject) -> Problems:
        return self._validate(obj, values.MISSING)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return self._validate(new, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return self._validate(new, old)

    def _validate(self, obj: JSONObject, old: Any) -> Problems:
        problems = values.validate(obj, self.schema, "", old)
        problems += self._scaled(obj)
        problems += _embedded(obj, self.schema, "")
        problems += values.list_types(obj, self.schema)
        if not self._has_rules:
            return problems
        if any(problem.reason in _BLOCKING for problem in problems):
            return [*problems, fields.invalid(NO_FIELD, None, _UNCHECKED)]
        return problems + self._ruled(obj, old)

    def _ruled(self, obj: JSONObject, old: Any) -> Problems:
        from kube_actors.apiserver.custom import rules  # lazy: CEL is loaded for the first rule, not before

        if self._rules is None:
            self._rules = rules.Rules(self.schema)
        return rules.check(self._rules, self.schema, obj, old)

    def _scaled(self, obj: JSONObject) -> list[FieldError]:
        """The numbers that the scale sub-resource shows must be numbers of replicas."""
        problems = []
        for key in ("specReplicasPath", "statusReplicasPath") if self._scale else ():
            path = self._scale[key]
            for number in jsonpath.find(path, obj):
                if isinstance(number, int) and not isinstance(number, bool):
                    if number < 0:
                        problems.append(fields.invalid(path.lstrip("."), number, "should be a non-negative integer"))
                    elif number > 2**31 - 1:
                        text = f"should be less than or equal to {2**31 - 1}"
                        problems.append(fields.invalid(path.lstrip("."), number, text))
        return problems


def has_rules(schema: Mapping[str, Any]) -> bool:
    """Whether there is a CEL rule anywhere."""
    if schema.get("x-kubernetes-validations"):
        return True
    below = list((schema.get("properties") or {}).values())
    below += [schema.get("items"), schema.get("additionalProperties")]
    return any(has_rules(inner) for inner in below if isinstance(inner, Mapping))


def _embedded(value: Any, schema: Mapping[str, Any], path: str) -> list[FieldError]:
    """Embedded resources must say what they are."""
    problems: list[FieldError] = []
    if isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource"):
            for key in ("apiVersion", "kind"):
                if not value.get(key):
                    problems.append(fields.required(f"{path}.{key}"))
        properties = schema.get("properties") or {}
        for key, item in value.items():
            inner = properties.get(key, schema.get("additionalProperties"))
            if isinstance(inner, Mapping):
                problems += _embedded(item, inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for at, item in enumerate(value):
            problems += _embedded(item, schema["items"], f"{path}[{at}]")
    return problems


def _getter(path: str) -> Callable[[JSONObject], str]:
    def get(obj: JSONObject) -> str:
        found = jsonpath.find(path, obj)
        if not found or found[0] is None:
            return ""
        value = found[0]
        return ("true" if value else "false") if isinstance(value, bool) else str(value)

    return get
