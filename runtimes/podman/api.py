"""podman-py, called from worker threads: one short request of Podman's libpod API at a time.

Owns the connection pool and the thread limit, and knows what a dead service looks like. It decides nothing; what
waits for long (stop, wait, pull) or streams goes over `runtimes.enginesocket` instead, where trio can cancel it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import trio

from runtimes import limits
from runtimes.contract import Unavailable
from runtimes.podman.faults import Doing, fault_of
from runtimes.podman.limits import API_VERSION


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class PodmanApi:
    """A podman-py client whose calls may be awaited. Safe to use from many tasks."""

    def __init__(self, url: str) -> None:
        # lazy: heavy import (requests, urllib3), needed only by those who use Podman
        from podman import PodmanClient

        self.url = url
        self._limiter = trio.CapacityLimiter(limits.CONCURRENT_CALLS)
        self._client: Any = PodmanClient(
            base_url=url,
            version=API_VERSION,
            timeout=limits.CALL_TIMEOUT_SECONDS,
            max_pool_size=limits.CONCURRENT_CALLS,
        )
        _close_what_does_not_connect(self._client.api)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        doing: Doing = "other",
        allow: tuple[int, ...] = (),
        compatible: bool = False,
    ) -> Reply:
        """One request under Podman's libpod path; a refusal is raised unless its status is allowed.

        What only reads may be abandoned when cancelled; what changes something is waited for, so that the caller
        can clean up after it.
        """
        data = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        reply = await trio.to_thread.run_sync(
            self._request,
            method,
            path,
            params,
            data,
            compatible,
            limiter=self._limiter,
            abandon_on_cancel=method == "GET",
        )
        if reply.status >= 400 and reply.status not in allow:
            raise fault_of(reply.status, reply.body, doing)
        return reply

    def _request(
        self, method: str, path: str, params: Mapping[str, Any] | None, data: bytes | None, compatible: bool
    ) -> Reply:
        from podman.errors import APIError  # lazy: heavy import, see __init__

        call = getattr(self._client.api, method.lower())
        body = {} if method == "GET" else {"data": data} if method in ("POST", "PUT") else {}
        headers = {"Content-Type": "application/x-tar" if path == "/images/load" else "application/json"}
        try:
            response = call(path, params=params, headers=headers, compatible=compatible, **body)
        except APIError as error:
            raise Unavailable(f"cannot reach podman at {self.url}: {_root_cause(error)}") from error
        return Reply(response.status_code, response.content)

    def close(self) -> None:
        self._client.close()


def _root_cause(error: BaseException) -> str:
    """The innermost reason, which is the operating system's, without the layers of libraries around it."""
    seen = {id(error)}
    while True:
        inner = error.__cause__ or error.__context__
        if inner is None or id(inner) in seen:
            break
        seen.add(id(inner))
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _close_what_does_not_connect(session: Any) -> None:
    """podman-py drops the socket of a failed connect without closing it, once for every try; close it."""
    from podman.api.uds import UDSConnection, UDSConnectionPool, UDSSocket  # lazy: heavy import

    class Connection(UDSConnection):
        def connect(self) -> None:
            sock: Any = UDSSocket(self.uds)
            sock.settimeout(self.timeout)
            try:
                sock.connect()
            except BaseException:
                sock.close()
                raise
            self.sock = sock

    class Pool(UDSConnectionPool):
        ConnectionCls = Connection

    for adapter in session.adapters.values():
        manager = getattr(adapter, "poolmanager", None)
        if manager is not None and hasattr(adapter, "_pool_kwargs"):
            manager.pool_classes_by_scheme = {"http": Pool, "http+ssh": Pool}
