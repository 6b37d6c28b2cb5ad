"""What is wrong with roles and their bindings. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


def role(obj: JSONObject) -> Problems:
    """As ValidateRole and ValidateClusterRole."""
    namespaced = obj.get("kind") == "Role"
    found: Problems = []
    for index, rule in enumerate(obj.get("rules") or ()):
        found += _rule(rule, f"rules[{index}]", namespaced=namespaced)
    aggregation = obj.get("aggregationRule")
    if aggregation is None or namespaced:
        return found
    path, selectors = "aggregationRule.clusterRoleSelectors", aggregation.get("clusterRoleSelectors") or ()
    if not selectors:
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        found.append(fields.required(path, text))
    for index, selector in enumerate(selectors):
        found += checks.label_selector(selector, f"{path}[{index}]")
    return found


def _rule(rule: JSONObject, path: str, *, namespaced: bool) -> Problems:
    found: Problems = []
    if not rule.get("verbs"):
        found.append(fields.required(f"{path}.verbs", "verbs must contain at least one value"))
    urls, at = rule.get("nonResourceURLs") or [], f"{path}.nonResourceURLs"
    if urls:
        if namespaced:
            found.append(fields.invalid(at, urls, "namespaced rules cannot apply to non-resource URLs"))
        if any(rule.get(key) for key in ("apiGroups", "resources", "resourceNames")):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            found.append(fields.invalid(at, urls, text))
        return found
    if not rule.get("apiGroups"):
        text = "resource rules must supply at least one api group"
        found.append(fields.required(f"{path}.apiGroups", text))
    if not rule.get("resources"):
        text = "resource rules must supply at least one resource"
        found.append(fields.required(f"{path}.resources", text))
    return found


def binding(obj: JSONObject) -> Problems:
    """As ValidateRoleBinding and ValidateClusterRoleBinding."""
    namespaced = obj.get("kind") == "RoleBinding"
    reference = obj.get("roleRef") or {}
    found: Problems = []
    if reference.get("apiGroup", "") != GROUP:
        found.append(fields.not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), [GROUP]))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference.get("kind", "") not in kinds:
        found.append(fields.not_supported("roleRef.kind", reference.get("kind", ""), kinds))
    found += checks.path_segment(reference.get("name", ""), "roleRef.name")
    for index, subject in enumerate(obj.get("subjects") or ()):
        found += _subject(subject, f"subjects[{index}]", namespaced=namespaced)
    return found


def _subject(subject: JSONObject, path: str, *, namespaced: bool) -> Problems:
    found: Problems = []
    name, kind, group = subject.get("name", ""), subject.get("kind", ""), subject.get("apiGroup", "")
    if not name:
        found.append(fields.required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            found += named(names.dns_subdomain(name), name, f"{path}.name")
        if group:
            found.append(fields.not_supported(f"{path}.apiGroup", group, [""]))
        if not namespaced and not subject.get("namespace"):
            found.append(fields.required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            found.append(fields.not_supported(f"{path}.apiGroup", group, [GROUP]))
    else:
        found.append(fields.not_supported(f"{path}.kind", kind, _SUBJECTS))
    return found


def binding_update(new: JSONObject, old: JSONObject) -> Problems:
    """What a binding binds to is for life."""
    found = binding(new)
    after, before = new.get("roleRef") or {}, old.get("roleRef") or {}
    if after != before:
        order = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}
        shown = {go: after.get(key, "") for go, key in order.items()}
        found.append(fields.invalid("roleRef", checks.go_value(shown), "cannot change roleRef"))
    return found
