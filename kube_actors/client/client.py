"""The one way a component talks to the API: typed methods over any transport.

`Client` turns arguments into request messages and answers into objects. It keeps no copy of anything (an informer
does) and repeats a request only when the server says Retry-After and repeating cannot do harm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar, overload

import trio
from msgspec import structs

from kube_actors.api import messages
from kube_actors.api.dynamic import Dynamic
from kube_actors.api.errors import ApiError, Status
from kube_actors.api.messages import Answer, AnyRequest, ByteStream, EventStream, Options, RawRequest, Request, Session
from kube_actors.api.resources import Resource, Resources
from kube_actors.api.types._base import Object

from . import discovery, limits, pods
from .answers import ExecResult, ObjectList, raise_for_status, retry_after
from .decoding import decode, decode_list, decode_or_status, encode, type_of
from .kinds import Kinds, namespace_and_name
from .transport import Transport
from .watching import Watcher, Watching

T = TypeVar("T")
T_obj = TypeVar("T_obj", bound=Object | Dynamic | dict[str, Any])
PatchType = Literal["merge", "strategic", "json", "apply"]
Propagation = Literal["", "Background", "Foreground", "Orphan"]

_PATCHES = {
    "merge": messages.MERGE_PATCH,
    "strategic": messages.STRATEGIC_PATCH,
    "json": messages.JSON_PATCH,
    "apply": messages.APPLY_PATCH,
}


class Client:
    """Talks to one API server as one user.

    A kind is a struct type (`Pod`: results are typed) or a word (`"Pod"`, `"deploy"`, `"example.com/v1/Widget"`:
    results are Any). Objects of kinds without a struct are `Dynamic`; a dict given to be written comes back as a
    dict. Every refusal is an ApiError, every broken connection a TransportError.
    """

    def __init__(self, transport: Transport, *, resources: Resources | None = None, field_manager: str = "") -> None:
        self.transport = transport
        self.field_manager = field_manager
        self.kinds = Kinds(resources, self.discover)

    # Reading

    @overload
    async def get(self, kind: type[T], name: str, *, namespace: str = "", subresource: str = "") -> T: ...
    @overload
    async def get(self, kind: str, name: str, *, namespace: str = "", subresource: str = "") -> Any: ...
    async def get(self, kind: type[Any] | str, name: str, *, namespace: str = "", subresource: str = "") -> Any:
        """One object. With a sub-resource of another kind (scale) that kind is what comes."""
        resource, into = await self.kinds.find(kind)
        request = _request("get", resource, namespace, name, subresource)
        answer = await self.send(request)
        return decode(answer.body, type_of(resource, subresource) if subresource else into)

    @overload
    async def list(
        self,
        kind: type[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> ObjectList[T]: ...
    @overload
    async def list(
        self,
        kind: str,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        limit: int = 0,
        continue_: str = "",
    ) -> ObjectList[Any]: ...
    async def list(self, kind: type[Any] | str, *, namespace: str = "", **options: Any) -> ObjectList[Any]:
        """Objects of a kind, of one namespace or ("") of all; one page if a limit is given."""
        resource, into = await self.kinds.find(kind)
        answer = await self.send(_request("list", resource, namespace, options=Options(**options)))
        return decode_list(answer.body, into)

    async def list_pages(
        self, kind: type[T], *, namespace: str = "", page_size: int = limits.PAGE_SIZE, **options: Any
    ) -> ObjectList[T]:
        """A whole list, fetched page by page; all pages are of the first one's revision."""
        page = await self.list(kind, namespace=namespace, limit=page_size, **options)
        items = list(page.items)
        # A continued list has its revision from the token; naming one again is refused.
        rest = {key: value for key, value in options.items() if not key.startswith("resource_version")}
        metadata = structs.replace(page.metadata, continue_="", remaining_item_count=None)
        while page.continue_:
            page = await self.list(kind, namespace=namespace, limit=page_size, continue_=page.continue_, **rest)
            items += page.items
        return ObjectList(
            items=tuple(items), metadata=structs.replace(metadata, continue_="", remaining_item_count=None)
        )

    async def open_watch(self, kind: type[Any] | str, *, namespace: str = "", **options: Any) -> EventStream:
        """A watch as encoded events, bookmarks included; for whoever decodes by himself. Close it."""
        resource, _ = await self.kinds.find(kind)
        return await self.transport.open_watch(_request("watch", resource, namespace, options=Options(**options)))

    @overload
    def watch(self, kind: type[T], *, namespace: str = "", **options: Any) -> Watching[T]: ...
    @overload
    def watch(self, kind: str, *, namespace: str = "", **options: Any) -> Watching[Any]: ...
    def watch(self, kind: type[Any] | str, *, namespace: str = "", **options: Any) -> Watching[Any]:
        """`async with client.watch(Pod, resource_version=...) as events: async for event in events: ...`

        Options are those of `messages.Options`: label_selector, field_selector, resource_version,
        timeout_seconds, allow_watch_bookmarks, send_initial_events. The iteration ends when the server ends the watch.
        """

        async def opening() -> Watcher[Any]:
            _, into = await self.kinds.find(kind)
            stream = await self.open_watch(kind, namespace=namespace, **options)
            return Watcher(stream, into, options.get("resource_version", ""))

        return Watching(opening)

    # Writing

    async def create(
        self,
        value: T_obj,
        *,
        namespace: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        subresource: str = "",
    ) -> T_obj:
        """Make an object; it is returned as the server made it. A dict needs apiVersion and kind."""
        resource, _ = await self.kinds.find(value)
        own_namespace, name = namespace_and_name(value)
        return await self._write(
            _request(
                "create",
                resource,
                own_namespace or namespace,
                name if subresource else "",
                subresource,
                body=encode(value),
                options=self._writing(dry_run, field_manager),
            ),
            type(value),
        )

    async def update(
        self, value: T_obj, *, subresource: str = "", dry_run: bool = False, field_manager: str = ""
    ) -> T_obj:
        """Replace an object. With a resource version in it, a conflicting write in between is an ApiError 409."""
        resource, _ = await self.kinds.find(value)
        namespace, name = namespace_and_name(value)
        request = _request(
            "update",
            resource,
            namespace,
            name,
            subresource,
            body=encode(value),
            options=self._writing(dry_run, field_manager),
        )
        return await self._write(request, type(value))

    async def update_status(self, value: T_obj, *, field_manager: str = "") -> T_obj:
        """Replace an object's status and nothing else of it."""
        return await self.update(value, subresource="status", field_manager=field_manager)

    async def modify(
        self,
        kind: type[T_obj],
        name: str,
        change: Callable[[T_obj], T_obj | None],
        *,
        namespace: str = "",
        subresource: str = "",
    ) -> T_obj:
        """Read an object, change it, write it back; again from the start when somebody else wrote in between.

        `change` makes a new object of the one it is given, or None when there is nothing to do.
        """
        for attempt in range(limits.MODIFY_ATTEMPTS):
            current = await self.get(kind, name, namespace=namespace)
            wanted = change(current)
            if wanted is None or wanted == current:
                return current
            try:
                return await self.update(wanted, subresource=subresource)
            except ApiError as error:
                if not error.is_conflict or attempt == limits.MODIFY_ATTEMPTS - 1:
                    raise
            await trio.sleep(limits.MODIFY_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    @overload
    async def patch(
        self,
        kind: type[T],
        name: str,
        body: Any,
        *,
        namespace: str = "",
        patch_type: PatchType = "strategic",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        force: bool | None = None,
    ) -> T: ...
    @overload
    async def patch(
        self,
        kind: str,
        name: str,
        body: Any,
        *,
        namespace: str = "",
        patch_type: PatchType = "strategic",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        force: bool | None = None,
    ) -> Any: ...
    async def patch(
        self,
        kind: type[Any] | str,
        name: str,
        body: Any,
        *,
        namespace: str = "",
        patch_type: PatchType = "strategic",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        force: bool | None = None,
    ) -> Any:
        """Change a part of an object. body is a dict or list, a struct, or encoded bytes."""
        resource, into = await self.kinds.find(kind)
        request = _request(
            "patch",
            resource,
            namespace,
            name,
            subresource,
            body=encode(body),
            options=structs.replace(self._writing(dry_run, field_manager), force=force),
            content_type=_PATCHES[patch_type],
        )
        return await self._write(request, type_of(resource, subresource) if subresource else into)

    async def apply(
        self,
        value: T_obj,
        *,
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
        subresource: str = "",
    ) -> T_obj:
        """Server-side apply: the fields in value are as given and belong to the field manager from now on."""
        resource, _ = await self.kinds.find(value)
        namespace, name = namespace_and_name(value)
        options = self._writing(dry_run, field_manager or self.field_manager or "kube-actors")
        request = _request(
            "patch",
            resource,
            namespace,
            name,
            subresource,
            body=encode(value),
            options=structs.replace(options, force=force),
            content_type=messages.APPLY_PATCH,
        )
        return await self._write(request, type(value))

    @overload
    async def delete(
        self,
        kind: type[T],
        name: str,
        *,
        namespace: str = "",
        grace_seconds: int | None = None,
        propagation: Propagation = "",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> T | Status: ...
    @overload
    async def delete(
        self,
        kind: str,
        name: str,
        *,
        namespace: str = "",
        grace_seconds: int | None = None,
        propagation: Propagation = "",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Any: ...
    async def delete(self, kind: type[Any] | str, name: str, *, namespace: str = "", **how: Any) -> Any:
        """Delete an object; with uid or resource_version only if it still is that one (else ApiError 409).

        Gives the object while it still stands (being deleted gracefully), a Status once it is gone.
        """
        resource, into = await self.kinds.find(kind)
        answer = await self.send(_request("delete", resource, namespace, name, body=pods.delete_body(**how)))
        return decode_or_status(answer.body, into)

    async def delete_collection(
        self,
        kind: type[Any] | str,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        **how: Any,
    ) -> None:
        """Delete all objects of a kind that the selectors match; `how` as for delete."""
        resource, _ = await self.kinds.find(kind)
        options = Options(label_selector=label_selector, field_selector=field_selector)
        await self.send(
            _request("deletecollection", resource, namespace, body=pods.delete_body(**how), options=options)
        )

    # Pods

    async def bind(self, name: str, node_name: str, *, namespace: str, uid: str = "") -> None:
        """Assign a pod to a node."""
        await self.send(pods.binding(name, node_name, namespace, uid))

    async def evict(self, name: str, *, namespace: str, **how: Any) -> None:
        """Delete a pod if its disruption budgets allow it (else ApiError 429); `how` as for delete."""
        await self.send(pods.eviction(name, namespace, how))

    async def logs(self, name: str, *, namespace: str, **options: Any) -> str:
        """A container's log as far as it goes. Options: container, previous, timestamps, tail_lines,
        since_seconds, since_time, limit_bytes."""
        request = pods.log(name, namespace, options)
        return (await self.send(request)).body.decode(errors="replace")

    @asynccontextmanager
    async def follow_logs(self, name: str, *, namespace: str, **options: Any) -> AsyncIterator[ByteStream]:
        """A container's log as it is written, in chunks of bytes; options as for `logs`."""
        stream = await self.transport.open_stream(pods.log(name, namespace, {**options, "follow": True}))
        try:
            yield stream
        finally:
            stream.close()

    @asynccontextmanager
    async def exec(
        self, name: str, command: Sequence[str], *, namespace: str, **options: Any
    ) -> AsyncIterator[Session]:
        """Run a command in a container, as a session of frames. Options: container, stdin, stdout, stderr, tty."""
        session = await self.transport.open_session(pods.exec_(name, namespace, command, options))
        try:
            yield session
        finally:
            session.close()

    async def run(
        self, name: str, command: Sequence[str], *, namespace: str, container: str = "", stdin: bytes | None = None
    ) -> ExecResult:
        """Run a command in a container to its end, with its output collected."""
        async with self.exec(
            name, command, namespace=namespace, container=container, stdin=stdin is not None
        ) as session:
            return await pods.collect(session, stdin)

    # Everything else

    async def get_raw(
        self, path: str, *, params: Mapping[str, str] | None = None, accept: str = messages.JSON
    ) -> bytes:
        """The body at a path that is no resource: /version, /healthz, discovery, OpenAPI."""
        request = RawRequest(path=path, params=tuple((params or {}).items()), accept=accept)
        return (await self.send(request)).body

    async def discover(self) -> Sequence[Resource]:
        """What the server says that it serves."""
        return await discovery.discover(self.get_raw)

    async def send(self, request: AnyRequest) -> Answer:
        """Send any request; an ApiError unless the answer says yes. Obeys Retry-After where that is safe."""
        for _ in range(limits.RETRY_AFTER_ATTEMPTS):
            answer = await self.transport.send(request)
            pause = retry_after(answer) if _may_repeat(request, answer) else None
            if pause is None:
                return raise_for_status(answer)
            await trio.sleep(pause)
        return raise_for_status(await self.transport.send(request))

    async def _write(self, request: Request, into: type[T]) -> T:
        return decode((await self.send(request)).body, into)

    def _writing(self, dry_run: bool, field_manager: str) -> Options:
        if not dry_run and not field_manager and not self.field_manager:
            return messages.NO_OPTIONS
        return Options(dry_run=("All",) if dry_run else (), field_manager=field_manager or self.field_manager)


def _request(
    verb: messages.Verb,
    resource: Resource,
    namespace: str = "",
    name: str = "",
    subresource: str = "",
    *,
    body: bytes = b"",
    options: Options = messages.NO_OPTIONS,
    content_type: str = messages.JSON,
) -> Request:
    return Request(
        verb=verb,
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        namespace=namespace if resource.namespaced else "",
        name=name,
        subresource=subresource,
        body=body,
        options=options,
        content_type=content_type,
    )


def _may_repeat(request: AnyRequest, answer: Answer) -> bool:
    """429 means that nothing was done; another failure is repeated only for requests that change nothing."""
    if answer.status == 429:
        return True
    return answer.status in (500, 503, 504) and (isinstance(request, RawRequest) or request.verb in ("get", "list"))
