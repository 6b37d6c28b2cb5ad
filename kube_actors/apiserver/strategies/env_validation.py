"""What is wrong with a container's environment. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_KNOWN_FIELDS = (*_ENV_FIELDS, "metadata.annotations", "metadata.labels")
_ENV_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_DIVISORS = {
    "cpu": ("1m", "1"),
    "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
}
_SUBSCRIPTED = ("metadata.annotations", "metadata.labels")


def env(container: JSONObject, path: str) -> Problems:
    """As ValidateEnv."""
    found: Problems = []
    for index, variable in enumerate(container.get("env") or ()):
        at = f"{path}.env[{index}]"
        name = variable.get("name", "")
        found += named(names.env_name(name), name, f"{at}.name") if name else [fields.required(f"{at}.name")]
        if variable.get("valueFrom") is not None:
            found += _value_from(variable, f"{at}.valueFrom")
    return found


def _value_from(variable: JSONObject, path: str) -> Problems:
    found: Problems = []
    source = variable["valueFrom"]
    given = [key for key in _SOURCES if source.get(key) is not None]
    if source.get("fieldRef") is not None:
        found += field_ref(source["fieldRef"], f"{path}.fieldRef", _ENV_FIELDS)
    if source.get("resourceFieldRef") is not None:
        found += resource_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef", volume=False)
    for key in ("configMapKeyRef", "secretKeyRef"):
        if source.get(key) is not None:
            found += _key_ref(source[key], f"{path}.{key}")
    if not given:
        listed = ", ".join(f"`{key}`" for key in _SOURCES[:-1]) + f" or `{_SOURCES[-1]}`"
        found.append(fields.invalid(path, "", f"must specify one of: {listed}"))
    elif len(given) > 1 or variable.get("value"):
        text = (
            "may not have more than one field specified at a time"
            if len(given) > 1
            else "may not be specified when `value` is not empty"
        )
        found.append(fields.invalid(path, "", text))
    return found


def field_ref(reference: JSONObject, path: str, allowed: tuple[str, ...]) -> Problems:
    """As validateObjectFieldSelector."""
    if not reference.get("apiVersion"):
        return [fields.required(f"{path}.apiVersion")]
    field = reference.get("fieldPath", "")
    if not field:
        return [fields.required(f"{path}.fieldPath")]
    base, _, subscript = field.partition("['")
    if subscript:
        key = subscript.removesuffix("']")
        if base not in _SUBSCRIPTED:
            return [
                fields.invalid(f"{path}.fieldPath", field, "error converting fieldPath: does not support subscript")
            ]
        return named(names.qualified_name(key.lower() if base.endswith("annotations") else key), key, path)
    if field not in _KNOWN_FIELDS:
        text = f"error converting fieldPath: field label not supported: {field}"
        return [fields.invalid(f"{path}.fieldPath", field, text)]
    if field not in allowed:
        return [fields.not_supported(f"{path}.fieldPath", field, sorted(allowed))]
    return []


def resource_ref(reference: JSONObject, path: str, *, volume: bool) -> Problems:
    """As validateContainerResourceFieldSelector."""
    found: Problems = []
    if volume and not reference.get("containerName"):
        found.append(fields.required(f"{path}.containerName"))
    resource = reference.get("resource", "")
    if not resource:
        found.append(fields.required(f"{path}.resource"))
        return found
    if resource not in _ENV_RESOURCES and "hugepages-" not in resource:
        found.append(fields.not_supported(f"{path}.resource", resource, _ENV_RESOURCES))
    divisor = reference.get("divisor", "0")
    if divisor in ("0", ""):
        return found
    unit = "cpu" if resource.endswith(".cpu") else "memory"
    if divisor not in _DIVISORS[unit]:
        shown = "1m and 1" if unit == "cpu" else ", ".join(_DIVISORS["memory"])
        name = resource.partition(".")[2]
        text = f"only divisor's values {shown} are supported with the {name} resource"
        found.append(fields.invalid(f"{path}.divisor", resource, text))
    return found


def _key_ref(reference: JSONObject, path: str) -> Problems:
    found: Problems = []
    name, key = reference.get("name", ""), reference.get("key", "")
    found += named(names.dns_subdomain(name), name, f"{path}.name")
    found += named(names.config_key(key), key, f"{path}.key") if key else [fields.required(f"{path}.key")]
    return found


def env_from(listed: Any, path: str) -> Problems:
    """As ValidateEnvFrom."""
    found: Problems = []
    for index, source in enumerate(listed):
        at = f"{path}[{index}]"
        if source.get("prefix"):
            found += named(names.env_name(source["prefix"]), source["prefix"], f"{at}.prefix")
        given = [key for key in ("configMapRef", "secretRef") if source.get(key) is not None]
        for key in given:
            name = source[key].get("name", "")
            found += (
                named(names.dns_subdomain(name), name, f"{at}.{key}.name")
                if name
                else [fields.required(f"{at}.{key}.name")]
            )
        if not given:
            found.append(fields.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(fields.invalid(path, "", "may not have more than one field specified at a time"))
    return found
