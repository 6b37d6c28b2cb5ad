"""HTTP/1.1 to a container engine's own socket, for what client libraries cannot do: streams in both directions.

Owns one connection per call: request out, head in, then a body (chunked, counted or until the end) or, after an
upgrade, the raw stream with half-close. It knows no engine's paths; `enginestreams` does. A missing socket, a
refused or a broken connection is Unavailable.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import trio

from runtimes import limits
from runtimes.contract import InvalidConfig, Unavailable


class EngineSocket:
    """Where an engine listens: `unix:///path` or `tcp://host:port`."""

    def __init__(self, url: str) -> None:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in ("unix", "http+unix", "tcp", "http"):
            raise InvalidConfig(f"cannot use the engine address {url!r}: expected unix://PATH or tcp://HOST:PORT")
        self.url = url
        self._path = rest if scheme.endswith("unix") else ""
        self._host, _, self._port = ("", "", "") if self._path else rest.rstrip("/").rpartition(":")

    async def connect(self) -> trio.abc.HalfCloseableStream:
        try:
            with trio.fail_after(limits.CONNECT_TIMEOUT_SECONDS):
                if self._path:
                    return await trio.open_unix_socket(self._path)
                return await trio.open_tcp_stream(self._host, int(self._port))
        except (OSError, trio.TooSlowError) as error:
            reason = getattr(error, "strerror", None) or "no answer"
            raise Unavailable(f"cannot reach the engine at {self.url}: {reason}") from error

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        upgrade: bool = False,
    ) -> Response:
        """Send one request and read the answer's head; the caller closes the response."""
        lines = [f"{method} {path} HTTP/1.1", "Host: engine"]
        if upgrade:
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        else:
            lines.append("Connection: close")
        if body:
            lines.append("Content-Type: application/json")
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        stream = await self.connect()
        try:
            await stream.send_all("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            return await _read_head(stream, self.url)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            await trio.aclose_forcefully(stream)
            raise Unavailable(f"the engine at {self.url} hung up") from error
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise

    async def call(self, method: str, path: str, *, body: bytes = b"") -> tuple[int, bytes]:
        """A whole small exchange: status and body."""
        response = await self.request(method, path, body=body)
        try:
            return response.status, await response.read()
        finally:
            await response.aclose()


async def _read_head(stream: trio.abc.HalfCloseableStream, url: str) -> Response:
    buffer = b""
    while True:
        end = buffer.find(b"\r\n\r\n")
        if end >= 0:
            break
        if len(buffer) > limits.HEAD_BYTES:
            raise Unavailable(f"what listens at {url} does not speak HTTP")
        received = await stream.receive_some(limits.READ_BYTES)
        if not received:
            raise Unavailable(f"the engine at {url} hung up")
        buffer += received
    first, *rest = buffer[:end].decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/") or not parts[1].isdigit():
        raise Unavailable(f"what listens at {url} does not speak HTTP")
    headers = {}
    for line in rest:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Response(stream, url, int(parts[1]), headers, buffer[end + 4 :])


class Response:
    """An answer whose body is still to come. One task may receive while another sends (after an upgrade)."""

    def __init__(
        self,
        stream: trio.abc.HalfCloseableStream,
        url: str,
        status: int,
        headers: dict[str, str],
        buffered: bytes,
    ) -> None:
        self.status = status
        self.headers = headers
        self._stream = stream
        self._url = url
        self._buffer = bytearray(buffered)
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "")
        self._left: int | None = int(length) if length.isdigit() and not self._chunked else None
        if self._chunked:
            self._left = 0
        self._ended = status in (204, 304)

    @property
    def upgraded(self) -> bool:
        """Whether the connection is a raw stream now (101, or an engine's old-fashioned hijacked 200)."""
        return self.status == 101 or (self.status == 200 and not self._chunked and "content-length" not in self.headers)

    async def receive(self) -> bytes:
        """The next piece of the body, decoded; empty at its end. Unavailable if it breaks off."""
        if self._ended:
            return b""
        if self._chunked and self._left == 0 and not await self._next_chunk():
            return b""
        if self._left == 0:
            self._ended = True
            return b""
        if not self._buffer and not await self._fill():
            if self._left is None:
                self._ended = True
                return b""
            raise Unavailable(f"the engine at {self._url} hung up in the middle of an answer")
        piece = bytes(self._buffer if self._left is None else self._buffer[: self._left])
        del self._buffer[: len(piece)]
        if self._left is not None:
            self._left -= len(piece)
            if self._left == 0 and self._chunked:
                await self._line()
        return piece

    async def _next_chunk(self) -> bool:
        size = (await self._line()).split(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError as error:
            raise Unavailable(f"the engine at {self._url} sent a malformed answer") from error
        if self._left == 0:
            self._ended = True
        return not self._ended

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if not await self._fill():
                raise Unavailable(f"the engine at {self._url} hung up in the middle of an answer")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _fill(self) -> bool:
        try:
            received = await self._stream.receive_some(limits.READ_BYTES)
        except trio.BrokenResourceError:
            return False
        self._buffer += received
        return bool(received)

    async def read(self) -> bytes:
        pieces = []
        while piece := await self.receive():
            pieces.append(piece)
        return b"".join(pieces)

    async def error_message(self) -> str:
        """The cause that an engine puts into the body of a refusal, as one line."""
        body = await self.read()
        return message_of(body) or f"the engine answered {self.status}"

    async def send(self, data: bytes) -> None:
        """Only after an upgrade. Raises trio.BrokenResourceError when the other side no longer reads."""
        await self._stream.send_all(data)

    async def send_eof(self) -> None:
        try:
            await self._stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            # The other side is gone already, so it has seen the end in its own way.
            await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


def message_of(body: bytes) -> str:
    """The "message" (Docker) or "cause"/"message" (Podman) of an engine's error body; the body itself if plain."""
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return " ".join(body.decode("utf-8", "replace").split())
    if isinstance(decoded, dict):
        return " ".join(str(decoded.get("message") or decoded.get("cause") or "").split())
    return ""
