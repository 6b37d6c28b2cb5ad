"""certificatesigningrequests/approval: the decision on a request, with rules of its own."""

from __future__ import annotations

from kube_actors.api import errors
from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver import patching, reading, updating
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.strategies.certificates import ApprovalStrategy

_STRATEGY = ApprovalStrategy()


async def approve(call: Call) -> AnyAnswer:
    """GET, PUT and PATCH, all of them on the whole request."""
    call.kind = Kind(call.kind.resource, _STRATEGY)
    match call.request.verb:
        case "get":
            return await reading.get(call)
        case "update":
            return await updating.update(call)
        case "patch":
            return await patching.patch(call)
    raise errors.method_not_allowed()
