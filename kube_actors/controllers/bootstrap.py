"""Bootstrap tokens: expired ones are removed, and the others sign what a joining node has to trust. Pure.

Two controllers, both off unless named, as upstream's: the cleaner of Secrets of type bootstrap.kubernetes.io/token, and
the signer of ConfigMap kube-public/cluster-info, which puts one detached signature a token beside its kubeconfig.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256

from msgspec import Struct, structs

from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import ConfigMap, Secret

from .contract import NOTHING, Caches, Delete, Plan, Source, Update, own_key

SECRET_TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"
PREFIX = "bootstrap-token-"
CLUSTER_INFO = "kube-public/cluster-info"
KUBECONFIG = "kubeconfig"
SIGNATURE = "jws-kubeconfig-"
_ID = re.compile(r"[a-z0-9]{6}")
_SECRET = re.compile(r"[a-z0-9]{16}")


class BootstrapToken(Secret, frozen=True, kw_only=True):
    """A Secret by another name: these are watched apart from those of service accounts."""


class ClusterInfo(ConfigMap, frozen=True, kw_only=True):
    """The one ConfigMap that is watched here."""


TOKENS = Source(kind=BootstrapToken, field_selector=f"type={SECRET_TYPE}")


def field(secret: Secret, name: str) -> str:
    """A field of a token, as text; "" when it is not there or no text."""
    try:
        return b64decode(secret.data.get(name, "")).decode()
    except ValueError:
        return ""


def seconds_left(secret: Secret, now: float) -> float | None:
    """How long a token is good for; None for ever, nothing where its end cannot be read."""
    text = field(secret, "expiration")
    if not text:
        return None
    try:
        return max(0.0, parse_time(text) - now)
    except ValueError:
        return 0.0


# Cleaning


class ObservedToken(Struct, frozen=True):
    secret: Secret
    now: float


def plan_token(observed: ObservedToken) -> Plan:
    """Delete it when it has expired, else look again when it does."""
    secret = observed.secret
    left = seconds_left(secret, observed.now)
    if left is None:
        return NOTHING
    if left > 0:
        return Plan(requeue_after=left)
    key = f"{secret.metadata.namespace}/{secret.metadata.name}"
    return Plan(actions=(Delete(kind=Secret, key=key, uid=secret.metadata.uid, tolerate=("NotFound", "Conflict")),))


class TokenCleaner:
    """The token cleaner."""

    name = "token-cleaner-controller"
    component = "token-cleaner"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (structs.replace(TOKENS, keys=own_key),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{one.metadata.namespace}/{one.metadata.name}" for one in caches.list(BootstrapToken)]

    def observe(self, key: str, caches: Caches, now: float) -> ObservedToken | None:
        secret = caches.get(BootstrapToken, key)
        if secret is None or secret.type != SECRET_TYPE or secret.metadata.namespace != NAMESPACE:
            return None
        return ObservedToken(secret, now)

    def plan(self, observed: ObservedToken) -> Plan:
        return plan_token(observed)


# Signing


class ObservedInfo(Struct, frozen=True):
    """cluster-info, and what signs it: a token's id to its secret."""

    info: ConfigMap
    tokens: dict[str, str]
    look_in: float | None = None


def signing_tokens(secrets: Iterable[Secret], now: float) -> tuple[dict[str, str], float | None]:
    """The tokens that may sign now, and when the first of them expires."""
    found: dict[str, str] = {}
    ends: list[float] = []
    for secret in secrets:
        identity, text = field(secret, "token-id"), field(secret, "token-secret")
        left = seconds_left(secret, now)
        if (
            secret.type == SECRET_TYPE
            and secret.metadata.namespace == NAMESPACE
            and secret.metadata.name == PREFIX + identity
            and _ID.fullmatch(identity)
            and _SECRET.fullmatch(text)
            and field(secret, "usage-bootstrap-signing") == "true"
            and left != 0.0
        ):
            found[identity] = text
            if left is not None:
                ends.append(left)
    return found, min(ends, default=None)


def signature(content: str, identity: str, secret: str) -> str:
    """A JSON Web Signature (HS256) without its payload."""
    header = _encoded(json.dumps({"alg": "HS256", "kid": identity}, separators=(",", ":")).encode())
    signed = hmac.new(secret.encode(), f"{header}.{_encoded(content.encode())}".encode(), sha256).digest()
    return f"{header}..{_encoded(signed)}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def plan_info(observed: ObservedInfo) -> Plan:
    info = observed.info
    content = info.data.get(KUBECONFIG)
    if content is None:
        return NOTHING
    data = {key: value for key, value in info.data.items() if not key.startswith(SIGNATURE)}
    data |= {SIGNATURE + name: signature(content, name, secret) for name, secret in observed.tokens.items()}
    if data == info.data:
        return Plan(requeue_after=observed.look_in)
    changed = structs.replace(info, data=data)
    return Plan(actions=(Update(obj=changed, tolerate=("NotFound", "Conflict")),), requeue_after=observed.look_in)


class BootstrapSigner:
    """The bootstrap signer."""

    name = "bootstrap-signer-controller"
    component = "bootstrap-signer"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        selector = f"metadata.name={CLUSTER_INFO.partition('/')[2]}"
        return (
            structs.replace(TOKENS, keys=_always),
            Source(kind=ClusterInfo, keys=_always, field_selector=selector),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return (CLUSTER_INFO,)

    def observe(self, key: str, caches: Caches, now: float) -> ObservedInfo | None:
        info = caches.get(ClusterInfo, CLUSTER_INFO)
        if info is None:
            return None
        tokens, look_in = signing_tokens(caches.list(BootstrapToken), now)
        return ObservedInfo(info, tokens, look_in)

    def plan(self, observed: ObservedInfo) -> Plan:
        return plan_info(observed)


def _always(_: object, __: Caches) -> tuple[str, ...]:
    return (CLUSTER_INFO,)
