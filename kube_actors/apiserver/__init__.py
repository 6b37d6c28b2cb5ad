"""The API server: requests as messages in, answers out; and its HTTP face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_actors._lazy import lazy_names
from kube_actors.apiserver.access.access import Access
from kube_actors.apiserver.authn import Authenticator, Token
from kube_actors.apiserver.authz import Authorizer
from kube_actors.apiserver.server import APIServer

if TYPE_CHECKING:
    from kube_actors.apiserver.listener import HttpFace, serve
    from kube_actors.apiserver.raw import RawAnswers

_LAZY = {"HttpFace": "listener", "serve": "listener", "RawAnswers": "raw"}
"""Who opens no socket pays for no HTTP, no TLS and no tables."""

__getattr__ = lazy_names(__name__, _LAZY)

__all__ = ["APIServer", "Access", "Authenticator", "Authorizer", "HttpFace", "RawAnswers", "Token", "serve"]
