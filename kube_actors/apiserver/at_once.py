"""Reads that are answered at once: one object of a built-in kind, as it is in the store now.

Owns what may be answered so. The store's entries are values that nobody changes, so whoever asks may look in his own
task, past the mailbox: nothing that the server keeps is touched. Anything that might have to wait, be converted,
prepared or refused gets None and goes the ordinary way, which answers it in the same words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kube_actors.api.messages import NO_OPTIONS, Answer, AnyRequest, Request, UserInfo
from kube_actors.apiserver import aggregation
from kube_actors.apiserver.access.seeds import GROUPS
from kube_actors.apiserver.core import Core
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.subresources import COLLECTIONS
from kube_actors.store.contract import Entry, StoreError
from kube_actors.store.local import LocalStore

Reads = Callable[[UserInfo, AnyRequest], Answer | None]
"""Answers a user's request at once, or None."""


class Allows(Protocol):
    """An authorizer that may know without waiting."""

    def allows(self, user: UserInfo, request: Request) -> bool: ...


def reads_of(core: Core, authorizer: object | None) -> Reads | None:
    """The reads of one server; None where its store or its authorizer has to be waited for."""
    store = core.store
    if not isinstance(store, LocalStore) or store.reads_wait:
        return None
    if authorizer is None:
        return _Reads(core, store.peek, lambda user, request: True)
    allows = getattr(authorizer, "allows", None)
    return None if allows is None else _Reads(core, store.peek, allows)


class _Reads:
    def __init__(
        self, core: Core, peek: Callable[[str], Entry | None], allows: Callable[[UserInfo, Request], bool]
    ) -> None:
        self._core = core
        self._peek = peek
        self._allows = allows
        self._kinds: dict[tuple[str, str, str], Kind | None] = {}

    def __call__(self, user: UserInfo, request: AnyRequest) -> Answer | None:
        if type(request) is not Request or request.verb != "get" or request.subresource or not request.name:
            return None
        if request.options is not NO_OPTIONS and request.options != NO_OPTIONS:
            return None
        place = (request.group, request.version, request.resource)
        kind = self._kinds.get(place)
        if kind is None:
            kind = self._kind(place)
            if kind is None:
                return None
        if not self._allows(user, request):
            return None
        try:
            entry = self._peek(kind.key(request.namespace, request.name))
        except StoreError:
            return None
        return None if entry is None else Answer(body=kind.load(entry.value))

    def _kind(self, place: tuple[str, str, str]) -> Kind | None:
        """A kind that needs no preparation; there are as many as are built in."""
        kind = self._core.kinds.find(*place)
        if kind is None or kind.resource.custom or kind.strategy.deprecation or "get" not in kind.resource.verbs:
            return None
        group, plural = kind.resource.group, kind.resource.plural
        if group == aggregation.GROUP or group in GROUPS or (group, plural) in COLLECTIONS:
            return None
        self._kinds[place] = kind
        return kind
