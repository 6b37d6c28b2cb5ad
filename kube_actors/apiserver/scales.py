"""A workload's replicas as an autoscaling/v1 Scale. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import selectors

JSONObject = dict[str, Any]


def scale_of(obj: JSONObject) -> JSONObject:
    """The Scale of a workload."""
    metadata, spec = obj["metadata"], obj["spec"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: JSONObject = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    selector = selector_text(spec.get("selector"))
    if selector:
        status["selector"] = selector
    replicas = spec.get("replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def selector_text(selector: JSONObject | None) -> str:
    """A workload's selector in text form; a ReplicationController's is a plain map."""
    if not selector:
        return ""
    structured = "matchLabels" in selector or "matchExpressions" in selector
    labels = selector.get("matchLabels") or {} if structured else selector
    found = [selectors.Requirement(key, selectors.EQUALS, (value,)) for key, value in labels.items()]
    if structured:
        for item in selector.get("matchExpressions") or ():
            operator = _OPERATORS.get(item.get("operator", ""))
            if operator is not None:
                found.append(selectors.Requirement(item["key"], operator, tuple(item.get("values") or ())))
    return ",".join(str(requirement) for requirement in sorted(found, key=lambda r: r.key))


_OPERATORS = {
    "In": selectors.IN,
    "NotIn": selectors.NOT_IN,
    "Exists": selectors.EXISTS,
    "DoesNotExist": selectors.NOT_EXISTS,
}
