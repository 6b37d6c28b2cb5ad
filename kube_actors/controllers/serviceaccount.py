"""What every namespace is given: ServiceAccount `default`, and the ConfigMap with the cluster's root certificate.

Pure. A namespace that is going away gets nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct, structs

from kube_actors.api.types.core_v1 import ConfigMap, Namespace, ServiceAccount
from kube_actors.api.types.meta_v1 import ObjectMeta

from .contract import NOTHING, Caches, Create, Plan, Source, Update, own_key

DEFAULT_ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"
_DESCRIPTION = "kubernetes.io/description"
_TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
# Somebody else made it first, or the namespace began to go meanwhile: either way there is nothing left to do.
_TOLERATED = ("AlreadyExists", "NotFound")


class ObservedAccount(Struct, frozen=True, kw_only=True):
    namespace: Namespace
    exists: bool


class ObservedCertificate(Struct, frozen=True, kw_only=True):
    namespace: Namespace
    known: ConfigMap | None
    root_ca: str


def _is_leaving(namespace: Namespace) -> bool:
    return namespace.status.phase == "Terminating" or namespace.metadata.deletion_timestamp is not None


def plan_account(observed: ObservedAccount) -> Plan:
    if observed.exists or _is_leaving(observed.namespace):
        return NOTHING
    metadata = ObjectMeta(name=DEFAULT_ACCOUNT, namespace=observed.namespace.metadata.name)
    return Plan(actions=(Create(obj=ServiceAccount(metadata=metadata), tolerate=_TOLERATED),))


def plan_certificate(observed: ObservedCertificate) -> Plan:
    if _is_leaving(observed.namespace):
        return NOTHING
    data = {"ca.crt": observed.root_ca}
    known = observed.known
    if known is None:
        metadata = ObjectMeta(
            name=ROOT_CA, namespace=observed.namespace.metadata.name, annotations={_DESCRIPTION: _TEXT}
        )
        return Plan(actions=(Create(obj=ConfigMap(metadata=metadata, data=data), tolerate=_TOLERATED),))
    if known.data == data and known.metadata.annotations.get(_DESCRIPTION):
        return NOTHING
    annotations = {**known.metadata.annotations, _DESCRIPTION: _TEXT}
    metadata = structs.replace(known.metadata, annotations=annotations)
    return Plan(actions=(Update(obj=structs.replace(known, metadata=metadata, data=data)),))


def _namespace_if(name: str) -> Callable[[ServiceAccount | ConfigMap, Caches], tuple[str, ...]]:
    def keys(obj: ServiceAccount | ConfigMap, _: Caches) -> tuple[str, ...]:
        return (obj.metadata.namespace,) if obj.metadata.name == name else ()

    return keys


class ServiceAccounts:
    """The ServiceAccount controller."""

    name = "serviceaccount-controller"
    component = "serviceaccount-controller"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Namespace, keys=own_key),
            Source(kind=ServiceAccount, keys=_namespace_if(DEFAULT_ACCOUNT)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [namespace.metadata.name for namespace in caches.list(Namespace)]

    def observe(self, key: str, caches: Caches, now: float) -> ObservedAccount | None:
        namespace = caches.get(Namespace, key)
        if namespace is None:
            return None
        exists = caches.get(ServiceAccount, f"{key}/{DEFAULT_ACCOUNT}") is not None
        return ObservedAccount(namespace=namespace, exists=exists)

    def plan(self, observed: ObservedAccount) -> Plan:
        return plan_account(observed)


class RootCertificates:
    """The root CA certificate publisher. Without a certificate the ConfigMap is empty, but pods can mount it."""

    name = "root-ca-certificate-publisher-controller"
    component = "root-ca-certificate-publisher"
    workers = 1

    def __init__(self, root_ca: str) -> None:
        self._root_ca = root_ca

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Namespace, keys=own_key),
            Source(kind=ConfigMap, keys=_namespace_if(ROOT_CA), field_selector=f"metadata.name={ROOT_CA}"),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [namespace.metadata.name for namespace in caches.list(Namespace)]

    def observe(self, key: str, caches: Caches, now: float) -> ObservedCertificate | None:
        namespace = caches.get(Namespace, key)
        if namespace is None:
            return None
        known = caches.get(ConfigMap, f"{key}/{ROOT_CA}")
        return ObservedCertificate(namespace=namespace, known=known, root_ca=self._root_ca)

    def plan(self, observed: ObservedCertificate) -> Plan:
        return plan_certificate(observed)
