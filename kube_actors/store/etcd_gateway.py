"""etcd's v3 API through its HTTP gateway: the calls that the engine makes, and nothing of the engine.

Owns the HTTP client and the wire format. Never keeps state between calls and never retries.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from kube_actors.store.contract import StoreError, StoreFull

CONNECTIONS = 64
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0

CODE_OUT_OF_RANGE = 11
"""gRPC's code for a revision that is compacted, or not written yet."""
CODE_RESOURCE_EXHAUSTED = 8


class KeyValue(msgspec.Struct, frozen=True):
    """Bytes are base64 on the wire; the gateway leaves out what is zero or empty."""

    key: bytes
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0


class Header(msgspec.Struct, frozen=True):
    revision: int = 0


class RangeAnswer(msgspec.Struct, frozen=True):
    header: Header = Header()
    kvs: tuple[KeyValue, ...] = ()
    more: bool = False


class PutAnswer(msgspec.Struct, frozen=True):
    prev_kv: KeyValue | None = None


class DeleteAnswer(msgspec.Struct, frozen=True):
    prev_kvs: tuple[KeyValue, ...] = ()


class PartAnswer(msgspec.Struct, frozen=True):
    response_range: RangeAnswer | None = None
    response_put: PutAnswer | None = None
    response_delete_range: DeleteAnswer | None = None


class TxnAnswer(msgspec.Struct, frozen=True):
    header: Header = Header()
    succeeded: bool = False
    responses: tuple[PartAnswer, ...] = ()


class WatchedEvent(msgspec.Struct, frozen=True):
    kv: KeyValue
    type: str = "PUT"


class WatchAnswer(msgspec.Struct, frozen=True):
    header: Header = Header()
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    events: tuple[WatchedEvent, ...] = ()


class _WatchLine(msgspec.Struct, frozen=True):
    result: WatchAnswer | None = None
    error: Any = None


class _ErrorAnswer(msgspec.Struct, frozen=True):
    message: str = ""
    code: int = 0


class GatewayError(StoreError):
    """etcd could not be reached, or refused; `code` is gRPC's, 0 if there was no answer."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class WatchConnection:
    """One open watch: answers in order, for one reader."""

    def __init__(self, url: str, parts: AsyncIterator[bytes]) -> None:
        self._url = url
        self._parts = parts
        self._rest = b""

    async def receive(self) -> list[WatchAnswer]:
        """The answers that have arrived, perhaps none yet. Raises GatewayError when the connection has ended."""
        try:
            part = await anext(self._parts)
        except StopAsyncIteration:
            raise GatewayError(f"etcd at {self._url} ended a watch") from None
        if b"\n" not in part:
            self._rest += part
            return []
        *lines, self._rest = (self._rest + part).split(b"\n")
        return [self._answer(line) for line in lines if line]

    async def unwind(self) -> None:
        """Ends the HTTP client's nested generators from within: one that is left suspended is reported as leaked."""
        with trio.CancelScope() as scope:
            scope.cancel()
            async for _ in self._parts:
                pass

    def _answer(self, line: bytes) -> WatchAnswer:
        answer = msgspec.json.decode(line, type=_WatchLine, strict=False)
        if answer.result is None:
            raise GatewayError(f"etcd at {self._url} ended a watch: {answer.error}")
        return answer.result


class Gateway:
    """One etcd at one URL."""

    def __init__(self, url: str) -> None:
        import httpx  # lazy: heavy import

        self.url = url.rstrip("/")
        self._failures: type[Exception] = httpx.HTTPError
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=None)
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._client: httpx.AsyncClient = httpx.AsyncClient(
            timeout=timeout, limits=limits, trust_env=False, headers={"Accept-Encoding": "identity"}
        )
        self._endless = httpx.Timeout(None, connect=CONNECT_SECONDS)

    async def range(self, key: bytes, end: bytes = b"", *, revision: int = 0, limit: int = 0) -> RangeAnswer:
        body = {"key": key, "range_end": end, "revision": revision, "limit": limit}
        return msgspec.json.decode(await self._call("kv/range", body), type=RangeAnswer, strict=False)

    async def txn(
        self, compare: list[dict[str, object]], success: list[dict[str, object]], failure: list[dict[str, object]]
    ) -> TxnAnswer:
        body: dict[str, object] = {"compare": compare, "success": success, "failure": failure}
        return msgspec.json.decode(await self._call("kv/txn", body), type=TxnAnswer, strict=False)

    async def compact(self, revision: int) -> None:
        await self._call("kv/compaction", {"revision": revision})

    @asynccontextmanager
    async def watch(self, key: bytes, end: bytes, start: int) -> AsyncIterator[WatchConnection]:
        """A watch of the keys from `key` up to `end`, from the revision `start` on. Raises GatewayError."""
        create = {"key": key, "range_end": end, "start_revision": start, "progress_notify": True}
        content = msgspec.json.encode({"create_request": create})
        try:
            async with self._client.stream(
                "POST", f"{self.url}/v3/watch", content=content, timeout=self._endless
            ) as response:
                if response.status_code != 200:
                    raise self._refused(await response.aread(), response.status_code)
                connection = WatchConnection(self.url, response.aiter_raw())
                try:
                    yield connection
                finally:
                    await connection.unwind()
        except self._failures as error:
            raise self._unreachable(error) from error

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _call(self, path: str, body: dict[str, object]) -> bytes:
        try:
            response = await self._client.post(f"{self.url}/v3/{path}", content=msgspec.json.encode(body))
        except self._failures as error:
            raise self._unreachable(error) from error
        if response.status_code != 200:
            raise self._refused(response.content, response.status_code)
        return response.content

    def _unreachable(self, error: Exception) -> GatewayError:
        return GatewayError(f"etcd at {self.url} does not answer: {error or type(error).__name__}")

    def _refused(self, content: bytes, status: int) -> StoreError:
        try:
            answer = msgspec.json.decode(content, type=_ErrorAnswer)
        except msgspec.DecodeError:
            return GatewayError(f"{self.url} is not an etcd gateway: it answers {status}")
        if answer.code == CODE_RESOURCE_EXHAUSTED:
            return StoreFull(f"etcd at {self.url} is full: {answer.message}")
        return GatewayError(f"etcd at {self.url}: {answer.message}", answer.code)
