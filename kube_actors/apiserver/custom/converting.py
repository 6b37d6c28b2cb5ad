"""Versions of one custom resource that a webhook converts into each other.

Owns the ConversionReview, what a webhook may answer, and requests in a version that is not the stored one: reads are
made in the stored form and converted, writes are converted before they are stored. Calling by URL and by Service is
`hook_client`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from kube_actors.api import errors
from kube_actors.api.messages import Answer, AnyAnswer, EventStream, WatchAnswer, WatchEvent
from kube_actors.apiserver import (
    bodies,
    creating,
    deleting,
    encoding,
    limits,
    managing,
    patching,
    reading,
    updating,
    watching,
)
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.custom.kind import CustomKind
from kube_actors.apiserver.facets import of as facets_of
from kube_actors.apiserver.hook_client import HookClient, HookFailed
from kube_actors.apiserver.selection import EVERYTHING, Selection, selection_of

JSONObject = dict[str, Any]

TIMEOUT_SECONDS: Final = 30.0
_KNOWN: Final = ("v1", "v1beta1")


class Converter:
    """Conversion of one definition's objects by its webhook."""

    def __init__(self, call: Call, kind: CustomKind) -> None:
        assert kind.webhook is not None
        self._call = call
        self._kind = kind
        self._webhook = kind.webhook

    async def to(self, api_version: str, objects: Sequence[JSONObject]) -> list[JSONObject]:
        """The objects in this version; those that are in it already are not sent. Raises ApiError."""
        waiting = [obj for obj in objects if obj.get("apiVersion") != api_version]
        converted = iter(await self._ask(api_version, waiting) if waiting else ())
        return [obj if obj.get("apiVersion") == api_version else next(converted) for obj in objects]

    async def _ask(self, api_version: str, objects: Sequence[JSONObject]) -> list[JSONObject]:
        versions = self._webhook.get("conversionReviewVersions") or ()
        review = next((version for version in versions if version in _KNOWN), "v1")
        uid = self._call.core.system.entropy.uuid()
        request = {"uid": uid, "desiredAPIVersion": api_version, "objects": list(objects)}
        body = {"kind": "ConversionReview", "apiVersion": f"apiextensions.k8s.io/{review}", "request": request}
        try:
            raw = await self._client().post(self._webhook["clientConfig"], encoding.encode(body), TIMEOUT_SECONDS)
        except HookFailed as failed:
            raise self._failed(objects, str(failed)) from None
        return self._read(raw, review, uid, api_version, objects)

    def _client(self) -> HookClient:
        return client_of(self._call)

    def _failed(self, objects: Sequence[JSONObject], why: str) -> errors.ApiError:
        return errors.server_failure(f"conversion webhook for {_gvk(objects[0])} failed: {why}")

    def _read(
        self, raw: bytes, review: str, uid: str, api_version: str, objects: Sequence[JSONObject]
    ) -> list[JSONObject]:
        try:
            answer = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._failed(objects, str(error)) from None
        found = answer.get("response") if isinstance(answer, dict) else None
        if not isinstance(found, dict):
            raise self._failed(objects, "no response provided")
        wanted = f"apiextensions.k8s.io/{review}"
        if answer.get("apiVersion") != wanted or answer.get("kind") != "ConversionReview":
            got = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
            raise self._failed(objects, f"expected webhook response of {wanted}, Kind=ConversionReview, got {got}")
        if found.get("uid") != uid and review == "v1":
            raise self._failed(objects, f'expected response.uid="{uid}", got "{found.get("uid", "")}"')
        result = found.get("result") or {}
        if result.get("status") != "Success":
            message = result.get("message") or "unknown"
            raise self._failed(objects, message)
        converted = found.get("convertedObjects") or []
        if len(converted) != len(objects):
            text = f"returned {len(converted)} objects, expected {len(objects)}"
            raise errors.server_failure(f"conversion webhook for {_gvk(objects[0])} {text}")
        return [
            self._checked(at, old, new, api_version)
            for at, (old, new) in enumerate(zip(objects, converted, strict=True))
        ]

    def _checked(self, at: int, old: JSONObject, new: Any, api_version: str) -> JSONObject:
        """A converted object must be the same object in the wanted version; only labels and annotations may change."""
        head = f"conversion webhook for {_gvk(old)} returned invalid converted object at index {at}: "
        if not isinstance(new, dict):
            raise errors.server_failure(head + "not an object")
        if new.get("apiVersion") != api_version:
            raise errors.server_failure(
                f"{head}invalid groupVersion (expected {api_version}, received {new.get('apiVersion')})"
            )
        if new.get("kind") != old["kind"]:
            raise errors.server_failure(f"{head}invalid kind (expected {old['kind']}, received {new.get('kind')})")
        meta, before = new.get("metadata") or {}, old["metadata"]
        for key in ("name", "namespace", "uid"):
            if meta.get(key, "") != before.get(key, ""):
                raise errors.server_failure(f"{head}must have the same {'UID' if key == 'uid' else key}: {meta.get(key, '')} != {before.get(key, '')}")  # fmt: skip # noqa: E501
        kept = dict(before)
        for key in ("labels", "annotations"):
            if meta.get(key):
                kept[key] = meta[key]
            else:
                kept.pop(key, None)
        return {**new, "metadata": kept}


def _gvk(obj: JSONObject) -> str:
    return f"{obj.get('apiVersion', '')}, Kind={obj.get('kind', '')}"


def client_of(call: Call) -> HookClient:
    """The server's client for conversion webhooks."""
    custom = call.core.custom
    if custom.hooks is None:
        custom.hooks = HookClient(call.core)
        call.core.closers.append(custom.hooks.aclose)
    hooks: HookClient = custom.hooks
    return hooks


async def serve(call: Call, kind: CustomKind) -> AnyAnswer | None:
    """A request on a resource with webhook conversion, all of whose objects may be in any version."""
    converter = Converter(call, kind)
    request = call.request
    if request.verb == "patch" and managing.is_apply(call) and kind.resource.version == kind.resource.stored_version:
        return None  # who owns what is recorded in the stored version, in which this is
    if request.subresource == "scale" and request.verb != "get":
        from kube_actors.apiserver.custom import serving  # lazy: serving imports this module

        return await serving.scale(call, _stored_kind(call, kind))
    match request.verb:
        case "get":
            return await _get(call, kind, converter)
        case "list":
            return await _list(call, kind, converter)
        case "watch":
            return await _watch(call, kind, converter)
        case "create":
            return await _create(call, kind, converter)
        case "update" | "patch":
            return await _write(call, kind, converter)
        case "delete" | "deletecollection":
            return await _delete(call, kind, converter)
    return None


async def shown(kind: CustomKind, converter: Converter, values: Sequence[bytes]) -> list[bytes]:
    """Stored values in the version of the kind."""
    objects = await converter.to(kind.resource.api_version, [encoding.decode(value) for value in values])
    return [encoding.whole(kind.head, kind.outward(obj)) for obj in objects]


async def _get(call: Call, kind: CustomKind, converter: Converter) -> AnyAnswer:
    entry = await reading.find(call)
    value = (await shown(kind, converter, [entry.value]))[0]
    if call.request.subresource == "scale":
        from kube_actors.apiserver.custom import serving  # lazy: serving imports this module

        return call.answer(encoding.encode(serving.scale_of(kind, encoding.decode(value))))
    return call.answer(value)


async def _list(call: Call, kind: CustomKind, converter: Converter) -> AnyAnswer:
    """Selected after conversion, since fields are those of the version asked for."""
    selection = selection_of(call)
    if not any(term.field in kind.strategy.selectable for term in selection.fields.terms):
        answer = await reading.list_(call)
        return await _converted_list(call, kind, converter, answer)
    prefix = kind.list_prefix(selection.namespace or call.namespace)
    page = await reading.read_page(call, prefix, 0, "", 0, EVERYTHING)
    values = await shown(kind, converter, [entry.value for entry in page.entries])
    found = [value for value in values if matches(kind, selection, value)]
    resource = kind.resource
    metadata: JSONObject = {"resourceVersion": str(page.revision), "continue": ""}
    return call.answer(encoding.listing(resource.list_kind, resource.api_version, metadata, kind.item_head, found))


def matches(kind: CustomKind, selection: Selection, value: bytes) -> bool:
    return selection.matches(facets_of(kind, encoding.decode(value)))


async def _converted_list(call: Call, kind: CustomKind, converter: Converter, answer: Answer) -> AnyAnswer:
    if answer.status >= 400:
        return answer
    listed = encoding.decode(answer.body)
    objects = await converter.to(kind.resource.api_version, listed["items"])
    items = [encoding.whole(kind.head, kind.outward(obj)) for obj in objects]
    resource = kind.resource
    return call.answer(
        encoding.listing(resource.list_kind, resource.api_version, listed["metadata"], kind.item_head, items)
    )


async def _create(call: Call, kind: CustomKind, converter: Converter) -> AnyAnswer:
    bodies.check_write_options(call, "CreateOptions")
    obj = bodies.read(call)
    creating.check_addressed(call, obj)
    problems = kind.strategy.validate_create(obj)
    if problems:
        raise errors.invalid(kind.resource, obj["metadata"].get("name", ""), problems)
    stored = await _inward(call, kind, converter, obj)
    inner = _as_stored(call, kind)
    answer = await creating.create_object(inner, stored)
    value = (await shown(kind, converter, [answer.body]))[0]
    return call.answer(value, status=answer.status)


def _stored_kind(call: Call, kind: CustomKind) -> CustomKind:
    resource = kind.resource
    found = call.core.kinds.find(resource.group, resource.stored_version, resource.plural)
    return found if isinstance(found, CustomKind) else kind


def _as_stored(call: Call, kind: CustomKind) -> Call:
    """The same request on the stored version."""
    inner = Call(call.core, _stored_kind(call, kind), call.request)
    inner.name, inner.warnings = call.name, call.warnings
    return inner


async def _inward(call: Call, kind: CustomKind, converter: Converter, obj: JSONObject) -> JSONObject:
    """An object of the request's version in the stored one."""
    stored = _stored_kind(call, kind)
    metadata = obj["metadata"]
    converted = (await converter.to(stored.resource.api_version, [obj]))[0]
    converted["metadata"] = {**converted["metadata"], **{k: metadata[k] for k in ("resourceVersion",) if k in metadata}}
    return stored.conform(converted, [])


async def _write(call: Call, kind: CustomKind, converter: Converter) -> AnyAnswer:
    """PUT and PATCH: built in the request's version against a converted old state, stored in the stored one."""
    verb = call.request.verb
    bodies.check_write_options(call, "UpdateOptions" if verb == "update" else "PatchOptions")
    known = list(call.warnings)
    inner = _as_stored(call, kind)
    submitted = bodies.read(call) if verb == "update" else None
    if submitted is not None:
        creating.check_addressed(call, submitted)
    apply = patching.applier(call, kind) if submitted is None else None
    for _ in range(limits.PATCH_RETRIES):
        call.warnings[:] = known
        entry = await reading.find(call)
        old = encoding.decode((await shown(kind, converter, [entry.value]))[0])
        new = submitted if apply is None else patching.patched(call, kind, apply, old)
        assert new is not None
        problems = kind.strategy.validate_update(new, old)
        if problems:
            raise errors.invalid(kind.resource, call.name, problems)
        current = (await shown(inner_kind(inner), converter, [entry.value]))[0]
        stored = encoding.encode(await _inward(call, kind, converter, new))
        unconditional = new["metadata"].get("resourceVersion", "") in ("", "0") and verb == "patch"
        try:
            return await _store(call, kind, converter, inner, stored, entry.modified if unconditional else 0, current)
        except errors.ApiError as refused:
            if refused.code != 409 or not unconditional:
                raise
    raise errors.conflict(kind.resource, call.name)


def inner_kind(call: Call) -> CustomKind:
    assert isinstance(call.kind, CustomKind)
    return call.kind


async def _store(
    call: Call, kind: CustomKind, converter: Converter, inner: Call, stored: bytes, revision: int, current: bytes
) -> AnyAnswer:
    def build(old: JSONObject) -> JSONObject:
        new = encoding.decode(stored)
        if revision:
            new["metadata"]["resourceVersion"] = str(revision)
        return new

    value = await updating.store(inner, build, attempts=1)
    return call.answer((await shown(kind, converter, [value]))[0])


async def _delete(call: Call, kind: CustomKind, converter: Converter) -> AnyAnswer:
    if call.request.verb == "deletecollection":
        return await _converted_list(call, kind, converter, await deleting.delete_collection(call))
    answer = await deleting.delete(call)
    body = encoding.decode(answer.body)
    if body.get("kind") == "Status":
        return answer
    return call.answer((await shown(kind, converter, [answer.body]))[0], status=answer.status)


async def _watch(call: Call, kind: CustomKind, converter: Converter) -> AnyAnswer:
    selection = selection_of(call)
    fields = any(term.field in kind.strategy.selectable for term in selection.fields.terms)
    found = await watching.watch(_without_fields(call) if fields else call)
    return WatchAnswer(ConvertedStream(found.stream, kind, converter, selection if fields else None))


def _without_fields(call: Call) -> Call:
    from msgspec import structs  # lazy: rarely needed

    request = structs.replace(call.request, options=structs.replace(call.options, field_selector=""))
    return Call(call.core, call.kind, request)


class ConvertedStream:
    """The events of a watch, converted; with a selection, objects come and go as they match in this version."""

    def __init__(
        self, stream: EventStream, kind: CustomKind, converter: Converter, selection: Selection | None
    ) -> None:
        self._stream = stream
        self._kind = kind
        self._converter = converter
        self._selection = selection
        self._matching: dict[str, bytes] = {}

    async def receive_batch(self) -> Sequence[WatchEvent]:
        while True:
            batch = await self._stream.receive_batch()
            if not batch:
                return batch
            try:
                converted = await self._convert(batch)
            except errors.ApiError as failed:
                self._stream.close()
                return [WatchEvent("ERROR", failed.status.encode(), 0)]
            if converted:
                return converted

    async def _convert(self, batch: Sequence[WatchEvent]) -> list[WatchEvent]:
        objects = [event for event in batch if event.type not in ("BOOKMARK", "ERROR")]
        values = iter(await shown(self._kind, self._converter, [event.object for event in objects]))
        found = []
        for event in batch:
            if event.type in ("BOOKMARK", "ERROR"):
                found.append(event)
                continue
            selected = self._select(WatchEvent(event.type, next(values), event.revision))
            if selected is not None:
                found.append(selected)
        return found

    def _select(self, event: WatchEvent) -> WatchEvent | None:
        if self._selection is None:
            return event
        metadata = encoding.decode(event.object)["metadata"]
        key = f"{metadata.get('namespace', '')}/{metadata['name']}"
        was = key in self._matching
        if event.type != "DELETED" and matches(self._kind, self._selection, event.object):
            self._matching[key] = event.object
            return WatchEvent("MODIFIED" if was else "ADDED", event.object, event.revision)
        last = self._matching.pop(key, None)
        return WatchEvent("DELETED", event.object if last is None else last, event.revision) if was else None

    def close(self) -> None:
        self._stream.close()
