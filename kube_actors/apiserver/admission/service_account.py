"""ServiceAccount: every pod runs as one, the one it names must exist, and its containers get its token as files.

Owns the volume with the token, the cluster's certificate and the namespace. The node fills it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission.chain import PODS, Attempt, JSONObject, Step

MIRROR = "kubernetes.io/config.mirror"
DEFAULT = "default"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
"""An hour and seven seconds: the odd number by which Kubernetes knows its own volumes."""
ROOT_CA = "kube-root-ca.crt"
_VOLUME = "kube-api-access-"


class ServiceAccount(Step):
    """See the module."""

    name = "ServiceAccount"
    only = PODS

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
        account = encoding.decode(entry.value)
        if wants_token(spec, account):
            mount_token(spec, call.core.system.entropy.suffix)
        if not spec.get("imagePullSecrets"):
            secrets = account.get("imagePullSecrets")
            if secrets:
                spec["imagePullSecrets"] = secrets

    async def check(self, attempt: Attempt) -> None:
        """A mirror pod only shows what a node runs by itself, so it may ask the API for nothing; an account may
        hold its pods to the secrets that it lists."""
        if attempt.operation != "CREATE" or not attempt.concerns("", "pods") or attempt.obj is None:
            return
        pod = attempt.obj
        if MIRROR not in (pod["metadata"].get("annotations") or {}):
            await _check_secrets(attempt, pod["spec"])
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


async def _check_secrets(attempt: Attempt, spec: JSONObject) -> None:
    """Only what the account lists, where it asks for that."""
    name = spec.get("serviceAccountName") or DEFAULT
    entry = await attempt.call.core.store.get(f"/registry/core/serviceaccounts/{attempt.namespace}/{name}")
    if entry is None or _ENFORCED not in entry.value:
        return
    account = encoding.decode(entry.value)
    if (account["metadata"].get("annotations") or {}).get(_ENFORCED.decode(), "").lower() not in ("true", "1", "t"):
        return
    listed = {secret.get("name") for secret in account.get("secrets") or ()}
    tail = f"is not allowed because service account {name} does not reference that"
    for where, secret in _secrets(spec):
        if secret not in listed:
            raise attempt.forbidden(f'{where} secret.secretName="{secret}" {tail} secret')
    pulled = {secret.get("name") for secret in account.get("imagePullSecrets") or ()}
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if secret.get("name") not in pulled:
            raise attempt.forbidden(f'imagePullSecrets[{index}].name="{secret.get("name")}" {tail} imagePullSecret')


_ENFORCED = b"kubernetes.io/enforce-mountable-secrets"


def _secrets(spec: JSONObject) -> Iterator[tuple[str, str]]:
    """Every secret that a pod names, with where it does."""
    for volume in spec.get("volumes") or ():
        if volume.get("secret") is not None:
            yield "volume with", volume["secret"].get("secretName", "")
    for title, key in (("init container", "initContainers"), ("container", "containers")):
        for container in spec.get(key) or ():
            for env in container.get("env") or ():
                found = (env.get("valueFrom") or {}).get("secretKeyRef")
                if found is not None:
                    where = f"{title} {container['name']} with envVar {env.get('name', '')} referencing"
                    yield where, found.get("name", "")
            for env in container.get("envFrom") or ():
                if env.get("secretRef") is not None:
                    yield f"{title} {container['name']} with envFrom referencing", env["secretRef"].get("name", "")


def _mentions(value: Any, path: tuple[str, ...]) -> bool:
    if isinstance(value, list):
        return any(_mentions(item, path) for item in value)
    if not path:
        return value is not None
    return isinstance(value, dict) and path[0] in value and _mentions(value[path[0]], path[1:])


def wants_token(spec: JSONObject, account: JSONObject) -> bool:
    """The pod's own word counts, then its account's."""
    asked = spec.get("automountServiceAccountToken")
    return bool(account.get("automountServiceAccountToken", True) if asked is None else asked)


def mount_token(spec: JSONObject, suffix: Callable[[], str]) -> None:
    """Give every container that mounts nothing of its own there the volume; suffix makes its name unique."""
    volumes = spec.get("volumes") or []
    known = next((volume["name"] for volume in volumes if volume["name"].startswith(_VOLUME)), None)
    name = known or _VOLUME + suffix()
    used = False
    for key in ("initContainers", "containers"):
        for container in spec.get(key) or ():
            mounts = container.get("volumeMounts") or []
            if all(mount.get("mountPath") != TOKEN_PATH for mount in mounts):
                container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}]
                used = True
    if used and known is None:
        spec["volumes"] = [*volumes, {"name": name, "projected": {"sources": _sources(), "defaultMode": 420}}]


def _sources() -> list[JSONObject]:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]


class ServiceAccountName(Step):
    """Only the name is defaulted: for servers that nobody makes service accounts for."""

    name = "ServiceAccountName"
    only = PODS

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation == "CREATE" and attempt.concerns("", "pods") and attempt.obj is not None:
            spec = attempt.obj["spec"]
            name = spec.get("serviceAccountName") or DEFAULT
            spec["serviceAccountName"] = spec["serviceAccount"] = name
