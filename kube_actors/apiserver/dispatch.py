"""From a request to the function that serves it.

Owns the table of verbs and of sub-resources. Never looks into a body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, AnyAnswer, Request
from kube_actors.apiserver import aggregation, applying, creating, deleting, reading, updating, watching
from kube_actors.apiserver.access.seeds import GROUPS
from kube_actors.apiserver.core import Call, Core, refusal
from kube_actors.apiserver.subresources import COLLECTIONS, SUBRESOURCES

CONTROLLERS = "system:kube-controller-manager"

Serve = Callable[[Call], Awaitable[AnyAnswer]]

_VERBS: dict[str, Serve] = {
    "get": reading.get,
    "list": reading.list_,
    "watch": watching.watch,
    "create": creating.create,
    "update": updating.update,
    "patch": applying.patch,
    "delete": deleting.delete,
    "deletecollection": deleting.delete_collection,
}


async def dispatch(core: Core, request: Request) -> AnyAnswer:
    """Serve one request; raises ApiError."""
    kind = core.kinds.find(request.group, request.version, request.resource)
    if kind is None or kind.resource.custom:
        kind = await core.custom.find(request)
    if kind is None:
        return await _elsewhere(core, request)
    if request.group == aggregation.GROUP and not _follows(request):
        await core.aggregator.ensure_local()
    if request.group in GROUPS and not core.access.seeds.done and not _follows(request):
        await core.access.seeds.ensure()
    call = Call(core, kind, request)
    try:
        return await _serve(call)
    except ApiError as error:
        if not call.warnings:
            raise
        return refusal(error, call.warnings)


async def _elsewhere(core: Core, request: Request) -> AnyAnswer:
    """What is not served here may be another server's."""
    service = await core.aggregator.find(request.group, request.version)
    if service is None:
        return _nowhere(core, request)
    from kube_actors.apiserver.aggregation import passing  # lazy: TLS and HTTP, once there is somebody to ask

    return await passing.resource(core, service, request)


def _nowhere(core: Core, request: Request) -> AnyAnswer:
    """What is below a built-in group version gets a Status; elsewhere there is not even somebody to say so."""
    if any(not found.custom for found in core.kinds.resources.in_version(request.group, request.version)):
        raise errors.no_such_resource()
    return Answer(status=404, body=b"404 page not found\n", content_type="text/plain; charset=utf-8")


def _follows(request: Request) -> bool:
    """The cluster's own controllers need not wait for its first objects: they see them come."""
    return request.verb in ("list", "watch") and request.user.name == CONTROLLERS


async def _serve(call: Call) -> AnyAnswer:
    request, kind = call.request, call.kind
    if kind.resource.custom:
        from kube_actors.apiserver.custom import serving  # lazy: nothing of it is needed while nothing is custom

        answer = await serving.serve(call)
        if answer is not None:
            return answer
    if not request.subresource:
        handler = _VERBS.get(request.verb)
        nameless = not request.name and request.verb in ("get", "update", "patch", "delete")
        if handler is None or nameless or request.verb not in kind.resource.verbs:
            raise errors.method_not_allowed()
        transient = COLLECTIONS.get((kind.resource.group, kind.resource.plural))
        return await (transient or handler)(call)
    return await _subresource(call)


async def _subresource(call: Call) -> AnyAnswer:
    request, resource = call.request, call.kind.resource
    name = request.subresource.partition("/")[0]
    known = resource.subresources.get(name)
    if known is None:
        raise errors.no_such_resource()
    serve = SUBRESOURCES.get((resource.group, resource.plural, name)) or SUBRESOURCES.get(("*", "*", name))
    if serve is not None:
        return await serve(call)
    if request.verb not in ("get", "update", "patch"):
        raise errors.method_not_allowed()
    return await _VERBS[request.verb](call)
