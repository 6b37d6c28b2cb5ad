"""Namespace: finalised in two steps, labelled with its own name."""

from __future__ import annotations

from kube_actors.api import names
from kube_actors.apiserver.strategies import object_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy

NAME_LABEL = "kubernetes.io/metadata.name"


class NamespaceStrategy(Strategy):
    """See the module."""

    field_complaint = "field label not supported: {field}"
    selectable: Selectable = {
        "status.phase": lambda obj: str((obj.get("status") or {}).get("phase", "")),
        "name": lambda obj: str(obj["metadata"].get("name", "")),
    }

    def name_problems(self, name: str) -> list[str]:
        return names.dns_label(name)

    def default(self, obj: JSONObject) -> None:
        metadata = obj["metadata"]
        if metadata.get("name"):
            metadata.setdefault("labels", {})[NAME_LABEL] = metadata["name"]

    def prepare_create(self, obj: JSONObject) -> None:
        obj["status"] = {"phase": "Active"}
        finalizers = obj["spec"].setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        self.default(obj)

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        new["spec"] = old["spec"]

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.namespace_status(new)
