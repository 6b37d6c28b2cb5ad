"""Service-account tokens: what is claimed in one, and whether what is claimed still holds.

Owns the claims (bound tokens, and the legacy ones that live in Secrets), their life and the checks against the store:
a token ends with its account, its pod, its secret or its node. The signature is `jwt`'s.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from kube_actors.actors import System
from kube_actors.api import time
from kube_actors.api.messages import Answer, UserInfo
from kube_actors.apiserver import encoding
from kube_actors.apiserver.access.jwt import BadToken, Signer, looks_signed
from kube_actors.apiserver.access.rbac import SERVICE_ACCOUNT
from kube_actors.store.contract import Store

JSONObject = dict[str, Any]

ISSUER = "https://kubernetes.default.svc"
LEGACY_ISSUER = "kubernetes/serviceaccount"
LEEWAY_SECONDS = 60
"""How long a token outlives the deletion of the object that it is bound to."""
EXTENDED_SECONDS = 365 * 24 * 3600
WARN_AFTER_SECONDS = 3607
"""Pods ask for this life in the volume that admission gives them; their token is good for longer, with a warning."""

_LEGACY = "kubernetes.io/serviceaccount/"
_EXTRA = "authentication.kubernetes.io/"
_BOUND = (("pod", "pods"), ("secret", "secrets"), ("node", "nodes"))


class Rejected(Exception):
    """A token of ours that is good no more; the text is told to TokenReviews."""


class Bound(Struct, frozen=True):
    """An object that a token is bound to: pod, secret or node."""

    kind: str
    name: str
    uid: str


class Verified(Struct, frozen=True):
    """Whose token it is and for whom it was made; `legacy` tokens are for everybody."""

    user: UserInfo
    audiences: tuple[str, ...]


class Tokens:
    """Makes and checks tokens for the service accounts of one store."""

    def __init__(self, system: System, store: Store, key_pem: Callable[[], bytes] | None = None) -> None:
        self.signer = Signer(key_pem)
        self.issuer = ISSUER
        self._clock = system.clock
        self._entropy = system.entropy.split("access/tokens")
        self._store = store

    def issue(
        self, account: JSONObject, audiences: tuple[str, ...], seconds: int, bound: tuple[Bound, ...], *, extend: bool
    ) -> str:
        """A token for a service account (its object); `extend` makes it good for a year, and remembers the warning."""
        now = int(self._clock.now())
        meta = account["metadata"]
        about: JSONObject = {"namespace": meta["namespace"]}
        for each in bound:
            about[each.kind] = {"name": each.name, "uid": each.uid}
        about["serviceaccount"] = {"name": meta["name"], "uid": meta["uid"]}
        if extend:
            about["warnafter"] = now + seconds
        claims = {
            "aud": list(audiences),
            "exp": now + (EXTENDED_SECONDS if extend else seconds),
            "iat": now,
            "iss": self.issuer,
            "jti": self._entropy.uuid(),
            "kubernetes.io": about,
            "nbf": now,
            "sub": f"{SERVICE_ACCOUNT}{meta['namespace']}:{meta['name']}",
        }
        return self.signer.sign(claims)

    def legacy(self, namespace: str, name: str, uid: str, secret: str) -> str:
        """The token for a Secret of type kubernetes.io/service-account-token."""
        return self.signer.sign(
            {
                "iss": LEGACY_ISSUER,
                f"{_LEGACY}namespace": namespace,
                f"{_LEGACY}secret.name": secret,
                f"{_LEGACY}service-account.name": name,
                f"{_LEGACY}service-account.uid": uid,
                "sub": f"{SERVICE_ACCOUNT}{namespace}:{name}",
            }
        )

    async def verify(self, token: str, audiences: tuple[str, ...] = ()) -> Verified | None:
        """Whose it is; None when it is none of ours. Raises Rejected for one of ours that is good no more."""
        if not looks_signed(token):
            return None
        try:
            claims = self.signer.verify(token)
        except BadToken:
            return None
        if claims.get("iss") == LEGACY_ISSUER:
            return await self._legacy(token, claims)
        if claims.get("iss") != self.issuer:
            return None
        return await self._current(claims, audiences or (self.issuer,))

    async def _current(self, claims: JSONObject, audiences: tuple[str, ...]) -> Verified:
        now = self._clock.now()
        if now > claims["exp"]:
            raise Rejected("service account token has expired")
        if now < claims["nbf"]:
            raise Rejected("service account token is not valid yet")
        made_for = tuple(each for each in audiences if each in claims["aud"])
        if not made_for:
            raise Rejected(f"token audiences {_go(claims['aud'])} is invalid for the target audiences {_go(audiences)}")
        about = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        await self._check_account(namespace, account["name"], account["uid"])
        extra: dict[str, tuple[str, ...]] = {f"{_EXTRA}credential-id": (f"JTI={claims['jti']}",)}
        for kind, plural in _BOUND:
            bound = about.get(kind)
            if bound is None:
                continue
            if kind != "node" or "pod" not in about:
                await self._check_bound(plural, "" if kind == "node" else namespace, bound)
            if kind != "secret":
                extra[f"{_EXTRA}{kind}-name"] = (bound["name"],)
                extra[f"{_EXTRA}{kind}-uid"] = (bound["uid"],)
        return Verified(user_of(namespace, account["name"], account["uid"], extra), made_for)

    async def _legacy(self, token: str, claims: JSONObject) -> Verified:
        namespace, name = claims[f"{_LEGACY}namespace"], claims[f"{_LEGACY}service-account.name"]
        uid, secret = claims[f"{_LEGACY}service-account.uid"], claims[f"{_LEGACY}secret.name"]
        entry = await self._store.get(f"/registry/core/secrets/{namespace}/{secret}")
        kept = (encoding.decode(entry.value).get("data") or {}).get("token", "") if entry is not None else ""
        try:
            same = base64.b64decode(kept) == token.encode()
        except binascii.Error:
            same = False
        if not same:
            raise Rejected("token has been invalidated")
        await self._check_account(namespace, name, uid)
        return Verified(user_of(namespace, name, uid, {}), ())

    async def _check_account(self, namespace: str, name: str, uid: str) -> None:
        entry = await self._store.get(f"/registry/core/serviceaccounts/{namespace}/{name}")
        if entry is None:
            raise Rejected(f'serviceaccounts "{name}" not found')
        meta = encoding.decode(entry.value)["metadata"]
        if self._is_gone(meta):
            raise Rejected("service account has been deleted")
        if meta["uid"] != uid:
            raise Rejected(f"service account UID ({meta['uid']}) does not match claim ({uid})")

    async def _check_bound(self, plural: str, namespace: str, bound: JSONObject) -> None:
        place = f"{namespace}/{bound['name']}" if namespace else bound["name"]
        entry = await self._store.get(f"/registry/core/{plural}/{place}")
        if entry is None:
            raise Rejected("service account token has been invalidated")
        meta = encoding.decode(entry.value)["metadata"]
        if self._is_gone(meta) or meta["uid"] != bound["uid"]:
            raise Rejected("service account token has been invalidated")

    def _is_gone(self, meta: JSONObject) -> bool:
        deleted = meta.get("deletionTimestamp")
        return deleted is not None and self._clock.now() > time.parse_time(deleted) + LEEWAY_SECONDS

    def pages(self, address: str) -> dict[str, Callable[[], Answer]]:
        """The documents with which others verify our tokens, by path."""

        def configuration() -> Answer:
            found = {
                "issuer": self.issuer,
                "jwks_uri": f"https://{address or 'kubernetes.default.svc'}/openid/v1/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
            return Answer(body=msgspec.json.encode(found), headers=_CACHED)

        def keys() -> Answer:
            body = msgspec.json.encode(self.signer.jwks())
            return Answer(body=body, content_type="application/jwk-set+json", headers=_CACHED)

        return {"/.well-known/openid-configuration": configuration, "/openid/v1/jwks": keys}


_CACHED = (("Cache-Control", "public, max-age=3600"),)


def user_of(namespace: str, name: str, uid: str, extra: dict[str, tuple[str, ...]]) -> UserInfo:
    """A service account as a user."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return UserInfo(name=f"{SERVICE_ACCOUNT}{namespace}:{name}", uid=uid, groups=groups, extra=extra)


def _go(values: Any) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
