"""StorageObjectInUseProtection, DefaultStorageClass and PersistentVolumeClaimResize."""

from __future__ import annotations

from kube_actors.api import quantity
from kube_actors.api.quantity import Quantity
from kube_actors.apiserver.admission.chain import Attempt, JSONObject, Step

_CLASSES = "/registry/storage.k8s.io/storageclasses/"

_FINALIZERS = {
    ("", "persistentvolumes"): "kubernetes.io/pv-protection",
    ("", "persistentvolumeclaims"): "kubernetes.io/pvc-protection",
    ("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}
_CLAIMS = frozenset({("", "persistentvolumeclaims")})
_IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_IS_DEFAULT_BETA = "storageclass.beta.kubernetes.io/is-default-class"


class StorageObjectInUseProtection(Step):
    """What is in use is not deleted under its user: a finalizer says so from the start."""

    name = "StorageObjectInUseProtection"
    only = frozenset(_FINALIZERS)

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
    only = _CLAIMS

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation != "CREATE" or not attempt.concerns("", "persistentvolumeclaims"):
            return
        claim = attempt.obj
        if claim is None or claim["spec"].get("storageClassName") is not None:
            return
        found = [
            storage_class["metadata"]
            for storage_class in (await attempt.call.core.mirrors.of(_CLASSES).read()).values()
            if "true"
            in (
                (storage_class["metadata"].get("annotations") or {}).get(_IS_DEFAULT),
                (storage_class["metadata"].get("annotations") or {}).get(_IS_DEFAULT_BETA),
            )
        ]
        if found:
            newest = max(found, key=lambda metadata: (metadata["creationTimestamp"], metadata["name"]))
            claim["spec"]["storageClassName"] = newest["name"]


class PersistentVolumeClaimResize(Step):
    """A claim grows only while it is bound and its class allows it."""

    name = "PersistentVolumeClaimResize"
    only = _CLAIMS

    async def check(self, attempt: Attempt) -> None:
        if attempt.operation != "UPDATE" or not attempt.concerns("", "persistentvolumeclaims"):
            return
        new, old = attempt.obj, attempt.old
        if new is None or old is None or _storage(new) <= _storage(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise attempt.forbidden("Only bound persistent volume claims can be expanded")
        name = _class_name(new)
        if name and name == _class_name(old):
            known = await attempt.call.core.mirrors.of(_CLASSES).read()
            if (known.get(name) or {}).get("allowVolumeExpansion"):
                return
        raise attempt.forbidden(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
            "support resize"
        )


def _storage(claim: JSONObject) -> Quantity:
    return quantity.parse(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def _class_name(claim: JSONObject) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    return annotations.get("volume.beta.kubernetes.io/storage-class") or claim["spec"].get("storageClassName") or ""
