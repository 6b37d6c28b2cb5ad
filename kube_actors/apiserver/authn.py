"""Who asks: client certificates, bearer tokens, or nobody.

Owns which credentials are known and how they become a user. A credential that is wrong is a 401; none at all is the
anonymous user, whom authorization then judges. Verifying a certificate's chain is TLS's business; its dates are ours.
"""

from __future__ import annotations

import csv
import functools
import hmac
import io
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct, structs

from kube_actors.actors import Clock
from kube_actors.api import errors
from kube_actors.api.messages import ANONYMOUS, UserInfo

AUTHENTICATED = "system:authenticated"
BEARER = "bearer "
WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."


class Certificate(Protocol):
    """What authentication reads of a client certificate whose chain TLS has verified."""

    @property
    def common_name(self) -> str: ...

    @property
    def organizations(self) -> Sequence[str]: ...

    def valid_at(self, now: float) -> bool: ...


class Token(Struct, frozen=True):
    """A bearer token and whose it is."""

    secret: str
    user: UserInfo


class TokenFileError(ValueError):
    """A token file cannot be read; the text names the line."""


def read_tokens(text: str) -> list[Token]:
    """The tokens of a file as kube-apiserver's --token-auth-file: lines of token,user,uid[,"group,group"].

    Raises TokenFileError.
    """
    found = []
    for number, line in enumerate(csv.reader(io.StringIO(text), skipinitialspace=True), 1):
        if not line or line[0].startswith("#"):
            continue
        if len(line) < 3 or not all(line[:2]):
            raise TokenFileError(f"line {number}: expected token,user,uid and perhaps groups, got {len(line)} columns")
        groups = tuple(group.strip() for group in line[3].split(",")) if len(line) > 3 else ()
        user = UserInfo(name=line[1], uid=line[2], groups=tuple(group for group in groups if group))
        found.append(Token(line[0], user))
    return found


class Authenticator:
    """Tells the user from credentials. Tokens may be added while it runs (bootstrap tokens, for instance)."""

    def __init__(self, clock: Clock, tokens: Iterable[Token] = ()) -> None:
        self._clock = clock
        self._tokens: list[Token] = []
        for token in tokens:
            self.add(token)

    def add(self, token: Token) -> None:
        self._tokens.append(Token(token.secret, _authenticated(token.user)))  # one object for all its requests

    def authenticate(self, certificate: Certificate | None, authorization: str | None) -> UserInfo:
        """The user. Raises a 401 for a credential that is expired or unknown, as kube-apiserver does.

        A good certificate is enough; a bad one does not hinder a good token.
        """
        wrong = False
        if certificate is not None:
            if certificate.common_name and certificate.valid_at(self._clock.now()):
                return _of_certificate(certificate.common_name, tuple(certificate.organizations))
            wrong = True
        secret = bearer(authorization)
        if secret is not None:
            user = self._user_of(secret)
            if user is not None:
                return user
            wrong = True
        if wrong:
            raise errors.unauthorized()
        return ANONYMOUS

    def _user_of(self, secret: str) -> UserInfo | None:
        """Compared in constant time, all of them, so that the time tells nothing of a near miss."""
        offered = secret.encode()
        found: UserInfo | None = None
        for token in self._tokens:
            if hmac.compare_digest(token.secret.encode(), offered):
                found = token.user
        return found


def bearer(authorization: str | None) -> str | None:
    """The token in an Authorization header; None when there is none of this kind."""
    if authorization is None or authorization[: len(BEARER)].lower() != BEARER:
        return None
    return authorization[len(BEARER) :].strip()


@functools.lru_cache(maxsize=1024)
def _of_certificate(name: str, organizations: tuple[str, ...]) -> UserInfo:
    return _authenticated(UserInfo(name=name, groups=organizations))


def _authenticated(user: UserInfo) -> UserInfo:
    if AUTHENTICATED in user.groups:
        return user
    return structs.replace(user, groups=(*user.groups, AUTHENTICATED))
