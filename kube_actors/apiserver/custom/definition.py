"""CustomResourceDefinition: what is defaulted, what an update keeps, how deletion begins.

Owns the strategy. What makes a definition valid is `checks` and `schema_checks`, loaded with the first definition.
"""

from __future__ import annotations

from typing import Any

from kube_actors.apiserver.custom.conditions import set_condition
from kube_actors.apiserver.strategies.base import Problems, Strategy

JSONObject = dict[str, Any]

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


class DefinitionStrategy(Strategy):
    """customresourcedefinitions.apiextensions.k8s.io."""

    generation = True
    unconditional_update = False

    def default(self, obj: JSONObject) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        if names.get("kind"):
            names.setdefault("singular", names["kind"].lower())
            names.setdefault("listKind", f"{names['kind']}List")
        conversion = spec.setdefault("conversion", {"strategy": "None"})
        if not conversion.get("strategy"):
            conversion["strategy"] = "None"
        client = (conversion.get("webhook") or {}).get("clientConfig") or {}
        if client.get("service"):
            client["service"].setdefault("port", 443)

    def prepare_create(self, obj: JSONObject) -> None:
        self._note_storage(obj)

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        self._note_storage(new)

    def _note_storage(self, obj: JSONObject) -> None:
        """Whatever version is written in is a stored version from then on."""
        status = obj["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            **(obj.get("status") or {}),
        }
        stored = list(status.get("storedVersions") or ())
        for version in obj["spec"].get("versions") or ():
            if version.get("storage") and version["name"] not in stored:
                stored.append(version["name"])
                break
        status["storedVersions"] = stored or None

    def validate_create(self, obj: JSONObject) -> Problems:
        from kube_actors.apiserver.custom import checks  # lazy: loaded with the first definition

        return checks.created(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        from kube_actors.apiserver.custom import checks  # lazy: as above

        return checks.updated(new, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        from kube_actors.apiserver.custom import checks  # lazy: as above

        return checks.status(new)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        from kube_actors.apiserver.custom import checks  # lazy: as above

        return checks.warnings(obj, old)

    def begins_deletion(self, obj: JSONObject, now: str) -> bool:
        """Mark a definition as going: its instances go first."""
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            return FINALIZER in metadata.get("finalizers", ())
        metadata["deletionTimestamp"] = now
        if FINALIZER not in metadata.get("finalizers", ()):
            metadata["finalizers"] = [*metadata.get("finalizers", ()), FINALIZER]
        text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
        set_condition(obj, "Terminating", "True", "InstanceDeletionPending", text, now)
        return True
