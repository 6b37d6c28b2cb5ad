"""NamespaceLifecycle: nothing is created in a namespace that is missing or going, and some namespaces stay.

Reads the namespace's stored state; never waits for one to appear.
"""

from __future__ import annotations

from kube_actors.api import errors
from kube_actors.api.errors import Cause
from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission.chain import Attempt, Step

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
_REVIEWS = frozenset({"localsubjectaccessreviews"})


class NamespaceLifecycle(Step):
    """See the module."""

    name = "NamespaceLifecycle"

    def __init__(self) -> None:
        self._alive: tuple[str, int] = ("", 0)

    async def complete(self, attempt: Attempt) -> None:
        call = attempt.call
        if attempt.operation != "CREATE" or not call.kind.namespaced:
            return
        if call.kind.resource.plural in _REVIEWS:
            return
        namespace = call.namespace
        entry = await call.core.store.get(f"/registry/core/namespaces/{namespace}")
        if entry is None:
            raise errors.not_found("namespaces", namespace)
        if (namespace, entry.modified) == self._alive:
            return
        metadata = encoding.decode(entry.value)["metadata"]
        if not metadata.get("deletionTimestamp"):
            self._alive = (namespace, entry.modified)
            return
        raise attempt.forbidden(
            f"unable to create new content in namespace {namespace} because it is being terminated",
            [Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")],
        )

    async def check(self, attempt: Attempt) -> None:
        if attempt.operation == "DELETE" and attempt.concerns("", "namespaces") and attempt.call.name in IMMORTAL:
            raise attempt.forbidden("this namespace may not be deleted")
