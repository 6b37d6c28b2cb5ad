"""Secrets that hold a service account's token: filled for the account they name, and gone with it. Pure.

Owns Secrets of type kubernetes.io/service-account-token (the part "Manual Secret management for ServiceAccounts" of
Kubernetes' documentation). How a token is signed is handed in. Pods get bound tokens of their own, not these.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable

from msgspec import Struct, structs

from kube_actors.api.types.core_v1 import Secret, ServiceAccount

from .contract import NOTHING, Caches, Delete, Plan, Source, Update, own_key

SECRET_TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
CERTIFICATE, NAMESPACE, TOKEN = "ca.crt", "namespace", "token"
ACCOUNT_INDEX = "account"

Sign = Callable[[str, str, str, str], str]
"""Namespace, name and uid of an account and the name of its Secret, to a token."""


class Observed(Struct, frozen=True, kw_only=True):
    """A token Secret and the account that it names; None when there is none, or another one by now."""

    secret: Secret
    account: ServiceAccount | None
    root_ca: str
    sign: Sign


def plan(observed: Observed) -> Plan:
    secret, account = observed.secret, observed.account
    metadata = secret.metadata
    key = f"{metadata.namespace}/{metadata.name}"
    if account is None:
        gone = Delete(
            kind=Secret,
            key=key,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            tolerate=("NotFound", "Conflict"),
        )
        return Plan(actions=(gone,))
    data = dict(secret.data)
    if observed.root_ca:
        data[CERTIFICATE] = _encoded(observed.root_ca)
    data[NAMESPACE] = _encoded(metadata.namespace)
    if not data.get(TOKEN):
        name, uid = account.metadata.name, account.metadata.uid
        data[TOKEN] = _encoded(observed.sign(metadata.namespace, name, uid, metadata.name))
    annotations = {**metadata.annotations, ACCOUNT_UID: account.metadata.uid}
    if data == secret.data and annotations == metadata.annotations:
        return NOTHING
    changed = structs.replace(secret, data=data, metadata=structs.replace(metadata, annotations=annotations))
    return Plan(actions=(Update(obj=changed, tolerate=("NotFound",)),))


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _index_by_account(secret: Secret) -> tuple[str, ...]:
    name = secret.metadata.annotations.get(ACCOUNT_NAME)
    return (f"{secret.metadata.namespace}/{name}",) if name else ()


def _secrets_of(account: ServiceAccount, caches: Caches) -> list[str]:
    (key,) = own_key(account, caches)
    return [f"{s.metadata.namespace}/{s.metadata.name}" for s in caches.by_index(Secret, ACCOUNT_INDEX, key)]


class ServiceAccountTokens:
    """The service account token controller."""

    name = "serviceaccount-token-controller"
    component = "serviceaccount-token-controller"
    workers = 1

    def __init__(self, root_ca: str, sign: Sign) -> None:
        self._root_ca = root_ca
        self._sign = sign

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(
                kind=Secret,
                keys=own_key,
                indexes=((ACCOUNT_INDEX, _index_by_account),),
                field_selector=f"type={SECRET_TYPE}",
            ),
            Source(kind=ServiceAccount, keys=_secrets_of),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{secret.metadata.namespace}/{secret.metadata.name}" for secret in caches.list(Secret)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        secret = caches.get(Secret, key)
        if secret is None or secret.type != SECRET_TYPE or secret.metadata.deletion_timestamp is not None:
            return None
        name = secret.metadata.annotations.get(ACCOUNT_NAME, "")
        account = caches.get(ServiceAccount, f"{secret.metadata.namespace}/{name}")
        known = secret.metadata.annotations.get(ACCOUNT_UID, "")
        if account is not None and known and known != account.metadata.uid:
            account = None
        return Observed(secret=secret, account=account, root_ca=self._root_ca, sign=self._sign)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)
