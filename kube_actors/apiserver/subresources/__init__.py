"""Sub-resources that do more than write a part of their object. status needs no entry: it is an ordinary write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.subresources import binding, ephemeral, eviction, namespaces, scale, streams

Serve = Callable[[Call], Awaitable[AnyAnswer]]

SUBRESOURCES: dict[tuple[str, str, str], Serve] = {
    ("", "pods", "binding"): binding.bind,
    ("", "pods", "eviction"): eviction.evict,
    ("", "pods", "log"): streams.log,
    ("", "pods", "exec"): streams.exec_,
    ("", "pods", "attach"): streams.attach,
    ("", "pods", "ephemeralcontainers"): ephemeral.ephemeral_containers,
    ("", "namespaces", "finalize"): namespaces.finalize,
    ("*", "*", "scale"): scale.scale,
}
"""By group, plural and sub-resource."""

COLLECTIONS: dict[tuple[str, str], Serve] = {("", "bindings"): binding.bind}
"""Resources that are not stored: what a create on them does."""
