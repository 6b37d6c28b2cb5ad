"""How probes and hooks reach a container over the network: real sockets, or the simulated engine's.

A dialer never decides what an answer means. Errors are OSError (refused, unreachable) and `TimeoutError`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Protocol

import trio
from msgspec import Struct

from . import limits


class HttpTarget(Struct, frozen=True, kw_only=True):
    """An HTTP request to make. Redirects are not followed beyond what the prober asks for."""

    host: str
    port: int
    path: str = "/"
    tls: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}{self.path}"


class Dialer(Protocol):
    async def http(self, target: HttpTarget, timeout: float) -> tuple[int, bytes]:
        """(status code, the beginning of the body)."""
        ...

    async def tcp(self, host: str, port: int, timeout: float) -> None:
        """Connect and hang up."""
        ...


class RuntimeDialer:
    """Asks a function instead of opening sockets: `SimulatedRuntime.http_get`."""

    def __init__(self, http_get: Callable[[str, int, str], tuple[int, bytes]]) -> None:
        self._http_get = http_get

    async def http(self, target: HttpTarget, timeout: float) -> tuple[int, bytes]:
        await trio.lowlevel.checkpoint()
        return self._http_get(target.host, target.port, target.path)

    async def tcp(self, host: str, port: int, timeout: float) -> None:
        await trio.lowlevel.checkpoint()
        self._http_get(host, port, "/")


class SocketDialer:
    """One connection a request, HTTP/1.1 with `Connection: close`, certificates not checked, as the kubelet does."""

    async def tcp(self, host: str, port: int, timeout: float) -> None:
        with _deadline(timeout) as scope:
            stream = await trio.open_tcp_stream(host, port, happy_eyeballs_delay=None)
            await trio.aclose_forcefully(stream)
        if scope.cancelled_caught:
            raise TimeoutError(f"dial tcp {host}:{port}: i/o timeout")

    async def http(self, target: HttpTarget, timeout: float) -> tuple[int, bytes]:
        with _deadline(timeout) as scope:
            return await _request(target)
        assert scope.cancelled_caught
        raise TimeoutError("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")


def _deadline(timeout: float) -> trio.CancelScope:
    return trio.CancelScope(deadline=trio.current_time() + timeout)


async def _request(target: HttpTarget) -> tuple[int, bytes]:
    stream: trio.abc.Stream = await trio.open_tcp_stream(target.host, target.port, happy_eyeballs_delay=None)
    try:
        if target.tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            stream = trio.SSLStream(stream, context, server_hostname=target.host, https_compatible=True)
        await stream.send_all(_head(target))
        return await _answer(stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise ConnectionResetError(f"{target.host}:{target.port}: connection reset by peer") from error
    finally:
        await trio.aclose_forcefully(stream)


def _head(target: HttpTarget) -> bytes:
    headers = {"host": f"{target.host}:{target.port}", "user-agent": "kube-probe/1.36", "accept": "*/*"}
    extra = []
    for name, value in target.headers:
        if name.lower() in headers:
            headers[name.lower()] = value
        else:
            extra.append((name, value))
    lines = [f"GET {target.path} HTTP/1.1"]
    lines += [f"{name.title()}: {value}" for name, value in (*headers.items(), *extra)]
    return ("\r\n".join((*lines, "Connection: close")) + "\r\n\r\n").encode()


async def _answer(stream: trio.abc.Stream) -> tuple[int, bytes]:
    """The status code and the first part of the body, as far as it comes before the limit or the end."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = await stream.receive_some(limits.LOG_CHUNK_BYTES)
        if not chunk:
            raise ConnectionResetError("EOF")
        received += chunk
        if len(received) > limits.LOG_CHUNK_BYTES * 2:
            raise ConnectionResetError("malformed HTTP response: header too long")
    head, _, body = received.partition(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    parts = first.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        raise ConnectionResetError(f'malformed HTTP response "{first[:80].decode(errors="replace")}"')
    wanted = _length(rest)
    while len(body) < min(limits.PROBE_BODY_BYTES, wanted):
        chunk = await stream.receive_some(limits.LOG_CHUNK_BYTES)
        if not chunk:
            break
        body += chunk
    return int(parts[1]), body[: limits.PROBE_BODY_BYTES]


def _length(headers: bytes) -> int:
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return limits.PROBE_BODY_BYTES


def dial_error(host: str, port: int, error: Exception) -> str:
    """A failed connection in Go's words."""
    if isinstance(error, ConnectionRefusedError) or "refused" in str(error):
        return f"dial tcp {host}:{port}: connect: connection refused"
    if isinstance(error, TimeoutError):
        return str(error)
    return f"dial tcp {host}:{port}: {error}"
