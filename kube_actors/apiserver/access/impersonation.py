"""Impersonation: a request that asks to be served as somebody else, if the user who really asks may be that.

Owns the headers, what they turn into, and the questions that are put to the authorizer for each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import unquote

from kube_actors.api import errors
from kube_actors.api.messages import ANONYMOUS, UserInfo
from kube_actors.apiserver.access.attributes import Attributes, Decision, denial
from kube_actors.apiserver.access.rbac import SERVICE_ACCOUNT

USER, GROUP, UID, EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
_AUTHENTICATION = "authentication.k8s.io"

Decide = Callable[[Attributes], Awaitable[Decision]]


def wanted(headers: Iterable[tuple[str, str]]) -> UserInfo | None:
    """Who is to be impersonated; None when nobody is. Raises a 400 for a half request."""
    name, uid = "", ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for key, value in headers:
        if key == USER:
            name = name or value
        elif key == UID:
            uid = uid or value
        elif key == GROUP:
            groups.append(value)
        elif key.startswith(EXTRA):
            extra.setdefault(unquote(key.removeprefix(EXTRA)), []).append(value)
    if not name:
        if groups or extra or uid:
            raise errors.bad_request(f"requested {_half(groups, extra, uid)} without impersonating a user")
        return None
    return UserInfo(
        name=name, uid=uid, groups=tuple(groups), extra={key: tuple(values) for key, values in extra.items()}
    )


def _half(groups: list[str], extra: dict[str, list[str]], uid: str) -> str:
    found = [f"{{Group  {group}    }}" for group in groups]
    found += [f"{{UserExtra  {value}    {key}}}" for key, values in extra.items() for value in values]
    if uid:
        found.append(f"{{UID  {uid}  {_AUTHENTICATION}/v1  }}")
    return f"[{' '.join(found)}]"


async def check(user: UserInfo, target: UserInfo, decide: Decide) -> None:
    """Raise the 403 unless the user may be the target in every respect."""
    for asked in _questions(user, target):
        if not (decision := await decide(asked)).allowed:
            message = denial(asked) + (f": {decision.reason}" if decision.reason else "")
            resource = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
            raise errors.forbidden(resource, asked.name, message)


def _questions(user: UserInfo, target: UserInfo) -> list[Attributes]:
    def about(resource: str, name: str, *, group: str = "", subresource: str = "", namespace: str = "") -> Attributes:
        return Attributes(
            user=user,
            verb="impersonate",
            group=group,
            version="v1",
            resource=resource,
            subresource=subresource,
            namespace=namespace,
            name=name,
        )

    place = service_account_of(target.name)
    found = [about("serviceaccounts", place[1], namespace=place[0]) if place else about("users", target.name)]
    found += [about("groups", group) for group in target.groups]
    for key, values in target.extra.items():
        found += [about("userextras", value, group=_AUTHENTICATION, subresource=key) for value in values]
    if target.uid:
        found.append(about("uids", target.uid, group=_AUTHENTICATION))
    return found


def complete(target: UserInfo) -> UserInfo:
    """The user with the groups that follow from the name."""
    groups = list(target.groups)
    place = service_account_of(target.name)
    if place and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{place[0]}"]
    if target.name == ANONYMOUS.name:
        if UNAUTHENTICATED not in groups:
            groups.append(UNAUTHENTICATED)
    elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups.append(AUTHENTICATED)
    return UserInfo(name=target.name, uid=target.uid, groups=tuple(groups), extra=target.extra)


def service_account_of(user: str) -> tuple[str, str] | None:
    """Namespace and name, when the user is a service account."""
    if not user.startswith(SERVICE_ACCOUNT):
        return None
    namespace, found, name = user.removeprefix(SERVICE_ACCOUNT).partition(":")
    return (namespace, name) if found and namespace and name and ":" not in name else None
