"""Everything about access that one API server has, in one place: its parts, made with a store and shared by its faces.

Owns the wiring only.
"""

from __future__ import annotations

from msgspec import Struct

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.apiserver.access.rbac import Rbac
from kube_actors.apiserver.access.seeds import Seeds
from kube_actors.apiserver.authn import Authenticator
from kube_actors.apiserver.authz import Authorizer
from kube_actors.store.contract import Store


class TokenReviewed(Struct, frozen=True):
    """What is known of a token: whose it is, or why it is nobody's."""

    user: UserInfo | None = None
    audiences: tuple[str, ...] = ()
    error: str = ""


class Access:
    """Made once a store; it outlives restarts of the server."""

    def __init__(self, system: System, store: Store) -> None:
        self.seeds = Seeds(system, store)
        self.rbac = Rbac(store, self.seeds.ensure)
        self.authorizer = Authorizer(self.rbac)
        self.authenticator = Authenticator(system.clock)

    async def review_token(self, token: str, audiences: tuple[str, ...]) -> TokenReviewed:
        """Whose token this is, for whom it is meant to be good."""
        try:
            user = self.authenticator.authenticate(None, f"Bearer {token}")
        except ApiError:
            return TokenReviewed(error="invalid bearer token")
        return TokenReviewed(user=user, audiences=audiences)
