"""Requests on custom resources, where they are served otherwise than built-in ones.

Owns paths that a definition rules out, the sub-resource scale by JSON paths, creation while a definition is going, and
handing requests to webhook conversion. Everything else is the generic machinery's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_actors.api import errors
from kube_actors.api import field_errors as fields
from kube_actors.api.messages import Answer, AnyAnswer, EventStream, WatchAnswer, WatchEvent
from kube_actors.apiserver import bodies, encoding, limits, patching, reading, updating, watching
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.custom import converting, jsonpath
from kube_actors.apiserver.custom.book import CustomBook
from kube_actors.apiserver.custom.kind import CustomKind
from kube_actors.apiserver.subresources.reviews import scale_kind

JSONObject = dict[str, Any]

_NO_PAGE = b"404 page not found\n"
_PLAIN = "text/plain; charset=utf-8"


async def serve(call: Call) -> AnyAnswer | None:
    """The answer, or None when the request is as any other."""
    kind = call.kind
    assert isinstance(kind, CustomKind)
    request = call.request
    if not kind.namespaced and call.namespace:
        return Answer(status=404, body=_NO_PAGE, content_type=_PLAIN)
    if kind.terminating and request.verb == "create":
        text = "create not allowed while custom resource definition is terminating"
        refused = errors.method_not_allowed(kind.resource, "create")
        raise errors.ApiError(errors.Status(message=text, reason="MethodNotAllowed", details=refused.details, code=405))
    if request.subresource and request.subresource not in kind.resource.subresources:
        raise errors.not_found(kind.resource, call.name)
    if request.verb == "watch":
        served = await converting.serve(call, kind) if kind.webhook is not None else await watching.watch(call)
        assert isinstance(served, WatchAnswer)
        return WatchAnswer(EndingStream(served.stream, call.core.custom, kind.crd))
    if kind.webhook is not None:
        return await converting.serve(call, kind)
    if request.subresource == "scale":
        return await scale(call, kind)
    return None


class EndingStream:
    """A watch that ends with the definition, or when the definition changes."""

    def __init__(self, stream: EventStream, book: CustomBook, crd: JSONObject) -> None:
        self._stream = stream
        self._book = book
        self._crd = crd

    async def receive_batch(self) -> Sequence[WatchEvent]:
        """See `EventStream`."""
        batch = await self._book.watched(self._crd, self._stream.receive_batch)
        if batch is None:
            self._stream.close()
            return []
        return batch

    def close(self) -> None:
        self._stream.close()


async def scale(call: Call, kind: CustomKind) -> AnyAnswer:
    """GET, PUT and PATCH of the scale."""
    verb = call.request.verb
    if verb == "get":
        entry = await reading.find(call)
        return call.answer(encoding.encode(scale_of(kind, kind.outward(encoding.decode(entry.value)))))
    if verb == "update":
        bodies.check_write_options(call, "UpdateOptions")
        submitted = bodies.read_as(call, scale_kind())
        version = submitted["metadata"].get("resourceVersion", "")
        attempts = limits.UPDATE_RETRIES if version in ("", "0") else 1
        value = await updating.store(call, lambda old: _scaled(call, kind, old, submitted), attempts=attempts)
    elif verb == "patch":
        bodies.check_write_options(call, "PatchOptions")
        apply = patching.applier(call, scale_kind())

        def build(old: JSONObject) -> JSONObject:
            return _scaled(call, kind, old, patching.patched(call, scale_kind(), apply, scale_of(kind, old)))

        value = await updating.store(call, build, attempts=limits.PATCH_RETRIES)
    else:
        raise errors.method_not_allowed()
    return call.answer(encoding.encode(scale_of(kind, kind.outward(encoding.decode(value)))))


def _scaled(call: Call, kind: CustomKind, old: JSONObject, submitted: JSONObject) -> JSONObject:
    assert kind.scale_paths is not None
    replicas = submitted.get("spec", {}).get("replicas", 0)
    if replicas < 0:
        problem = fields.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid(scale_kind().resource, call.name, [problem])
    new = kind.outward(encoding.decode(encoding.encode(old)))
    metadata = submitted["metadata"]
    if metadata.get("name", call.name) != call.name:
        raise errors.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({call.name})"
        )
    jsonpath.put(new, kind.scale_paths["specReplicasPath"], replicas)
    new["metadata"]["resourceVersion"] = metadata.get("resourceVersion", "") or old["metadata"]["resourceVersion"]
    return new


def scale_of(kind: CustomKind, obj: JSONObject) -> JSONObject:
    """The Scale that the object's paths make."""
    paths = kind.scale_paths
    assert paths is not None
    metadata = obj["metadata"]
    wanted = _number(paths["specReplicasPath"], obj)
    if wanted is None:
        path = paths["specReplicasPath"]
        raise errors.internal(f'the spec replicas field "{path}" does not exist')
    status: JSONObject = {"replicas": _number(paths["statusReplicasPath"], obj) or 0}
    selector = jsonpath.find(paths["labelSelectorPath"], obj) if paths.get("labelSelectorPath") else []
    if selector and isinstance(selector[0], str) and selector[0]:
        status["selector"] = selector[0]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": wanted} if wanted else {},
        "status": status,
    }


def _number(path: str, obj: JSONObject) -> int | None:
    found = jsonpath.find(path, obj)
    return found[0] if found and isinstance(found[0], int) and not isinstance(found[0], bool) else None
