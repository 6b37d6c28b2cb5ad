"""Whether a CustomResourceDefinition is valid: names, scope, versions, sub-resources, columns, conversion, status.

Owns everything but the schemas, which are `schema_checks`'s, and the order in which it is complained about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.api.field_errors import FieldError
from kube_actors.apiserver.custom import formats, jsonpath, schema_checks
from kube_actors.apiserver.custom.book import is_true, storage_version
from kube_actors.apiserver.custom.conditions import APPROVAL, is_protected
from kube_actors.apiserver.custom.values import same

JSONObject = dict[str, Any]
Problems = list[FieldError]

SELECTABLE_LIMIT: Final = 8
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_APPROVAL_NEEDED: Final = (
    f'protected groups must have approval annotation "{APPROVAL}", see '
    "https://github.com/kubernetes/enhancements/pull/1111"
)


def created(crd: JSONObject) -> Problems:
    """What is wrong with a new definition."""
    problems = _named(crd)
    problems += _spec(crd)
    problems += _stored(crd)
    return problems + _approved(crd)


def updated(new: JSONObject, old: JSONObject) -> Problems:
    """What is wrong with a definition in place of an old one."""
    problems = _immutable(new, old)
    if problems:
        return problems
    problems += _spec(new, old)
    problems += _stored(new)
    if new["spec"].get("group") == old["spec"].get("group") and not (old["metadata"].get("annotations") or {}).get(
        APPROVAL
    ):
        return problems
    return problems + _approved(new)


def _immutable(new: JSONObject, old: JSONObject) -> Problems:
    problems: Problems = []
    spec, before = new["spec"], old["spec"]
    fixed = [("group",), ("names", "plural")]
    if is_true(old, "Established"):
        fixed = [("scope",), ("names", "kind"), *fixed]
    for path in fixed:
        a, b = _at(spec, path), _at(before, path)
        if a != b:
            problems.append(fields.invalid("spec." + ".".join(path), a, "field is immutable"))
    return problems


def _at(value: JSONObject, path: tuple[str, ...]) -> Any:
    for part in path:
        value = value.get(part, "") if isinstance(value, dict) else ""
    return value


def _named(crd: JSONObject) -> Problems:
    spec = crd["spec"]
    wanted = f"{spec['names'].get('plural', '')}.{spec.get('group', '')}"
    name = crd["metadata"].get("name", "")
    if name != wanted:
        return [fields.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')]
    return []


def _approved(crd: JSONObject) -> Problems:
    if not is_protected(crd["spec"].get("group", "")):
        return []
    text = (crd["metadata"].get("annotations") or {}).get(APPROVAL, "")
    where = f"metadata.annotations[{APPROVAL}]"
    if not text:
        return [fields.required(where, _APPROVAL_NEEDED)]
    if text.startswith("unapproved") or re.match(r"https?://[^/]+", text):
        return []
    return [fields.invalid(where, text, "protected groups must have approval annotation \"api-approved.kubernetes.io\" "
                           "with either a URL or a reason starting with \"unapproved\", see "
                           "https://github.com/kubernetes/enhancements/pull/1111")]  # fmt: skip


def _spec(crd: JSONObject, old: JSONObject | None = None) -> Problems:
    spec = crd["spec"]
    problems = _group_and_scope(spec)
    versions: list[JSONObject] = spec.get("versions") or []
    problems += _versions(spec, versions)
    if spec.get("preserveUnknownFields"):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        problems.append(fields.invalid("spec.preserveUnknownFields", True, text))
    problems += _required_names(spec["names"])
    problems += named(spec["names"], "spec.names")
    problems += _contents(versions, old)
    return problems + _conversion(spec.get("conversion") or {}, versions)


def _group_and_scope(spec: JSONObject) -> Problems:
    problems: Problems = []
    group = spec.get("group", "")
    if not group:
        problems.append(fields.required("spec.group"))
    elif found := names.dns_subdomain(group):
        problems.append(fields.invalid("spec.group", group, ",".join(found)))
    elif "." not in group:
        problems.append(fields.invalid("spec.group", group, "should be a domain with at least one dot"))
    scope = spec.get("scope", "")
    if not scope:
        problems.append(fields.required("spec.scope"))
    elif scope not in {"Cluster", "Namespaced"}:
        problems.append(fields.not_supported("spec.scope", scope, ["Cluster", "Namespaced"]))
    return problems


def _versions(spec: JSONObject, versions: list[JSONObject]) -> Problems:
    problems: Problems = []
    known = [version.get("name", "") for version in versions]
    for at, name in enumerate(known):
        if found := names.dns1035_label(name):
            problems.append(fields.invalid(f"spec.versions[{at}].name", name, ",".join(found)))
    if len(set(known)) != len(known):
        problems.append(fields.invalid("spec.versions", _go_versions(versions), "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        text = "must have exactly one version marked as storage version"
        problems.append(fields.invalid("spec.versions", _go_versions(versions), text))
    if known and (found := names.dns1035_label(known[0])):
        problems.append(fields.invalid("spec.version", known[0], ",".join(found)))
    return problems


def _go_versions(versions: list[JSONObject]) -> Any:
    """Versions as Go prints its internal form; what all versions share has been moved out of them."""
    hoisted = alike(versions)
    shown = []
    for version in versions:
        columns = version.get("additionalPrinterColumns")
        kept = {
            "Schema": version.get("schema"),
            "Subresources": version.get("subresources"),
            "AdditionalPrinterColumns": columns,
            "SelectableFields": version.get("selectableFields"),
        }
        shown.append(
            {
                "Name": version.get("name", ""),
                "Served": bool(version.get("served")),
                "Storage": bool(version.get("storage")),
                "Deprecated": bool(version.get("deprecated")),
                "DeprecationWarning": version.get("deprecationWarning"),
                **{key: None if key in hoisted else value for key, value in kept.items()},
            }
        )
    return fields_raw(shown)


def fields_raw(value: Any) -> Any:
    """A value whose keys keep their order when rendered."""
    import msgspec  # lazy: only for this rare message

    return msgspec.Raw(msgspec.json.encode(value))


_SHARED: Final = {
    "Schema": "schema",
    "Subresources": "subresources",
    "AdditionalPrinterColumns": "additionalPrinterColumns",
    "SelectableFields": "selectableFields",
}


def alike(versions: list[JSONObject]) -> set[str]:
    """The parts that are the same in every version: Kubernetes holds and names them once, above the versions."""
    return {
        name
        for name, key in _SHARED.items()
        if versions and all(same(version.get(key), versions[0].get(key)) for version in versions)
    }


def _required_names(found: JSONObject) -> Problems:
    keys = ("plural", "singular", "kind", "listKind")
    return [fields.required(f"spec.names.{key}") for key in keys if not found.get(key)]


def named(found: JSONObject, path: str) -> Problems:
    """What is wrong with names, those of the spec or the accepted ones."""
    problems: Problems = []
    for key in ("plural", "singular"):
        value = found.get(key, "")
        if value and (bad := names.dns1035_label(value)):
            problems.append(fields.invalid(f"{path}.{key}", value, ",".join(bad)))
    for key in ("kind", "listKind"):
        value = found.get(key, "")
        if value and (bad := names.dns1035_label(value.lower())):
            text = "may have mixed case, but should otherwise match: " + ",".join(bad)
            problems.append(fields.invalid(f"{path}.{key}", value, text))
    for at, value in enumerate(found.get("shortNames") or ()):
        if bad := names.dns1035_label(value):
            problems.append(fields.invalid(f"{path}.shortNames[{at}]", value, ",".join(bad)))
    if found.get("kind") and found["kind"] == found.get("listKind"):
        text = "kind and listKind may not be the same"
        problems.append(fields.invalid(f"{path}.listKind", found["listKind"], text))
    for at, value in enumerate(found.get("categories") or ()):
        if bad := names.dns1035_label(value):
            problems.append(fields.invalid(f"{path}.categories[{at}]", value, ",".join(bad)))
    return problems


def _contents(versions: list[JSONObject], old: JSONObject | None) -> Problems:
    """Schemas, sub-resources, columns and selectable fields, each once where all versions agree."""
    problems: Problems = []
    shared = alike(versions)
    before = {version["name"]: version for version in (old or {}).get("spec", {}).get("versions") or ()}
    for at, version in enumerate(versions):
        own = f"spec.versions[{at}]"
        if "Schema" not in shared or not at:
            path = "spec.validation" if "Schema" in shared else f"{own}.schema"
            earlier = (before.get(version.get("name", "")) or {}).get("schema")
            problems += _schema(version, path, earlier)
        if "Subresources" not in shared or not at:
            path = "spec" if "Subresources" in shared else own
            problems += _subresources(version.get("subresources") or {}, f"{path}.subresources")
        if "AdditionalPrinterColumns" not in shared or not at:
            path = "spec" if "AdditionalPrinterColumns" in shared else own
            for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
                problems += _column(column, f"{path}.additionalPrinterColumns[{index}]")
        if "SelectableFields" not in shared or not at:
            path = "spec" if "SelectableFields" in shared else own
            problems += _selectable(version, f"{path}.selectableFields")
        if version.get("deprecationWarning") is not None:
            problems += _warning(version, own)
    return problems


def _warning(version: JSONObject, path: str) -> Problems:
    text, where = version["deprecationWarning"], f"{path}.deprecationWarning"
    if not version.get("deprecated"):
        return [fields.invalid(where, text, "can only be set for deprecated versions")]
    if not text:
        return [fields.invalid(where, text, "must not be an empty string")]
    if len(text) > 256:
        return [fields.too_long(where, 256)]
    if not text.isprintable():
        return [
            fields.invalid(where, text, "must only contain printable UTF-8 characters; non-printable character found")
        ]
    return []


def _schema(version: JSONObject, path: str, old: Any) -> Problems:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        where = path if path != "spec.validation" else "spec.versions[0].schema.openAPIV3Schema"
        return [fields.required(where, "schemas are required")]
    if old is not None and same(old.get("openAPIV3Schema"), schema):
        return []
    return schema_checks.check(schema, f"{path}.openAPIV3Schema")


def _subresources(found: JSONObject, path: str) -> Problems:
    scale = found.get("scale")
    if scale is None:
        return []
    problems: Problems = []
    for key, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        value, where = scale.get(key, ""), f"{path}.scale.{key}"
        if not value:
            problems.append(fields.required(where))
        else:
            problems += _simple(value, where, (root,), f"should be a json path under {root}")
    selector = scale.get("labelSelectorPath")
    if selector:
        where = f"{path}.scale.labelSelectorPath"
        problems += _simple(
            selector, where, (".spec", ".status"), "should be a json path under either .spec or .status"
        )
    return problems


def _simple(value: str, where: str, roots: tuple[str, ...], text: str) -> Problems:
    if not value.startswith("."):
        return [fields.invalid(where, value, "must be a simple json path starting with .")]
    if jsonpath.names(value) is None:
        return [fields.invalid(where, value, "must be a simple json path starting with .")]
    if not value.startswith(tuple(f"{root}." for root in roots)):
        return [fields.invalid(where, value, text)]
    return []


def _column(column: JSONObject, path: str) -> Problems:
    problems: Problems = []
    if not column.get("name"):
        problems.append(fields.required(f"{path}.name"))
    kind = column.get("type", "")
    if not kind:
        problems.append(fields.required(f"{path}.type", f"must be one of {','.join(_COLUMN_TYPES)}"))
    elif kind not in _COLUMN_TYPES:
        problems.append(fields.invalid(f"{path}.type", kind, f"must be one of {','.join(_COLUMN_TYPES)}"))
    form = column.get("format", "")
    if form and form not in _COLUMN_FORMATS:
        problems.append(fields.invalid(f"{path}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}"))
    value = column.get("jsonPath", "")
    if not value:
        problems.append(fields.required(f"{path}.JSONPath"))
    elif not value.startswith("."):
        problems.append(fields.invalid(f"{path}.JSONPath", value, "must be a simple json path starting with ."))
    return problems


_NOT_SELECTABLE: Final = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)


def _selectable(version: JSONObject, path: str) -> Problems:
    found = version.get("selectableFields") or []
    problems: Problems = []
    if len(found) > SELECTABLE_LIMIT:
        problems.append(fields.too_many(path, len(found), SELECTABLE_LIMIT))
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    seen: set[str] = set()
    for at, field in enumerate(found):
        value, where = field.get("jsonPath", ""), f"{path}[{at}].jsonPath"
        if not value:
            problems.append(fields.required(where))
            continue
        if not value.startswith("."):
            problems.append(fields.invalid(where, value, f"is an invalid path: expected [ or . but got: {value}"))
            continue
        target = _target(schema, jsonpath.names(value))
        if target is None:
            problems.append(fields.invalid(where, value, "is an invalid path: does not refer to a valid field"))
        elif target.get("type") not in {"string", "boolean", "integer"}:
            problems.append(fields.invalid(where, value, _NOT_SELECTABLE))
        elif value.startswith(".metadata"):
            problems.append(fields.invalid(where, value, "must not point to fields in metadata"))
        elif value in seen:
            problems.append(fields.duplicate(where, value))
        seen.add(value)
    return problems


def _target(schema: Mapping[str, Any], path: list[str] | None) -> Mapping[str, Any] | None:
    if path is None:
        return None
    for part in path:
        found = (schema.get("properties") or {}).get(part)
        if not isinstance(found, Mapping):
            return None
        schema = found
    return schema


def _conversion(conversion: JSONObject, versions: list[JSONObject]) -> Problems:
    strategy, path = conversion.get("strategy", ""), "spec.conversion"
    if strategy not in {"None", "Webhook"}:
        return [fields.not_supported(f"{path}.strategy", strategy, ["None", "Webhook"])]
    webhook = conversion.get("webhook")
    if strategy == "None":
        if webhook is not None:
            return [
                fields.forbidden(f"{path}.webhookClientConfig", "should not be set when strategy is not set to Webhook")
            ]
        return []
    if not (webhook or {}).get("clientConfig"):
        return [fields.required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook")]
    problems: Problems = []
    reviews = (webhook or {}).get("conversionReviewVersions") or []
    if not reviews:
        problems.append(fields.required(f"{path}.conversionReviewVersions"))
    elif not {"v1", "v1beta1"} & set(reviews):
        text = "must include at least one of v1, v1beta1"
        problems.append(fields.invalid(f"{path}.conversionReviewVersions", reviews, text))
    client = (webhook or {})["clientConfig"]
    where = f"{path}.webhookClientConfig"
    if bool(client.get("url")) == bool(client.get("service")):
        problems.append(fields.required(where, "exactly one of url or service is required"))
    elif client.get("url") and not client["url"].startswith("https://"):
        hint = "" if "://" in client["url"] else "; desired format: https://host[/path]"
        text = f"'https' is the only allowed URL scheme{hint}"
        problems.append(fields.invalid(f"{where}.url", client["url"].split("://")[0], text))
    return problems


def _stored(crd: JSONObject) -> Problems:
    status = crd.get("status") or {}
    stored = status.get("storedVersions")
    if not stored:
        return [fields.invalid("status.storedVersions", stored, "must have at least one stored version")]
    known = {version.get("name") for version in crd["spec"].get("versions") or ()}
    problems: Problems = []
    for at, name in enumerate(stored):
        if name not in known:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            problems.append(fields.invalid(f"status.storedVersions[{at}]", name, text))
    flagged = [version["name"] for version in crd["spec"].get("versions") or () if version.get("storage")]
    current = flagged[-1] if flagged else storage_version(crd)
    if current and current not in stored:
        problems.append(fields.invalid("status.storedVersions", stored, f"must have the storage version {current}"))
    return problems


def status(crd: JSONObject) -> Problems:
    """What is wrong with a status."""
    found = crd.get("status") or {}
    return named(found.get("acceptedNames") or {}, "status.acceptedNames") + _stored(crd)


def warnings(crd: JSONObject, old: JSONObject | None) -> list[str]:
    """Formats that nobody checks."""
    found: list[str] = []
    for version in crd["spec"].get("versions") or ():
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if isinstance(schema, Mapping):
            for name in sorted(schema_checks.formats_of(schema) - formats.SUPPORTED):
                found.append(f'unrecognized format "{name}"')
    return list(dict.fromkeys(found))
