"""StorageObjectInUseProtection and DefaultStorageClass."""

from __future__ import annotations

from kube_actors.apiserver.admission.chain import Attempt, Step
from kube_actors.apiserver.memo import Memo

_FINALIZERS = {
    ("", "persistentvolumes"): "kubernetes.io/pv-protection",
    ("", "persistentvolumeclaims"): "kubernetes.io/pvc-protection",
    ("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}
_IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_IS_DEFAULT_BETA = "storageclass.beta.kubernetes.io/is-default-class"


class StorageObjectInUseProtection(Step):
    """What is in use is not deleted under its user: a finalizer says so from the start."""

    name = "StorageObjectInUseProtection"

    async def complete(self, attempt: Attempt) -> None:
        resource = attempt.call.kind.resource
        finalizer = _FINALIZERS.get((resource.group, resource.plural))
        if finalizer is None or attempt.operation != "CREATE" or attempt.obj is None or attempt.subresource:
            return
        finalizers = attempt.obj["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            finalizers.append(finalizer)


class DefaultStorageClass(Step):
    """A claim that names no class gets the default one, if there is one."""

    name = "DefaultStorageClass"

    def __init__(self) -> None:
        self._classes: Memo | None = None

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation != "CREATE" or not attempt.concerns("", "persistentvolumeclaims"):
            return
        claim = attempt.obj
        if claim is None or claim["spec"].get("storageClassName") is not None:
            return
        if self._classes is None:
            self._classes = Memo(attempt.call.core.store, "/registry/storage.k8s.io/storageclasses/")
        found = [
            storage_class["metadata"]
            for storage_class in await self._classes.read()
            if "true"
            in (
                (storage_class["metadata"].get("annotations") or {}).get(_IS_DEFAULT),
                (storage_class["metadata"].get("annotations") or {}).get(_IS_DEFAULT_BETA),
            )
        ]
        if found:
            newest = max(found, key=lambda metadata: (metadata["creationTimestamp"], metadata["name"]))
            claim["spec"]["storageClassName"] = newest["name"]
