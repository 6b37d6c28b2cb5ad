"""Who may do what: an ordered list of authorizers, of which one yes is enough.

Owns the interface, the rules that the cluster's own components live by (what Kubernetes' bootstrap ClusterRoles
allow them, abridged to what our components ask), and the wording of a refusal. RBAC objects are not read yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from kube_actors.api import errors
from kube_actors.api.messages import AnyRequest, RawRequest, Request, UserInfo

MASTERS = "system:masters"
ALL = ("*",)
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete")

PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
"""Open to everybody (system:public-info-viewer)."""

DISCOVERY_PATHS = ("/api", "/apis", "/openapi", "/.well-known", "/healthz", "/livez", "/readyz", "/version")
"""Open, with all below them, to whoever is authenticated (system:discovery)."""


class Rule(Struct, frozen=True):
    """Verbs on resources ("pods", "pods/status", "*") of API groups; names restrict it to these objects."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...] = ()

    def allows(self, request: Request) -> bool:
        resource = f"{request.resource}/{_head(request.subresource)}" if request.subresource else request.resource
        return (
            _in("create" if request.verb == "connect" else request.verb, self.verbs)
            and _in(request.group, self.groups)
            and (_in(resource, self.resources))
            and (not self.names or request.name in self.names)
        )


def _in(value: str, allowed: tuple[str, ...]) -> bool:
    return value in allowed or "*" in allowed


def _head(subresource: str) -> str:
    return subresource.split("/", 1)[0]


_EVENTS = Rule(("create", "patch", "update"), ("", "events.k8s.io"), ("events",))
_LEASES = Rule((*READ, *WRITE), ("coordination.k8s.io",), ("leases",))
_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")

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
    "system:nodes": (
        _EVENTS,
        _LEASES,
        Rule(READ, ("",), ("nodes", "pods", "services", "configmaps", "secrets", "persistentvolumeclaims")),
        Rule(READ, ("", "storage.k8s.io", "node.k8s.io"), ("persistentvolumes", "csidrivers", "runtimeclasses")),
        Rule(
            ("get",), ("",), ("namespaces",), ("kube-system",)
        ),  # whose UID tells one cluster's containers from another's
        Rule(("create", "update", "patch"), ("",), ("nodes", "nodes/status")),
        Rule(("create", "delete"), ("",), ("pods",)),
        Rule(("update", "patch"), ("",), ("pods/status",)),
        Rule(("create",), ("",), ("pods/eviction", "serviceaccounts/token")),
        Rule(("create",), ("authentication.k8s.io", "authorization.k8s.io"), ALL),
    ),
    "system:authenticated": (Rule(("create",), ("authorization.k8s.io", "authentication.k8s.io"), _REVIEWS),),
    # A node that joins with a bootstrap token may ask for its certificate and read what it needs for that.
    "system:bootstrappers": (
        Rule(("create", *READ), ("certificates.k8s.io",), ("certificatesigningrequests",)),
        Rule(("get",), ("",), ("configmaps",), ("cluster-info", "kube-root-ca.crt")),
    ),
}


class Judge(Protocol):
    """One authorizer: whether it allows a request. No is no veto; the next one is asked."""

    def allows(self, user: UserInfo, request: AnyRequest) -> bool: ...


class ComponentRules:
    """The rules in this module, by user and by group."""

    def allows(self, user: UserInfo, request: AnyRequest) -> bool:
        if isinstance(request, RawRequest):
            return _may_read_path(user, request.path)
        rules = USER_RULES.get(user.name, ())
        if any(rule.allows(request) for rule in rules):
            return True
        return any(rule.allows(request) for group in user.groups for rule in GROUP_RULES.get(group, ()))


def _may_read_path(user: UserInfo, path: str) -> bool:
    if MASTERS in user.groups or path in PUBLIC_PATHS:
        return True
    if "system:authenticated" not in user.groups:
        return False
    return any(path == prefix or path.startswith(prefix + "/") for prefix in DISCOVERY_PATHS)


class Authorizer:
    """Asks each judge in turn; when none says yes, the answer is 403 in Kubernetes' wording."""

    def __init__(self, judges: Sequence[Judge] | None = None) -> None:
        self._judges: tuple[Judge, ...] = (ComponentRules(),) if judges is None else tuple(judges)

    async def authorize(self, request: AnyRequest) -> None:
        """Raise the 403 unless the request is allowed."""
        if MASTERS in request.user.groups:
            return
        if not any(judge.allows(request.user, request) for judge in self._judges):
            raise refusal(request)


def refusal(request: AnyRequest) -> errors.ApiError:
    """The 403 for a request."""
    user = request.user.name
    if isinstance(request, RawRequest):
        return errors.forbidden("", "", f'User "{user}" cannot get path "{request.path}"')
    resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    # A Namespace is taken to stand in itself; what opens a connection is asked for as a create.
    namespace = request.name if request.resource == "namespaces" and not request.group else request.namespace
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    verb = "create" if request.verb == "connect" else request.verb
    target = f"{request.resource}.{request.group}" if request.group else request.resource
    message = f'User "{user}" cannot {verb} resource "{resource}" in API group "{request.group}" {where}'
    return errors.forbidden(target, request.name, message)
