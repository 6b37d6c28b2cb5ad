"""Everything about access that one API server has, in one place: its parts, made with a store and shared by its faces.

Owns the wiring only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.apiserver.access.flow import FlowControl
from kube_actors.apiserver.access.jwt import looks_signed
from kube_actors.apiserver.access.nodes import NodeJudge
from kube_actors.apiserver.access.rbac import Rbac
from kube_actors.apiserver.access.seeds import Seeds
from kube_actors.apiserver.access.tokens import Rejected, Tokens
from kube_actors.apiserver.authn import Authenticator, Certificate, bearer
from kube_actors.apiserver.authz import Authorizer
from kube_actors.apiserver.views import PrinterFor, no_printer
from kube_actors.store.contract import Store

if TYPE_CHECKING:
    from kube_actors.apiserver.access.audit import Audit


class TokenReviewed(Struct, frozen=True):
    """What is known of a token: whose it is, or why it is nobody's."""

    user: UserInfo | None = None
    audiences: tuple[str, ...] = ()
    error: str = ""


class Access:
    """Made once a store; it outlives restarts of the server."""

    def __init__(self, system: System, store: Store, *, token_key: Callable[[], bytes] | None = None) -> None:
        self.seeds = Seeds(system, store)
        self.rbac = Rbac(store, self.seeds.ensure)
        self.authorizer = Authorizer(NodeJudge(store), self.rbac, known=self.rbac.knows_allowed)
        self.audit: Audit | None = None
        self.flow = FlowControl(store, self.seeds)
        self.tokens = Tokens(system, store, token_key)
        self.authenticator = Authenticator(system.clock)
        self.printer_for: PrinterFor = no_printer
        """The tables of custom resources, as the server of the moment knows them."""

    async def authenticate(self, certificate: Certificate | None, authorization: str | None) -> UserInfo:
        """Whose request this is. Raises a 401 for a wrong credential."""
        try:
            return self.authenticator.authenticate(certificate, authorization)
        except ApiError as unknown:
            token = bearer(authorization)
            if not token or not looks_signed(token):
                raise
            try:
                verified = await self.tokens.verify(token)
            except Rejected:
                verified = None
            if verified is None:
                raise unknown from None
            return verified.user

    async def review_token(self, token: str, audiences: tuple[str, ...]) -> TokenReviewed:
        """Whose token this is, for whom it is meant to be good."""
        problem = ""
        try:
            verified = await self.tokens.verify(token, audiences)
            if verified is not None:
                return TokenReviewed(user=verified.user, audiences=verified.audiences)
        except Rejected as rejected:
            problem = str(rejected)
        try:
            user = self.authenticator.authenticate(None, f"Bearer {token}")
        except ApiError:
            unknown = "invalid bearer token"
            return TokenReviewed(error=f"[{unknown}, {problem}]" if problem else unknown)
        return TokenReviewed(user=user, audiences=audiences)
