"""The FlowSchemas and PriorityLevelConfigurations that every cluster has, as facts in a notation of a line each.

Owns the notation and how it becomes objects; never touches the store.
"""

from __future__ import annotations

import functools
from typing import Any

JSONObject = dict[str, Any]

VERSION = "flowcontrol.apiserver.k8s.io/v1"
GROUP = "flowcontrol.apiserver.k8s.io"

_LEVELS = """
exempt
catch-all 5 0
global-default 20 50 128 6 50
leader-election 10 0 16 4 50
node-high 40 25 64 6 50
system 30 33 64 6 50
workload-high 40 50 128 6 50
workload-low 100 90 128 6 50
"""
"""Name, concurrency shares, what may be lent in percent; then queues, hand size and queue length where it queues."""

_SCHEMAS = """
exempt exempt 1 - group:system:masters
  * * * every+cluster
  * /*
probes exempt 2 - group:system:unauthenticated group:system:authenticated
  get /healthz,/readyz,/livez
system-leader-election leader-election 100 ByUser user:system:kube-controller-manager user:system:kube-scheduler \
account:*
  get,create,update coordination.k8s.io leases every
endpoint-controller workload-high 150 ByUser user:system:kube-controller-manager account:endpoint-controller \
account:endpointslicemirroring-controller
  get,create,update core endpoints every
  get,create,update discovery.k8s.io endpointslices every
workload-leader-election leader-election 200 ByUser account:*
  get,create,update core endpoints,configmaps every
  get,create,update coordination.k8s.io leases every
system-node-high node-high 400 ByUser group:system:nodes
  * core nodes,nodes/status every+cluster
  * coordination.k8s.io leases every
system-nodes system 500 ByUser group:system:nodes
  * * * every+cluster
  * /*
kube-controller-manager workload-high 800 ByNamespace user:system:kube-controller-manager
  * * * every+cluster
  * /*
kube-scheduler workload-high 800 ByNamespace user:system:kube-scheduler
  * * * every+cluster
  * /*
kube-system-service-accounts workload-high 900 ByNamespace account:*
  * * * every+cluster
  * /*
service-accounts workload-low 9000 ByUser group:system:serviceaccounts
  * * * every+cluster
  * /*
global-default global-default 9900 ByUser group:system:unauthenticated group:system:authenticated
  * * * every+cluster
  * /*
catch-all catch-all 10000 ByUser group:system:unauthenticated group:system:authenticated
  * * * every+cluster
  * /*
"""
"""Name, level, precedence, distinguisher, subjects (accounts are of kube-system); then its rules."""


@functools.cache
def bootstrap() -> dict[str, list[JSONObject]]:
    """All of them by plural, levels before the schemas that name them."""
    levels = [_level(line.split(" ")) for line in _LEVELS.split("\n") if line]
    schemas: list[JSONObject] = []
    for line in _SCHEMAS.split("\n"):
        if line.startswith("  "):
            _add_rule(schemas[-1]["spec"]["rules"][0], line.split())
        elif line:
            schemas.append(_schema(line.split(" ")))
    return {"prioritylevelconfigurations": levels, "flowschemas": schemas}


def _metadata(name: str) -> JSONObject:
    return {"name": name, "generation": 1, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}


def _level(words: list[str]) -> JSONObject:
    name, *numbers = words
    spec: JSONObject
    if not numbers:
        spec = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    else:
        shares, lendable, *queuing = map(int, numbers)
        response: JSONObject = {"type": "Reject"}
        if queuing:
            names = ("queues", "handSize", "queueLengthLimit")
            response = {"type": "Queue", "queuing": dict(zip(names, queuing, strict=True))}
        limited = {"nominalConcurrencyShares": shares, "limitResponse": response, "lendablePercent": lendable}
        spec = {"type": "Limited", "limited": limited}
    return {
        "kind": "PriorityLevelConfiguration",
        "apiVersion": VERSION,
        "metadata": _metadata(name),
        "spec": spec,
        "status": {},
    }


def _schema(words: list[str]) -> JSONObject:
    name, level, precedence, distinguisher, *subjects = words
    spec: JSONObject = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": int(precedence)}
    if distinguisher != "-":
        spec["distinguisherMethod"] = {"type": distinguisher}
    spec["rules"] = [{"subjects": [_subject(word) for word in subjects]}]
    return {
        "kind": "FlowSchema",
        "apiVersion": VERSION,
        "metadata": _metadata(name),
        "spec": spec,
        "status": {"conditions": [found_condition(level)]},
    }


def found_condition(level: str) -> JSONObject:
    """What the status of a schema says whose level is there; the time is the writer's."""
    message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" and it exists'
    return {
        "type": "Dangling",
        "status": "False",
        "lastTransitionTime": None,
        "reason": "Found",
        "message": message,
    }


def _subject(word: str) -> JSONObject:
    kind, _, name = word.partition(":")
    match kind:
        case "user":
            return {"kind": "User", "user": {"name": name}}
        case "group":
            return {"kind": "Group", "group": {"name": name}}
        case _:
            return {"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}}


def _add_rule(rule: JSONObject, words: list[str]) -> None:
    verbs = words[0].split(",")
    if len(words) == 2:
        paths = [path if path != "/*" else "*" for path in words[1].split(",")]
        rule["nonResourceRules"] = [{"verbs": verbs, "nonResourceURLs": paths}]
        return
    groups = ["" if group == "core" else group for group in words[1].split(",")]
    resource: JSONObject = {"verbs": verbs, "apiGroups": groups, "resources": words[2].split(",")}
    if words[3].endswith("+cluster"):
        resource["clusterScope"] = True
    rule.setdefault("resourceRules", []).append({**resource, "namespaces": ["*"]})
