"""What is wrong with affinity, tolerations and topology spread. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NODE_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


def affinity(given: JSONObject, path: str) -> Problems:
    """Node affinity and both kinds of pod affinity."""
    found: Problems = []
    if given.get("nodeAffinity") is not None:
        found += _node_affinity(given["nodeAffinity"], f"{path}.nodeAffinity")
    for key in ("podAffinity", "podAntiAffinity"):
        if given.get(key) is not None:
            found += _pod_affinity(given[key], f"{path}.{key}")
    return found


def _node_affinity(given: JSONObject, path: str) -> Problems:
    found: Problems = []
    if given.get(_REQUIRED) is not None:
        found += node_selector(given[_REQUIRED], f"{path}.{_REQUIRED}")
    for index, item in enumerate(given.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        if not 1 <= item.get("weight", 0) <= 100:
            found.append(fields.invalid(f"{at}.weight", item.get("weight", 0), "must be in the range 1-100"))
        found += node_term(item.get("preference") or {}, f"{at}.preference")
    return found


def node_selector(selector: JSONObject, path: str) -> Problems:
    """As ValidateNodeSelector."""
    terms, at = selector.get("nodeSelectorTerms") or (), f"{path}.nodeSelectorTerms"
    if not terms:
        return [fields.required(at, "must have at least one node selector term")]
    found: Problems = []
    for index, term in enumerate(terms):
        found += node_term(term, f"{at}[{index}]")
    return found


def node_term(term: JSONObject, path: str) -> Problems:
    """As ValidateNodeSelectorTerm."""
    found: Problems = []
    for index, item in enumerate(term.get("matchExpressions") or ()):
        found += _node_requirement(item, f"{path}.matchExpressions[{index}]")
    for index, item in enumerate(term.get("matchFields") or ()):
        at = f"{path}.matchFields[{index}]"
        values = item.get("values") or ()
        if item.get("operator") in ("In", "NotIn"):
            if len(values) != 1:
                text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
                found.append(fields.required(f"{at}.values", text))
        else:
            text = "not a valid selector operator"
            found.append(fields.invalid(f"{at}.operator", item.get("operator", ""), text))
        if item.get("key") != "metadata.name":
            found.append(fields.invalid(f"{at}.key", item.get("key", ""), "not a valid field selector key"))
    return found


def _node_requirement(item: JSONObject, path: str) -> Problems:
    found: Problems = []
    operator, values, key = item.get("operator", ""), item.get("values") or [], item.get("key", "")
    if operator in ("In", "NotIn"):
        if not values:
            found.append(fields.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(fields.forbidden(f"{path}.values", text))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            found.append(fields.required(f"{path}.values", text))
    else:
        found.append(fields.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    found += named(names.qualified_name(key), key, f"{path}.key")
    for position, value in enumerate(values):
        found += named(names.label_value(value), value, f"{path}.values[{position}]")
    return found


def _pod_affinity(given: JSONObject, path: str) -> Problems:
    found: Problems = []
    for index, term in enumerate(given.get(_REQUIRED) or ()):
        found += _pod_term(term, f"{path}.{_REQUIRED}[{index}]")
    for index, item in enumerate(given.get(_PREFERRED) or ()):
        at = f"{path}.{_PREFERRED}[{index}]"
        weight = item.get("weight", 0)
        if not 1 <= weight <= 100:
            found.append(fields.invalid(f"{at}.weight", weight, "must be in the range 1-100"))
        found += _pod_term(item.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")
    return found


def _pod_term(term: JSONObject, path: str) -> Problems:
    found = checks.label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    found += checks.label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for key in ("matchLabelKeys", "mismatchLabelKeys"):
        found += _label_keys(term, key, path)
    for namespace in term.get("namespaces") or ():
        found += named(names.dns_label(namespace), namespace, f"{path}.namespace")
    key = term.get("topologyKey", "")
    if not key:
        found.append(fields.required(f"{path}.topologyKey", "can not be empty"))
    return found + named(names.qualified_name(key), key, f"{path}.topologyKey")


def tolerations(listed: Any, path: str) -> Problems:
    """As ValidateTolerations."""
    found: Problems = []
    for index, item in enumerate(listed):
        at = f"{path}[{index}]"
        key, operator, effect = item.get("key", ""), item.get("operator", ""), item.get("effect", "")
        value = item.get("value", "")
        if key:
            found += named(names.qualified_name(key), key, f"{at}.key")
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            found.append(fields.invalid(f"{at}.operator", operator, text))
        if item.get("tolerationSeconds") is not None and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            found.append(fields.invalid(f"{at}.effect", effect, text))
        if operator in ("Equal", ""):
            found += [fields.invalid(f"{at}.operator", value, text) for text in names.label_value(value)]
        elif operator == "Exists":
            if value:
                text = "value must be empty when `operator` is 'Exists'"
                found.append(fields.invalid(f"{at}.operator", value, text))
        else:
            found.append(fields.not_supported(f"{at}.operator", operator, ["Equal", "Exists"]))
        if effect and effect not in _EFFECTS:
            found.append(fields.not_supported(f"{at}.effect", effect, _EFFECTS))
    return found


def spread(listed: Any, path: str) -> Problems:
    """As validateTopologySpreadConstraints."""
    found: Problems = []
    seen: set[tuple[str, str]] = set()
    for index, item in enumerate(listed):
        at = f"{path}.topologySpreadConstraints[{index}]"
        skew, key = item.get("maxSkew", 0), item.get("topologyKey", "")
        if skew <= 0:
            found.append(fields.invalid(f"{at}.maxSkew", skew, "must be greater than 0"))
        if not key:
            found.append(fields.required(f"{at}.topologyKey", "can not be empty"))
        else:
            found += named(names.qualified_name(key), key, f"{at}.topologyKey")
        action = item.get("whenUnsatisfiable", "")
        if action not in ("DoNotSchedule", "ScheduleAnyway"):
            allowed = ("DoNotSchedule", "ScheduleAnyway")
            found.append(fields.not_supported(f"{at}.whenUnsatisfiable", action, allowed))
        if (key, action) in seen:
            found.append(fields.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        seen.add((key, action))
        least = item.get("minDomains")
        if least is not None:
            if least <= 0:
                found.append(fields.invalid(f"{at}.minDomains", least, "must be greater than 0"))
            if action != "DoNotSchedule":
                text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                found.append(fields.invalid(f"{at}.minDomains", least, text))
        found += _spread_policies(item, at)
        found += checks.label_selector(item.get("labelSelector"), f"{at}.labelSelector")
    return found


def _spread_policies(item: JSONObject, path: str) -> Problems:
    found: Problems = []
    for key in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        found += checks.one_of(item.get(key), ("Honor", "Ignore"), f"{path}.{key}")
    return found + _label_keys(item, "matchLabelKeys", path)


def _label_keys(item: JSONObject, key: str, path: str) -> Problems:
    """Labels of the pod itself that a selector is narrowed by."""
    listed = item.get(key) or ()
    if listed and item.get("labelSelector") is None:
        return [fields.forbidden(f"{path}.{key}", "must not be specified when labelSelector is not set")]
    found: Problems = []
    for index, name in enumerate(listed):
        found += named(names.qualified_name(name), name, f"{path}.{key}[{index}]")
    return found
