"""The API server: requests as messages in, answers out; and its HTTP face."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kube_actors.apiserver.authn import Authenticator, Token
from kube_actors.apiserver.authz import Authorizer
from kube_actors.apiserver.server import APIServer

if TYPE_CHECKING:
    from kube_actors.apiserver.listener import HttpFace, serve
    from kube_actors.apiserver.raw import RawAnswers

_LAZY = {"HttpFace": "listener", "serve": "listener", "RawAnswers": "raw"}
"""Who opens no socket pays for no HTTP, no TLS and no tables."""


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


__all__ = ["APIServer", "Authenticator", "Authorizer", "HttpFace", "RawAnswers", "Token", "serve"]
