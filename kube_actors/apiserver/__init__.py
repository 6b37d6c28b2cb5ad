"""The API server: requests as messages in, answers out; and its HTTP face."""

from __future__ import annotations

from kube_actors.apiserver.authn import Authenticator, Token
from kube_actors.apiserver.authz import Authorizer
from kube_actors.apiserver.server import APIServer

__all__ = ["APIServer", "Authenticator", "Authorizer", "Token"]
