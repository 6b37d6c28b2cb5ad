"""What is wrong with claims for devices, their templates and device classes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.meta import annotations_problems, labels_problems
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

REQUESTS_MOST = 32
_SUB_REQUESTS_MOST = 8
_EXPRESSION_BYTES = 10 * 1024
_PARAMETERS_BYTES = 10 * 1024
_DRIVER_BYTES = 63
_RESERVED_MOST = 256
_NAME_BYTES, _DOMAIN_BYTES = 32, 63
_NOT_A_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
Requests = dict[str, set[str] | None]
Check = Callable[[Any, str], Problems]
Key = Callable[[Any], Any]


def each(
    listed: Sequence[Any], most: int, path: str, check: Check, key: Callable[[Any], Any] | None = None
) -> Problems:
    """Items one by one: not too many of them, and with a key no two alike."""
    found: Problems = []
    if most > 0 and len(listed) > most:
        found.append(fields.too_many(path, len(listed), most))
    seen: list[Any] = []
    for index, item in enumerate(listed):
        found += check(item, f"{path}[{index}]")
        if key is not None:
            name = key(item)
            if name in seen:
                found.append(fields.duplicate(f"{path}[{index}]", name))
            seen.append(name)
    return found


def driver_name(name: str, path: str) -> Problems:
    """As ValidateCSIDriverName: a subdomain in 63 bytes, whatever its case."""
    if not name:
        return [fields.required(path)]
    found: Problems = [] if len(name) <= _DRIVER_BYTES else [fields.too_long(path, _DRIVER_BYTES)]
    return found + named(names.dns_subdomain(name.lower()), name, path)


def claim(obj: JSONObject) -> Problems:
    """As ValidateResourceClaim."""
    return _claim_spec(obj["spec"], "spec")


def claim_template(obj: JSONObject) -> Problems:
    """As ValidateResourceClaimTemplate."""
    spec = obj["spec"]
    metadata = spec.get("metadata") or {}
    found: Problems = labels_problems(metadata.get("labels") or {}, "spec.metadata.labels")
    found += annotations_problems(metadata.get("annotations") or {}, "spec.metadata.annotations")
    return found + _claim_spec(spec.get("spec") or {}, "spec.spec")


def _claim_spec(spec: JSONObject, path: str) -> Problems:
    devices, path = spec.get("devices") or {}, f"{path}.devices"
    known = request_names(devices)
    found = each(
        devices.get("requests") or (), REQUESTS_MOST, f"{path}.requests", _request, lambda item: item.get("name", "")
    )
    found += each(
        devices.get("constraints") or (), REQUESTS_MOST, f"{path}.constraints", lambda c, at: _constraint(c, at, known)
    )
    return found + each(
        devices.get("config") or (), REQUESTS_MOST, f"{path}.config", lambda c, at: _claim_config(c, at, known)
    )


def request_names(devices: JSONObject) -> Requests:
    """The requests of a claim, and the sub-requests of those that have them."""
    found: Requests = {}
    for request in devices.get("requests") or ():
        alternatives = request.get("firstAvailable") or ()
        found[request.get("name", "")] = {item.get("name", "") for item in alternatives} if alternatives else None
    return found


def _request(request: JSONObject, path: str) -> Problems:
    name = request.get("name", "")
    found = named(names.dns_label(name), name, f"{path}.name")
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable") or ()
    if exactly is None and not alternatives:
        found.append(fields.required(path, _ONE_KIND))
    elif exactly is not None and alternatives:
        found.append(fields.invalid(path, None, f"{_ONE_KIND}, but multiple fields are set"))
    elif exactly is not None:
        found += _exact(exactly, f"{path}.exactly")
    else:
        found += each(
            alternatives,
            _SUB_REQUESTS_MOST,
            f"{path}.firstAvailable",
            _sub_request,
            lambda item: item.get("name", ""),
        )
    return found


def _sub_request(request: JSONObject, path: str) -> Problems:
    name = request.get("name", "")
    return named(names.dns_label(name), name, f"{path}.name") + _exact(request, path)


def _exact(request: JSONObject, path: str) -> Problems:
    name = request.get("deviceClassName", "")
    found: Problems = (
        named(names.dns_subdomain(name), name, f"{path}.deviceClassName")
        if name
        else [fields.required(f"{path}.deviceClassName")]
    )
    found += each(request.get("selectors") or (), REQUESTS_MOST, f"{path}.selectors", _selector)
    mode, count = request.get("allocationMode", ""), request.get("count", 0)
    if mode == "All":
        if count:
            text = "must not be specified when allocationMode is 'All'"
            found.append(fields.invalid(f"{path}.count", count, text))
    elif mode == "ExactCount":
        found += checks.greater_than_zero(count, f"{path}.count")
    else:
        found.append(fields.not_supported(f"{path}.allocationMode", mode, ["All", "ExactCount"]))
    for index, toleration in enumerate(request.get("tolerations") or ()):
        found += _toleration(toleration, f"{path}.tolerations[{index}]")
    return found


def _selector(selector: JSONObject, path: str) -> Problems:
    cel = selector.get("cel")
    if cel is None:
        return [fields.required(f"{path}.cel")]
    at, expression = f"{path}.cel.expression", cel.get("expression", "")
    if len(expression.encode()) > _EXPRESSION_BYTES:
        return [fields.too_long(at, _EXPRESSION_BYTES)]
    from kube_actors.cel import devices  # lazy: brings CEL

    wrong = devices.problem(expression)
    return [fields.invalid(at, expression, wrong)] if wrong else []


def _toleration(item: JSONObject, path: str) -> Problems:
    found: Problems = []
    key, operator, effect = item.get("key", ""), item.get("operator", ""), item.get("effect", "")
    if key:
        found += named(names.qualified_name(key), key, f"{path}.key")
    if operator == "Exists":
        if item.get("value"):
            text = "must be empty for operator `Exists`"
            found.append(fields.invalid(f"{path}.value", item["value"], text))
    elif operator == "Equal":
        found += named(names.label_value(item.get("value", "")), item.get("value", ""), f"{path}.value")
        if not key:
            found.append(fields.required(f"{path}.key", "must be set for operator `Equal`"))
    elif not operator:
        found.append(fields.required(f"{path}.operator"))
    else:
        found.append(fields.not_supported(f"{path}.operator", operator, ["Equal", "Exists"]))
    if effect and effect not in ("NoExecute", "NoSchedule", "None"):
        found.append(fields.not_supported(f"{path}.effect", effect, ["NoExecute", "NoSchedule", "None"]))
    return found


def qualified_name(name: str, path: str, *, domain: bool = False) -> Problems:
    """As validateQualifiedName: a C identifier, behind a domain where one is demanded or given."""
    head, slash, rest = name.partition("/")
    if not name:
        return [fields.required(path)]
    if not slash:
        if domain:
            return [fields.invalid(path, name, "must include a domain")]
        return _identifier(name, path)
    if "/" in rest:
        return [fields.invalid(path, name, "must be a fully qualified name: a domain and a name separated by a slash")]
    found: Problems = []
    if not head:
        found.append(fields.required(path, "the domain must not be empty"))
    else:
        if len(head) > _DOMAIN_BYTES:
            found.append(fields.too_long(path, _DOMAIN_BYTES))
        found += named(names.dns_subdomain(head), head, path)
    if not rest:
        return [*found, fields.required(path, "the name must not be empty")]
    return found + _identifier(rest, path)


def _identifier(name: str, path: str) -> Problems:
    found: Problems = [] if len(name) <= _NAME_BYTES else [fields.too_long(path, _NAME_BYTES)]
    return found + named(names.c_identifier(name), name, path)


def _constraint(given: JSONObject, path: str, known: Requests) -> Problems:
    found = _references(given.get("requests") or (), f"{path}.requests", known)
    for key in ("matchAttribute", "distinctAttribute"):
        if given.get(key) is not None:
            return found + qualified_name(given[key], f"{path}.{key}", domain=True)
    text = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    return [*found, fields.required(path, text)]


def _references(listed: Sequence[str], path: str, known: Requests) -> Problems:
    return each(listed, REQUESTS_MOST, path, lambda name, at: request_reference(name, at, known), lambda name: name)


def request_reference(name: str, path: str, known: Requests) -> Problems:
    """As validateRequestNameRef."""
    parts = name.split("/")
    if len(parts) > 2:
        return [fields.invalid(path, name, _NOT_A_REQUEST)]
    found: Problems = []
    for part in parts:
        found += named(names.dns_label(part), part, path)
    if parts[0] not in known or (len(parts) == 2 and parts[1] not in (known[parts[0]] or ())):
        found.append(fields.invalid(path, name, _NOT_A_REQUEST))
    return found


def _claim_config(config: JSONObject, path: str, known: Requests) -> Problems:
    return _references(config.get("requests") or (), f"{path}.requests", known) + _config(config, path)


def _config(config: JSONObject, path: str) -> Problems:
    opaque, path = config.get("opaque"), f"{path}.opaque"
    if opaque is None:
        return [fields.required(path)]
    found = driver_name(opaque.get("driver", ""), f"{path}.driver")
    parameters = opaque.get("parameters")
    if parameters is None:
        found.append(fields.required(f"{path}.parameters"))
    elif not isinstance(parameters, dict):
        text = "parameters must be a valid JSON object"
        found.append(fields.invalid(f"{path}.parameters", fields.go_json(parameters), text))
    elif len(fields.go_json(parameters)) > _PARAMETERS_BYTES:
        found.append(fields.too_long(f"{path}.parameters", _PARAMETERS_BYTES))
    return found


def device_class(obj: JSONObject, old: JSONObject | None = None) -> Problems:
    """As ValidateDeviceClass."""
    spec = obj.get("spec") or {}
    selectors = spec.get("selectors") or ()
    known = old is not None and selectors == ((old.get("spec") or {}).get("selectors") or ())
    found = [] if known else each(selectors, REQUESTS_MOST, "spec.selectors", _selector)
    found += each(spec.get("config") or (), REQUESTS_MOST, "spec.config", _config)
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended_resource(name):
        text = "must be a valid extended resource name"
        found.append(fields.invalid("spec.extendedResourceName", name, text))
    return found


def is_extended_resource(name: str) -> bool:
    """A resource that is not Kubernetes' own."""
    if "/" not in name or name.partition("/")[0].endswith("kubernetes.io") or name.startswith("requests."):
        return False
    return not names.qualified_name(f"requests.{name}")


def claim_status(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateResourceClaimStatusUpdate."""
    status, before = new.get("status") or {}, old.get("status") or {}
    reserved = status.get("reservedFor") or []
    path = "status.reservedFor"
    found = each(reserved, _RESERVED_MOST, path, _consumer, lambda item: item.get("uid", ""))
    allocation, had = status.get("allocation"), before.get("allocation")
    if reserved and allocation is None:
        found.append(fields.forbidden(path, "may not be specified when `allocated` is not set"))
    elif new["metadata"].get("deletionTimestamp") and any(
        item not in (before.get("reservedFor") or ()) for item in reserved
    ):
        text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        found.append(fields.forbidden(path, text))
    if allocation is not None and had is not None:
        return found + checks.immutable(allocation, had, "status.allocation")
    if allocation is not None:
        found += _results(allocation, request_names(new["spec"].get("devices") or {}))
    return found


def _consumer(item: JSONObject, path: str) -> Problems:
    return [fields.required(f"{path}.{key}") for key in ("resource", "name", "uid") if not item.get(key)]


def _results(allocation: JSONObject, known: Requests) -> Problems:
    def one(result: JSONObject, path: str) -> Problems:
        found = request_reference(result.get("request", ""), f"{path}.request", known)
        found += driver_name(result.get("driver", ""), f"{path}.driver")
        found += pool_name(result.get("pool", ""), f"{path}.pool")
        device = result.get("device", "")
        return found + named(names.dns_label(device), device, f"{path}.device")

    results = (allocation.get("devices") or {}).get("results") or ()
    return each(results, REQUESTS_MOST, "status.allocation.devices.results", one)


def pool_name(name: str, path: str) -> Problems:
    """Subdomains with slashes between them."""
    if not name:
        return [fields.required(path)]
    found: Problems = [] if len(name) <= names.SUBDOMAIN_LIMIT else [fields.too_long(path, names.SUBDOMAIN_LIMIT)]
    return found + _parts(name.split("/"), path)


def _parts(parts: Iterable[str], path: str) -> Problems:
    found: Problems = []
    for part in parts:
        found += named(names.dns_subdomain(part), part, path)
    return found
