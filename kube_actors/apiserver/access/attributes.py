"""What an authorizer looks at: one request reduced to who, which verb, and on what.

Owns how a request becomes attributes, which is where Kubernetes' fine print is (a Namespace stands in itself, a list by
name asks for that name), and the wording of a refusal. Decides nothing.
"""

from __future__ import annotations

import re

from msgspec import Struct

from kube_actors.api import errors
from kube_actors.api.messages import AnyRequest, RawRequest, Request, UserInfo

_NAME = re.compile(r"(?:^|,)metadata\.name==?([^,=!]+)(?:,|$)")


class Attributes(Struct, frozen=True, kw_only=True):
    """A question to an authorizer. path is set, and all of the resource's fields are not, for what is no resource."""

    user: UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""
    """As the request has it, for authorizers that let a list through when it is narrow enough."""

    @property
    def whole(self) -> str:
        """The resource with its sub-resource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Decision(Struct, frozen=True):
    """An authorizer's answer; `reason` may say something in both cases."""

    allowed: bool
    reason: str = ""


NO_OPINION = Decision(False)


def of(request: AnyRequest) -> Attributes:
    """The attributes of a request."""
    if isinstance(request, RawRequest):
        return Attributes(user=request.user, verb="get", path=request.path)
    name = request.name
    if not name and request.verb in ("list", "watch", "deletecollection"):
        name = selected_name(request.options.field_selector)
    return Attributes(
        user=request.user,
        verb="create" if request.verb == "connect" else request.verb,
        group=request.group,
        version=request.version,
        resource=request.resource,
        subresource=request.subresource.partition("/")[0],
        namespace=_namespace(request),
        name=name,
        field_selector=request.options.field_selector,
    )


def _namespace(request: Request) -> str:
    """A Namespace is taken to stand in itself."""
    if request.resource == "namespaces" and not request.group:
        return request.name
    return request.namespace


def selected_name(field_selector: str) -> str:
    """The one name that a field selector lets through; "" when it does not say."""
    if not field_selector:
        return ""
    found = _NAME.search(field_selector)
    return found.group(1) if found else ""


def refusal(asked: Attributes, request: AnyRequest, reason: str = "") -> errors.ApiError:
    """The 403 for a request."""
    message = denial(asked)
    if reason:
        message += f": {reason}"
    if isinstance(request, RawRequest):
        return errors.forbidden("", "", message)
    target = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    return errors.forbidden(target, request.name, message)


def denial(asked: Attributes) -> str:
    """What the user cannot do."""
    if asked.path:
        return f'User "{asked.user.name}" cannot {asked.verb} path "{asked.path}"'
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    return f'User "{asked.user.name}" cannot {asked.verb} resource "{asked.whole}" in API group "{asked.group}" {where}'
