"""ServiceAccount: every pod runs as one, and the one it names must exist.

The token volume is not mounted yet: no token is issued before the TokenRequest sub-resource is served.
"""

from __future__ import annotations

from typing import Any

from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission.chain import Attempt, Step

MIRROR = "kubernetes.io/config.mirror"
DEFAULT = "default"


class ServiceAccount(Step):
    """See the module."""

    name = "ServiceAccount"

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation != "CREATE" or not attempt.concerns("", "pods") or attempt.obj is None:
            return
        pod, call = attempt.obj, attempt.call
        spec = pod["spec"]
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            return
        name = spec.get("serviceAccountName") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        entry = await call.core.store.get(f"/registry/core/serviceaccounts/{call.namespace}/{name}")
        if entry is None:
            raise attempt.forbidden(
                f'error looking up service account {call.namespace}/{name}: serviceaccount "{name}" not found',
            )
        if not spec.get("imagePullSecrets"):
            secrets = encoding.decode(entry.value).get("imagePullSecrets")
            if secrets:
                spec["imagePullSecrets"] = secrets

    async def check(self, attempt: Attempt) -> None:
        """A mirror pod only shows what a node runs by itself, so it may ask the API for nothing."""
        if attempt.operation != "CREATE" or not attempt.concerns("", "pods") or attempt.obj is None:
            return
        pod = attempt.obj
        if MIRROR not in (pod["metadata"].get("annotations") or {}):
            return
        spec = pod["spec"]
        if spec.get("serviceAccountName"):
            raise attempt.forbidden("a mirror pod may not reference service accounts")
        for kind, paths in _REFERENCES.items():
            if any(_mentions(spec, path) for path in paths):
                raise attempt.forbidden(f"a mirror pod may not reference {kind}")


_REFERENCES: dict[str, tuple[tuple[str, ...], ...]] = {
    "secrets": (("volumes", "secret"), ("containers", "env", "valueFrom", "secretKeyRef"),
                ("containers", "envFrom", "secretRef"), ("initContainers", "env", "valueFrom", "secretKeyRef"),
                ("initContainers", "envFrom", "secretRef"), ("volumes", "projected", "sources", "secret"),
                ("imagePullSecrets",)),
    "configmaps": (("volumes", "configMap"), ("containers", "env", "valueFrom", "configMapKeyRef"),
                   ("containers", "envFrom", "configMapRef"),
                   ("initContainers", "env", "valueFrom", "configMapKeyRef"),
                   ("initContainers", "envFrom", "configMapRef"), ("volumes", "projected", "sources", "configMap")),
    "persistentvolumeclaims": (("volumes", "persistentVolumeClaim"),),
    "serviceaccount tokens": (("volumes", "projected", "sources", "serviceAccountToken"),),
}  # fmt: skip
"""Where a pod names what, as paths that go through every element of a list."""


def _mentions(value: Any, path: tuple[str, ...]) -> bool:
    if isinstance(value, list):
        return any(_mentions(item, path) for item in value)
    if not path:
        return value is not None
    return isinstance(value, dict) and path[0] in value and _mentions(value[path[0]], path[1:])


class ServiceAccountName(Step):
    """Only the name is defaulted: for servers that nobody makes service accounts for."""

    name = "ServiceAccountName"

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation == "CREATE" and attempt.concerns("", "pods") and attempt.obj is not None:
            spec = attempt.obj["spec"]
            name = spec.get("serviceAccountName") or DEFAULT
            spec["serviceAccountName"] = spec["serviceAccount"] = name
