"""RBAC: Roles, ClusterRoles and their bindings, read from the store and kept up to date by its watch.

Owns the view of these objects and the decisions made from it, which are remembered until one of them changes. It asks
the watch for what is new whenever somebody asks it, so that it needs no task of its own and a binding counts from the
moment its write was answered. Never writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

import msgspec
import trio
from msgspec import Struct

from kube_actors.api.messages import UserInfo
from kube_actors.apiserver import limits
from kube_actors.apiserver.access.attributes import Attributes, Decision
from kube_actors.apiserver.access.rules import Rule
from kube_actors.store.contract import Compacted, Event, Store, WatchOverrun, WatchStream

GROUP = "rbac.authorization.k8s.io"
PREFIX = f"/registry/{GROUP}/"
SERVICE_ACCOUNT = "system:serviceaccount:"


class Subject(Struct, frozen=True):
    """Whom a binding names."""

    kind: str = ""
    name: str = ""
    namespace: str = ""

    def is_(self, user: UserInfo) -> bool:
        match self.kind:
            case "User":
                return self.name == user.name
            case "Group":
                return self.name in user.groups
            case "ServiceAccount":
                return f"{SERVICE_ACCOUNT}{self.namespace}:{self.name}" == user.name
            case _:
                return False

    def written(self) -> str:
        name = f"{self.name}/{self.namespace}" if self.kind == "ServiceAccount" else self.name
        return f'{self.kind} "{name}"'


class RoleRef(Struct, frozen=True):
    kind: str = ""
    name: str = ""


class _Meta(Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class Role(Struct, frozen=True):
    """A Role or a ClusterRole."""

    metadata: _Meta
    rules: tuple[Rule, ...] | None = None


class Binding(Struct, frozen=True, rename={"role_ref": "roleRef"}):
    """A RoleBinding or a ClusterRoleBinding."""

    metadata: _Meta
    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] | None = None

    def subject_of(self, user: UserInfo) -> Subject | None:
        """The first subject that is the user. A service account without a namespace is the binding's."""
        for subject in self.subjects or ():
            if subject.kind == "ServiceAccount" and not subject.namespace:
                subject = Subject("ServiceAccount", subject.name, self.metadata.namespace)
            if subject.is_(user):
                return subject
        return None

    def written(self, subject: Subject) -> str:
        reference = f'{self.role_ref.kind} "{self.role_ref.name}" to {subject.written()}'
        if self.metadata.namespace:
            return f'RoleBinding "{self.metadata.name}/{self.metadata.namespace}" of {reference}'
        return f'ClusterRoleBinding "{self.metadata.name}" of {reference}'


class RoleMissing(Exception):
    """A role that a binding names is not there; the text is Kubernetes'."""

    def __init__(self, resource: Literal["role", "clusterrole"], name: str) -> None:
        super().__init__(f'{resource}.{GROUP} "{name}" not found')
        self.resource = resource
        self.name = name


_read_role = msgspec.json.Decoder(Role).decode
_read_binding = msgspec.json.Decoder(Binding).decode

Grant = tuple[Rule | None, str]
"""A rule and by which binding it is the user's; None with the error when the role is not there."""


class Policy:
    """The RBAC objects of one store, as they were when last asked for."""

    def __init__(self) -> None:
        self.roles: dict[str, Role] = {}
        self.bindings: dict[str, Binding] = {}

    def put(self, key: str, value: bytes) -> None:
        if "rolebindings/" in key:
            self.bindings[key] = _read_binding(value)
        else:
            self.roles[key] = _read_role(value)

    def remove(self, key: str) -> None:
        self.bindings.pop(key, None)
        self.roles.pop(key, None)

    def rules_of(self, reference: RoleRef, namespace: str) -> tuple[Rule, ...]:
        """Raises RoleMissing."""
        if reference.kind == "ClusterRole":
            role = self.roles.get(f"{PREFIX}clusterroles/{reference.name}")
        else:
            role = self.roles.get(f"{PREFIX}roles/{namespace}/{reference.name}")
        if role is None:
            raise RoleMissing("clusterrole" if reference.kind == "ClusterRole" else "role", reference.name)
        return role.rules or ()

    def grants(self, user: UserInfo, namespace: str) -> Iterator[Grant]:
        """Everything that is granted to the user: in the cluster, then in the namespace."""
        prefixes = [f"{PREFIX}clusterrolebindings/"]
        if namespace:
            prefixes.append(f"{PREFIX}rolebindings/{namespace}/")
        for prefix in prefixes:
            for key, binding in self.bindings.items():
                if not key.startswith(prefix):
                    continue
                subject = binding.subject_of(user)
                if subject is None:
                    continue
                try:
                    rules = self.rules_of(binding.role_ref, binding.metadata.namespace)
                except RoleMissing as missing:
                    yield None, str(missing)
                    continue
                for rule in rules:
                    yield rule, binding.written(subject)


class Rbac:
    """The RBAC authorizer over a store. `prepare` is awaited before the first look: it makes what every cluster has."""

    def __init__(self, store: Store, prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        self._store = store
        self._prepare = prepare
        self._policy = Policy()
        self._stream: WatchStream | None = None
        self._lock = trio.Lock()
        self._known: dict[tuple[str, ...], Decision] = {}

    async def decide(self, asked: Attributes) -> Decision:
        """Allowed by which binding; or no, with the roles that could not be found."""
        policy = await self.policy()
        user = asked.user
        what = (asked.verb, asked.group, asked.whole, asked.namespace, asked.name, asked.path)
        key = (user.name, *what, *user.groups)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= limits.DECISIONS:
                self._known.clear()
            found = self._known[key] = _decide(policy, asked)
        return found

    def knows_allowed(self, user: UserInfo, what: tuple[str, str, str, str, str, str]) -> bool:
        """Whether this was allowed before and nothing has changed since; `what` is verb, group, resource, namespace,
        name and path."""
        found = self._known.get((user.name, *what, *user.groups))
        return found is not None and found.allowed and not self._stale()

    async def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[Rule], list[str]]:
        """All rules that hold for the user there, and what could not be resolved."""
        rules: list[Rule] = []
        problems: list[str] = []
        for rule, text in (await self.policy()).grants(user, namespace):
            if rule is None:
                problems.append(text)
            else:
                rules.append(rule)
        return rules, problems

    async def policy(self) -> Policy:
        """The objects as they are now."""
        if not self._stale():
            return self._policy
        async with self._lock:
            await self._refresh()
        return self._policy

    def _stale(self) -> bool:
        if self._stream is None:
            return True
        state = self._stream.statistics()
        return bool(state.pending) or state.ended

    async def _refresh(self) -> None:
        if self._stream is None:
            if self._prepare is not None:
                await self._prepare()
            await self._load()
            return
        try:
            while self._stale():
                for event in await self._stream.receive_batch():
                    self._apply(event)
        except (WatchOverrun, Compacted):
            self._stream.close()
            await self._load()

    async def _load(self) -> None:
        page = await self._store.list(PREFIX)
        self._policy = Policy()
        for entry in page.entries:
            self._policy.put(entry.key, entry.value)
        self._known.clear()
        self._stream = self._store.watch(PREFIX, after=page.revision)

    def _apply(self, event: Event) -> None:
        self._known.clear()
        if event.deleted:
            self._policy.remove(event.key)
        else:
            self._policy.put(event.key, event.value)


def _decide(policy: Policy, asked: Attributes) -> Decision:
    problems: dict[str, None] = {}
    for rule, text in policy.grants(asked.user, asked.namespace):
        if rule is None:
            problems[text] = None
        elif rule.allows(asked):
            return Decision(True, f"RBAC: allowed by {text}")
    if not problems:
        return Decision(False)
    texts = list(problems)
    return Decision(False, "RBAC: " + (texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"))
