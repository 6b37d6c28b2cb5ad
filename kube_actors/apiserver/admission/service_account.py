"""ServiceAccount: every pod runs as one, and the one it names must exist.

The token volume is not mounted yet: no token is issued before the TokenRequest sub-resource is served.
"""

from __future__ import annotations

from kube_actors.api import errors
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
            raise errors.forbidden(
                "pods",
                call.name,
                f'error looking up service account {call.namespace}/{name}: serviceaccount "{name}" not found',
            )
        if not spec.get("imagePullSecrets"):
            secrets = encoding.decode(entry.value).get("imagePullSecrets")
            if secrets:
                spec["imagePullSecrets"] = secrets


class ServiceAccountName(Step):
    """Only the name is defaulted: for servers that nobody makes service accounts for."""

    name = "ServiceAccountName"

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation == "CREATE" and attempt.concerns("", "pods") and attempt.obj is not None:
            spec = attempt.obj["spec"]
            name = spec.get("serviceAccountName") or DEFAULT
            spec["serviceAccountName"] = spec["serviceAccount"] = name
