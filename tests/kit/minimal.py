"""A small valid object of every built-in kind that can be created, changed and deleted: bodies for tests of all kinds.

Owns the bodies. They name nothing that must be there before; names are given by the caller.
"""

from __future__ import annotations

from typing import Any

JSONObject = dict[str, Any]

_TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
_ONCE = {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}
_SELECTOR = {"matchLabels": {"app": "a"}}
_WORKLOAD = {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}}
_RULES = {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
_RBAC = "rbac.authorization.k8s.io"
_SUBJECTS = [{"kind": "User", "name": "u", "apiGroup": _RBAC}]
_CLIENT = {"url": "https://127.0.0.1:9/hook"}
_MATCH = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["podtemplates"]}
_WEBHOOK = {
    "name": "hook.example.com",
    "clientConfig": _CLIENT,
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "namespaceSelector": {"matchLabels": {"nobody": "here"}},
}
_POLICY = {"matchConstraints": {"resourceRules": [_MATCH], "namespaceSelector": {"matchLabels": {"nobody": "here"}}}}
_REQUEST = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"
_SCALE_TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
_DEVICES = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "example.com"}}]}}


def bodies() -> dict[str, JSONObject]:
    """Resource ("deployments.apps") to what stands in its object beside apiVersion, kind and metadata."""
    return {**_core(), **_workloads(), **_cluster(), **_policies()}


def _core() -> dict[str, JSONObject]:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    return {
        "configmaps": {"data": {"a": "b"}},
        "endpoints": {"subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]},
        "events": {"involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "type": "Normal"},
        "limitranges": {"spec": {"limits": [{"type": "Container", "max": {"cpu": "64"}}]}},
        "namespaces": {},
        "nodes": {},
        "persistentvolumeclaims": {"spec": claim},
        "persistentvolumes": {"spec": volume},
        "pods": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
        "podtemplates": {"template": _TEMPLATE},
        "replicationcontrollers": {"spec": {"selector": {"app": "a"}, "template": _TEMPLATE}},
        "resourcequotas": {"spec": {"hard": {"count/leases.coordination.k8s.io": "99"}}},
        "secrets": {"stringData": {"a": "b"}},
        "serviceaccounts": {},
        "services": {"spec": {"ports": [{"port": 80}]}},
    }


def _workloads() -> dict[str, JSONObject]:
    return {
        "controllerrevisions.apps": {"revision": 1, "data": {"a": 1}},
        "daemonsets.apps": _WORKLOAD,
        "deployments.apps": _WORKLOAD,
        "replicasets.apps": _WORKLOAD,
        "statefulsets.apps": {"spec": {**_WORKLOAD["spec"], "serviceName": "s"}},
        "horizontalpodautoscalers.autoscaling": {"spec": {"scaleTargetRef": _SCALE_TARGET, "maxReplicas": 3}},
        "cronjobs.batch": {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": _ONCE}}}},
        "jobs.batch": {"spec": {"template": _ONCE}},
        "leases.coordination.k8s.io": {"spec": {"holderIdentity": "me"}},
        "endpointslices.discovery.k8s.io": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}]},
        "events.events.k8s.io": {
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "example.com/c",
            "reportingInstance": "c-1",
            "action": "Test",
            "reason": "Tested",
            "type": "Normal",
            "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        },
        "ingresses.networking.k8s.io": {
            "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}},
        },
        "networkpolicies.networking.k8s.io": {"spec": {"podSelector": {}}},
        "poddisruptionbudgets.policy": {"spec": {"minAvailable": 1, "selector": _SELECTOR}},
        "resourceclaims.resource.k8s.io": {"spec": _DEVICES},
        "resourceclaimtemplates.resource.k8s.io": {"spec": {"spec": _DEVICES}},
    }


def _cluster() -> dict[str, JSONObject]:
    reference = {"group": "example.com", "resource": "things", "name": "t"}
    return {
        "clusterroles." + _RBAC: _RULES,
        "clusterrolebindings." + _RBAC: {
            "subjects": _SUBJECTS,
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "r"},
        },
        "roles." + _RBAC: _RULES,
        "rolebindings." + _RBAC: {
            "subjects": _SUBJECTS,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "r"},
        },
        "ingressclasses.networking.k8s.io": {"spec": {"controller": "example.com/c"}},
        "ipaddresses.networking.k8s.io": {"spec": {"parentRef": reference}},
        "servicecidrs.networking.k8s.io": {"spec": {"cidrs": ["10.200.0.0/24"]}},
        "csidrivers.storage.k8s.io": {"spec": {}},
        "csinodes.storage.k8s.io": {"spec": {"drivers": []}},
        "csistoragecapacities.storage.k8s.io": {"storageClassName": "s"},
        "storageclasses.storage.k8s.io": {"provisioner": "example.com/p"},
        "volumeattachments.storage.k8s.io": {
            "spec": {"attacher": "example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
        },
        "volumeattributesclasses.storage.k8s.io": {"driverName": "example.com", "parameters": {"a": "b"}},
        "priorityclasses.scheduling.k8s.io": {"value": 5},
        "runtimeclasses.node.k8s.io": {"handler": "h"},
        "deviceclasses.resource.k8s.io": {"spec": {}},
        "resourceslices.resource.k8s.io": {
            "spec": {"driver": "example.com", "nodeName": "n", "pool": {"name": "p", "resourceSliceCount": 1}}
        },
    }


def _policies() -> dict[str, JSONObject]:
    admission = "admissionregistration.k8s.io"
    flow = "flowcontrol.apiserver.k8s.io"
    level = {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}
    expression = {"expression": "Object{metadata: Object.metadata{labels: {'a': 'b'}}}"}
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": expression}
    mutating = {"spec": {**_POLICY, "reinvocationPolicy": "Never", "mutations": [mutation]}}
    return {
        f"mutatingadmissionpolicies.{admission}": mutating,
        f"mutatingadmissionpolicybindings.{admission}": {"spec": {"policyName": "p"}},
        f"mutatingwebhookconfigurations.{admission}": {"webhooks": [{**_WEBHOOK, "rules": [_MATCH]}]},
        f"validatingadmissionpolicies.{admission}": {"spec": {**_POLICY, "validations": [{"expression": "true"}]}},
        f"validatingadmissionpolicybindings.{admission}": {"spec": {"policyName": "p", "validationActions": ["Deny"]}},
        f"validatingwebhookconfigurations.{admission}": {"webhooks": [{**_WEBHOOK, "rules": [_MATCH]}]},
        f"flowschemas.{flow}": {"spec": {"priorityLevelConfiguration": {"name": "l"}, "matchingPrecedence": 9000}},
        f"prioritylevelconfigurations.{flow}": {"spec": level},
    }


NAMES = {
    "ipaddresses.networking.k8s.io": ("10.201.0.{}", ""),
    "csidrivers.storage.k8s.io": ("d{}.example.com", ""),
}
"""How names look where any name would not do."""


def name_of(resource: str, number: int) -> str:
    return NAMES.get(resource, ("one-{}", ""))[0].format(number)
