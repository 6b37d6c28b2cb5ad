"""What is wrong with a LimitRange or a ResourceQuota. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named
from kube_actors.apiserver.strategies.device_validation import is_extended_resource

_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_COUNTED = (
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
_QUOTA = frozenset(
    (*_COMPUTE, *_COUNTED, "requests.storage")
    + tuple(f"requests.{name}" for name in _COMPUTE)
    + tuple(f"limits.{name}" for name in _COMPUTE)
)
_STANDARD = _QUOTA | {"storage"}
_HUGE = ("hugepages-", "requests.hugepages-")
_POD_SCOPED = frozenset({"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_EXISTS_ONLY = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_SCOPES = (*_EXISTS_ONLY, "PriorityClass", "VolumeAttributesClass")
_CONFLICTS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def resource_name(name: str, path: str) -> Problems:
    """As validateResourceName: a qualified name, or one of Kubernetes' own."""
    found = named(names.qualified_name(name), name, path)
    if not found and "/" not in name and name not in _STANDARD and not name.startswith(_HUGE):
        found.append(fields.invalid(path, name, "must be a standard resource type or fully qualified"))
    return found


def _container_resource(name: str, path: str) -> Problems:
    found = resource_name(name, path)
    if "/" not in name:
        if name not in _COMPUTE and not name.startswith("hugepages-"):
            found.append(fields.invalid(path, name, "must be a standard resource for containers"))
    elif "kubernetes.io/" not in name and not is_extended_resource(name):
        found.append(fields.invalid(path, name, "doesn't follow extended resource name standard"))
    return found


def amount(name: str, value: str, path: str) -> Problems:
    """As ValidateResourceQuantityValue."""
    parsed = quantity.parse(value)
    found: Problems = []
    if parsed.sign < 0:
        found.append(fields.invalid(path, value, checks.NOT_NEGATIVE))
    if (name in _COUNTED or is_extended_resource(name)) and parsed.milli_value() % 1000:
        found.append(fields.invalid(path, value, "must be an integer"))
    return found


def limit_range(obj: JSONObject) -> Problems:
    """As ValidateLimitRange."""
    found: Problems = []
    seen: set[str] = set()
    for index, item in enumerate(obj["spec"].get("limits") or ()):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        found += _limit_type(kind, f"{path}.type")
        if kind in seen:
            found.append(fields.duplicate(f"{path}.type", kind))
        seen.add(kind)
        found += _limit_names(item, kind, path)
        for name in sorted(set(item.get("max") or ()) | set(item.get("min") or ()) | _rest(item)):
            found += _limit_values(item, name, path)
    return found


def _rest(item: JSONObject) -> set[str]:
    return {name for key in ("default", "defaultRequest", "maxLimitRequestRatio") for name in item.get(key) or ()}


def _limit_type(kind: str, path: str) -> Problems:
    found = named(names.qualified_name(kind), kind, path)
    if not found and "/" not in kind and kind not in _LIMIT_TYPES:
        found.append(fields.invalid(path, kind, "must be a standard limit type or fully qualified"))
    return found


def _limit_names(item: JSONObject, kind: str, path: str) -> Problems:
    check = _container_resource if kind in ("Pod", "Container") else resource_name
    found: Problems = []
    for key in ("max", "min"):
        for name in sorted(item.get(key) or ()):
            found += check(name, f"{path}.{key}[{name}]")
    for key in ("default", "defaultRequest"):
        if kind != "Pod":
            for name in sorted(item.get(key) or ()):
                found += check(name, f"{path}.{key}[{name}]")
        elif item.get(key):
            found.append(fields.forbidden(f"{path}.{key}", "may not be specified when `type` is 'Pod'"))
    bounds = (item.get("min") or {}).get("storage"), (item.get("max") or {}).get("storage")
    if kind == "PersistentVolumeClaim" and bounds == (None, None):
        text = "either minimum or maximum storage value is required, but neither was provided"
        found.append(fields.required(f"{path}.limits", text))
    for name in sorted(item.get("maxLimitRequestRatio") or ()):
        found += check(name, f"{path}.maxLimitRequestRatio[{name}]")
    return found


_ASKED = "defaultRequest"
_ORDERED = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    ("min", _ASKED, _ASKED, _ASKED, "min value {} is greater than default request value {}"),
    (_ASKED, "max", _ASKED, _ASKED, "default request value {} is greater than max value {}"),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)
"""What may not exceed what, at which field it is said, which of the amounts is shown, and the words."""


def _limit_values(item: JSONObject, name: str, path: str) -> Problems:
    """How the five amounts of one resource must stand to each other."""
    texts = {key: (item.get(key) or {}).get(name) for key in ("min", "max", "default", "defaultRequest")}
    ratio = (item.get("maxLimitRequestRatio") or {}).get(name)
    found: Problems = []

    for low, high, at, shown, lead in _ORDERED:
        less, more = texts[low], texts[high]
        if less is not None and more is not None and quantity.parse(less) > quantity.parse(more):
            text = lead.format(less, more)
            found.append(fields.invalid(f"{path}.{at}[{name}]", texts[shown], text))
    if ratio is not None:
        found += _ratio(ratio, texts, f"{path}.maxLimitRequestRatio[{name}]")
    asked, most = texts["defaultRequest"], texts["default"]
    fixed = "/" in name or name.startswith("hugepages-")
    if fixed and asked is not None and most is not None and quantity.parse(asked) != quantity.parse(most):
        text = f"default value {most} must equal to defaultRequest value {asked} in {name}"
        found.append(fields.invalid(f"{path}.defaultRequest[{name}]", asked, text))
    return found


def _ratio(ratio: str, texts: dict[str, str | None], path: str) -> Problems:
    found: Problems = []
    parsed = quantity.parse(ratio)
    if parsed < quantity.parse("1"):
        found.append(fields.invalid(path, ratio, f"ratio {ratio} is less than 1"))
    least, most = texts["min"], texts["max"]
    if least is not None and most is not None and quantity.parse(least).sign > 0:
        bound = quantity.parse(most).amount / quantity.parse(least).amount
        if parsed.amount > bound:
            text = f"ratio {ratio} is greater than max/min = {float(bound):f}"
            found.append(fields.invalid(path, ratio, text))
    return found


def _quota_name(name: str, path: str) -> Problems:
    found = resource_name(name, path)
    if "/" not in name and name not in _QUOTA and not name.startswith(_HUGE):
        found.append(fields.invalid(path, name, "must be a standard resource for quota"))
    return found


def quota(obj: JSONObject) -> Problems:
    """As ValidateResourceQuota."""
    spec = obj["spec"]
    found: Problems = []
    for name, value in sorted((spec.get("hard") or {}).items()):
        path = f"spec.hard[{name}]"
        found += _quota_name(name, path) + amount(name, value, path)
    return found + _scopes(spec) + _scope_selector(spec)


def _fits(scope: str, name: str) -> bool:
    """Whether a resource can be counted within a scope."""
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    return name in _POD_SCOPED


def _scopes(spec: JSONObject) -> Problems:
    scopes = spec.get("scopes") or []
    found: Problems = []
    for scope in scopes:
        if scope not in _SCOPES:
            found.append(fields.invalid("spec.scopes", scopes, "unsupported scope"))
            continue
        for name in sorted(spec.get("hard") or ()):
            if name in _QUOTA and not _fits(scope, name):
                text = "unsupported scope applied to resource"
                found.append(fields.invalid("spec.scopes", scopes, text))
    for one, other in _CONFLICTS:
        if one in scopes and other in scopes:
            found.append(fields.invalid("spec.scopes", scopes, "conflicting scopes"))
    return found


def _scope_selector(spec: JSONObject) -> Problems:
    selector = spec.get("scopeSelector")
    if selector is None:
        return []
    found: Problems = []
    path = "spec.scopeSelector.matchExpressions"
    items = selector.get("matchExpressions") or []
    shown = checks.go_value(
        {
            "MatchExpressions": [
                {
                    "ScopeName": item.get("scopeName", ""),
                    "Operator": item.get("operator", ""),
                    "Values": item.get("values"),
                }
                for item in items
            ]
            or None
        }
    )
    for item in items:
        scope, operator, values = item.get("scopeName", ""), item.get("operator", ""), item.get("values") or []
        if scope not in _SCOPES:
            found.append(fields.invalid(f"{path}.scopeName", scope, "unsupported scope"))
        else:
            for name in sorted(spec.get("hard") or ()):
                if name in _QUOTA and not _fits(scope, name):
                    found.append(fields.invalid(path, shown, "unsupported scope applied to resource"))
        found += _scope_operator(scope, operator, values, path)
    named_scopes = [item.get("scopeName") for item in items]
    for one, other in _CONFLICTS:
        if one in named_scopes and other in named_scopes:
            found.append(fields.invalid(path, spec.get("scopes"), "conflicting scopes"))
    return found


def _scope_operator(scope: str, operator: str, values: list[str], path: str) -> Problems:
    found: Problems = []
    if scope in _EXISTS_ONLY and operator != "Exists":
        text = (
            "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
            "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
            "ResourceQuotaScopeCrossNamespacePodAffinity"
        )
        found.append(fields.invalid(f"{path}.operator", operator, text))
    if operator in ("In", "NotIn"):
        if not values:
            text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            found.append(fields.required(f"{path}.values", text))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            found.append(fields.invalid(f"{path}.values", values, text))
    else:
        found.append(fields.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return found


def quota_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateResourceQuotaUpdate."""
    found = quota(new)
    after, before = new["spec"].get("scopes") or [], old["spec"].get("scopes") or []
    if set(after) != set(before):
        found.append(fields.invalid("spec.scopes", after or None, checks.IMMUTABLE))
    return found


def quota_status(new: JSONObject) -> Problems:
    """As ValidateResourceQuotaStatusUpdate."""
    found: Problems = []
    for key in ("hard", "used"):
        for name, value in sorted(((new.get("status") or {}).get(key) or {}).items()):
            path = f"status.{key}[{name}]"
            found += _quota_name(name, path) + amount(name, value, path)
    return found
