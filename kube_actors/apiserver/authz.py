"""Who may do what: the cluster's own components by rules in this module, nodes by the node authorizer, all by RBAC.

Owns the order in which authorizers are asked (one yes is enough) and the rules that components live by: what the
bootstrap ClusterRoles allow them, abridged to what ours ask, so that a cluster starts without reading a role.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from kube_actors.api.messages import AnyRequest, Request, UserInfo
from kube_actors.apiserver import limits
from kube_actors.apiserver.access import attributes
from kube_actors.apiserver.access.attributes import NO_OPINION, Attributes, Decision

MASTERS = "system:masters"
NODES, NODE_PREFIX = "system:nodes", "system:node:"
ALL = ("*",)
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete")


class Rule(Struct, frozen=True):
    """Verbs on resources ("pods", "pods/status", "*") of API groups; names restrict it to these objects."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...] = ()

    def allows(self, asked: Attributes) -> bool:
        return (
            _in(asked.verb, self.verbs)
            and _in(asked.group, self.groups)
            and _in(asked.whole, self.resources)
            and (not self.names or asked.name in self.names)
        )


def _in(value: str, allowed: tuple[str, ...]) -> bool:
    return value in allowed or "*" in allowed


_EVENTS = Rule(("create", "patch", "update"), ("", "events.k8s.io"), ("events",))
_LEASES = Rule((*READ, *WRITE), ("coordination.k8s.io",), ("leases",))

USER_RULES: dict[str, tuple[Rule, ...]] = {
    "system:kube-scheduler": (
        _EVENTS,
        _LEASES,
        Rule(READ, ALL, ALL),
        Rule(("create",), ("",), ("bindings", "pods/binding")),
        Rule(("delete",), ("",), ("pods",)),
        Rule(("patch", "update"), ("",), ("pods/status", "persistentvolumeclaims", "persistentvolumes")),
    ),
    # It deletes objects of every kind (garbage collection, namespaces) and creates for others; upstream spreads
    # these rights over one service account a controller.
    "system:kube-controller-manager": (Rule(ALL, ALL, ALL),),
    "system:cloud-controller-manager": (
        _EVENTS,
        _LEASES,
        Rule(READ, ("",), ("nodes", "services", "pods")),
        Rule(("patch", "update", "delete"), ("",), ("nodes", "nodes/status", "services", "services/status")),
    ),
    "system:kube-proxy": (
        _EVENTS,
        Rule(READ, ("", "discovery.k8s.io"), ("services", "endpoints", "endpointslices", "nodes")),
    ),
}

GROUP_RULES: dict[str, tuple[Rule, ...]] = {
    MASTERS: (Rule(ALL, ALL, ALL),),
    # What the role system:node allows whatever the object says, and what the node authorizer does not know: whose UID
    # tells one cluster's containers from another's, and the proxy that runs in a node's process.
    NODES: (
        _EVENTS,
        Rule(READ, ("",), ("services",)),
        Rule(("create", "update", "patch"), ("",), ("nodes", "nodes/status")),
        Rule(("create", "delete"), ("",), ("pods",)),
        Rule(("update", "patch"), ("",), ("pods/status",)),
        Rule(("get",), ("",), ("namespaces",), ("kube-system",)),
        Rule(READ, ("discovery.k8s.io",), ("endpointslices",)),
        Rule(("create",), ("certificates.k8s.io",), ("certificatesigningrequests/selfnodeclient",)),
    ),
    # A node that joins with a bootstrap token may ask for its certificate and read what it needs for that.
    "system:bootstrappers": (
        Rule(("create", *READ), ("certificates.k8s.io",), ("certificatesigningrequests",)),
        Rule(("create",), ("certificates.k8s.io",), ("certificatesigningrequests/nodeclient",)),
        Rule(("get",), ("",), ("configmaps",), ("cluster-info", "kube-root-ca.crt")),
    ),
}


class Judge(Protocol):
    """One authorizer. No is no veto; the next one is asked."""

    async def decide(self, asked: Attributes) -> Decision: ...


def component_allows(asked: Attributes) -> bool:
    """The rules in this module, by user and by group."""
    if asked.path:
        return False
    if any(rule.allows(asked) for rule in USER_RULES.get(asked.user.name, ())):
        return True
    named = asked.user.name.startswith(NODE_PREFIX)  # a node without a name would be restricted to nothing
    groups = (group for group in asked.user.groups if group != NODES or named)
    return any(rule.allows(asked) for group in groups for rule in GROUP_RULES.get(group, ()))


Known = Callable[[UserInfo, tuple[str, str, str, str, str, str]], bool]
"""Whether a judge has allowed a user the like before, and would again without waiting."""


class Authorizer:
    """Asks the component rules, then each judge in turn; when none says yes, the answer is 403 in Kubernetes' words."""

    def __init__(self, *judges: Judge, known: Known | None = None) -> None:
        self._judges = judges
        self._known = known
        self._components: dict[tuple[object, ...], bool] = {}

    def allows(self, user: UserInfo, request: Request) -> bool:
        """Whether it is known without waiting that the user may make this plain request; no only means: ask."""
        if MASTERS in user.groups:
            return True
        kind = (user.name, request.verb, request.group, request.resource, user.groups)
        always = self._components.get(kind)
        if always is None:
            if len(self._components) >= limits.DECISIONS:
                self._components.clear()
            asked = Attributes(user=user, verb=request.verb, group=request.group, resource=request.resource)
            always = self._components[kind] = component_allows(asked)
        if always or self._known is None:
            return always
        asked = attributes.of(request)
        return self._known(user, (asked.verb, asked.group, asked.whole, asked.namespace, asked.name, ""))

    async def authorize(self, request: AnyRequest) -> None:
        """Raise the 403 unless the request is allowed."""
        if MASTERS in request.user.groups:
            return
        asked = attributes.of(request)
        decision = await self.decide(asked)
        if not decision.allowed:
            raise attributes.refusal(asked, request, decision.reason)

    async def explain(self, asked: Attributes) -> Decision:
        """The same answer, with a reason where a judge knows one."""
        for judge in self._judges:
            if MASTERS not in asked.user.groups and (decision := await judge.decide(asked)).allowed:
                return decision
        return await self.decide(asked)

    async def decide(self, asked: Attributes) -> Decision:
        """The first yes, else no with what the judges said."""
        if MASTERS in asked.user.groups:
            return Decision(True)
        if component_allows(asked):
            return Decision(True)
        reasons = []
        for judge in self._judges:
            decision = await judge.decide(asked)
            if decision.allowed:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons)) if reasons else NO_OPINION
