"""Sub-resources that do more than write a part of their object. status needs no entry: it is an ordinary write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver.core import Call

Serve = Callable[[Call], Awaitable[AnyAnswer]]

SUBRESOURCES: dict[tuple[str, str, str], Serve] = {}
"""By group, plural and sub-resource."""
