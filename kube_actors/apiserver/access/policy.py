"""The bootstrap policy as objects: reads the notation of `policy_roles` once somebody needs them.

Owns how the notation becomes rules, roles and bindings; never touches the store.
"""

from __future__ import annotations

import functools
from typing import Any

from kube_actors.apiserver.access import policy_controllers, policy_roles

JSONObject = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
VERSION = f"{GROUP}/v1"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
LABEL = ("kubernetes.io/bootstrapping", "rbac-defaults")
CONTROLLER = "system:controller:"

_WORDS = {
    "READ": ("get", "list", "watch"),
    "WRITE": ("create", "delete", "deletecollection", "patch", "update"),
}
_EVENTS = "create,patch,update core,events.k8s.io events"


@functools.cache
def bootstrap() -> dict[str, list[JSONObject]]:
    """All of them by plural, roles before the bindings that name them."""
    roles = [_cluster_role(name, words, rules) for name, words, rules in _read(policy_roles.CLUSTER_ROLES)]
    bindings = [_binding(line) for line in policy_roles.CLUSTER_ROLE_BINDINGS.split("\n") if line]
    for name, _, rules in _read(policy_controllers.CONTROLLER_ROLES):
        roles.append(_cluster_role(CONTROLLER + name, [], rules))
        bindings.append(_binding(f"{CONTROLLER}{name} account:kube-system/{name}"))
    return {
        "clusterroles": roles,
        "clusterrolebindings": bindings,
        "roles": [_namespaced_role(name, rules) for name, _, rules in _read(policy_roles.NAMESPACE_ROLES)],
        "rolebindings": list(map(_namespaced_binding, filter(None, policy_roles.NAMESPACE_ROLE_BINDINGS.split("\n")))),
    }


@functools.cache
def node_rules() -> list[JSONObject]:
    """What the role system:node grants: the node authorizer's frame."""
    return next(role["rules"] for role in bootstrap()["clusterroles"] if role["metadata"]["name"] == "system:node")


def _read(text: str) -> list[tuple[str, list[str], list[JSONObject]]]:
    """Each role of a notation: name, the further words of its line, rules."""
    found: list[tuple[str, list[str], list[JSONObject]]] = []
    for line in text.split("\n"):
        if line.startswith("  "):
            found[-1][2].append(_rule(_EVENTS if line == "  EVENTS" else line.strip()))
        elif line:
            name, *words = line.split(" ")
            found.append((name, words, []))
    return found


def _rule(line: str) -> JSONObject:
    verbs, *rest = line.split(" ")
    expanded = sorted(verb for word in verbs.split(",") for verb in _WORDS.get(word, (word,)))
    if len(rest) == 1:
        return {"verbs": expanded, "nonResourceURLs": rest[0].split(",")}
    groups = ["" if group == "core" else group for group in rest[0].split(",")]
    rule: JSONObject = {"verbs": expanded, "apiGroups": groups, "resources": rest[1].split(",")}
    if len(rest) == 3:
        rule["resourceNames"] = rest[2].removeprefix("=").split(",")
    return rule


def _metadata(name: str, namespace: str = "") -> JSONObject:
    place = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {**place, "labels": {LABEL[0]: LABEL[1]}, "annotations": {AUTOUPDATE: "true"}}


def _cluster_role(name: str, words: list[str], rules: list[JSONObject]) -> JSONObject:
    role: JSONObject = {"kind": "ClusterRole", "apiVersion": VERSION, "metadata": _metadata(name), "rules": rules}
    for word in words:
        label = f"rbac.authorization.k8s.io/aggregate-to-{word.removeprefix('<-')}"
        if word.startswith("<-"):
            role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}
            role["rules"] = None
        else:
            role["metadata"]["labels"][label] = "true"
    return role


def _namespaced_role(place: str, rules: list[JSONObject]) -> JSONObject:
    namespace, _, name = place.partition("/")
    return {"kind": "Role", "apiVersion": VERSION, "metadata": _metadata(name, namespace), "rules": rules}


def _binding(line: str) -> JSONObject:
    name, *subjects = line.split(" ")
    return {
        "kind": "ClusterRoleBinding",
        "apiVersion": VERSION,
        "metadata": _metadata(name),
        **_subjects(subjects),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
    }


def _namespaced_binding(line: str) -> JSONObject:
    place, role, *subjects = line.split(" ")
    namespace, _, name = place.partition("/")
    return {
        "kind": "RoleBinding",
        "apiVersion": VERSION,
        "metadata": _metadata(name, namespace),
        **_subjects(subjects),
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": role},
    }


def _subjects(words: list[str]) -> JSONObject:
    return {"subjects": [_subject(word) for word in words]} if words else {}


def _subject(word: str) -> JSONObject:
    kind, _, name = word.partition(":")
    if kind == "account":
        namespace, _, account = name.partition("/")
        return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return {"kind": kind.capitalize(), "apiGroup": GROUP, "name": name}
