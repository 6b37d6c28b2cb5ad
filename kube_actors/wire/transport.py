"""Bytes over one TCP connection, plain or TLS, with as little between socket and caller as trio allows.

Reading waits first and then reads: on a request-and-answer connection the data is never there yet, and every
read is a checkpoint. Writing tries first and waits only when the kernel's buffer is full, so an ordinary answer
costs one system call and no trip through the scheduler. (trio's SocketStream yields once more on each.)
A lock is taken only on the slow path; it keeps a pong from landing in the middle of another message.

What lies beneath is whatever behaves as a non-blocking socket does; how to wait for it is two methods of `Transport`.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any, Protocol

import trio

from .encode import PLAIN_HTTP_TO_TLS
from .errors import Distrust, PeerGone
from .limits import ALERT_SECONDS, RECEIVE_BYTES, TCP_KEEPALIVE_SECONDS, TLS_SLICE_BYTES
from .messages import PeerCertificate


def tune(sock: socket.socket) -> None:
    """Non-blocking, no Nagle delay, and probes for peers that vanish silently."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, TCP_KEEPALIVE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, TCP_KEEPALIVE_SECONDS // 3)


class Pipe(Protocol):
    """What a transport asks of a non-blocking socket; BlockingIOError where it would have to wait."""

    def recv(self, size: int, flags: int = 0, /) -> bytes: ...

    def send(self, data: bytes | memoryview, /) -> int: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


class Transport:
    """A plain connection. One task receives; any may send."""

    secure = False

    def __init__(self, sock: Pipe, write_seconds: float) -> None:
        self._sock = sock
        self._write_seconds = write_seconds
        self._lock = trio.Lock()
        self._broken = False  # a message was left half sent
        self._rest: bytes | memoryview = b""  # of a message that `send_now` took and the kernel did not
        self.certificate: PeerCertificate | None = None

    async def handshake(self) -> None:
        """Nothing to agree on for plain connections."""

    async def receive(self) -> bytes:
        """Some bytes; empty at the peer's end of stream. Raises PeerGone on a reset."""
        return await self._receive_raw()

    async def _readable(self) -> None:
        """Until there is something to read, the end included."""
        await trio.lowlevel.wait_readable(self._sock)  # type: ignore[arg-type]  # a socket, unless a subclass says else

    async def _writable(self) -> None:
        await trio.lowlevel.wait_writable(self._sock)  # type: ignore[arg-type]  # as above

    def quiet(self) -> bool:
        """Whether an idle connection is still good: nothing has come on it, not even its end."""
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    async def _receive_raw(self) -> bytes:
        while True:
            await self._readable()
            try:
                return self._sock.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise PeerGone(f"connection lost: {error.strerror}") from None

    def _try_send(self, data: bytes | memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise PeerGone(f"connection lost: {error.strerror}") from None

    async def send(self, data: bytes) -> None:
        """All of the bytes, in one piece. Raises PeerGone on a reset or when the peer takes none for too long."""
        if self._lock.locked() or self._rest:
            async with self._lock:
                await self._push_rest()
                await self._push(data)
            return
        sent = self._try_send(data)
        if sent < len(data):
            self._lock.acquire_nowait()
            try:
                await self._push(memoryview(data)[sent:])
            finally:
                self._lock.release()

    def send_now(self, data: bytes) -> bool:
        """As `send`, without waiting. What the kernel does not take at once is kept for `settle`, which must then be
        awaited. False, and nothing is taken, while something else is on its way."""
        if self._lock.locked() or self._rest or self._broken:
            return False
        ready = self._outgoing(data)
        sent = self._try_send(ready)
        if sent < len(ready):
            self._rest = memoryview(ready)[sent:]
        return True

    def _outgoing(self, data: bytes) -> bytes:
        """The bytes as they go out."""
        return data

    @property
    def settled(self) -> bool:
        """Whether nothing is left of what `send_now` took."""
        return not self._rest

    async def settle(self) -> None:
        """Send what `send_now` could not. Raises PeerGone as `send` does."""
        if self._rest:
            async with self._lock:
                await self._push_rest()

    async def _push_rest(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            await self._push(rest)

    async def _push(self, data: bytes | memoryview) -> None:
        if self._broken:
            raise PeerGone("an earlier message was cut short")
        rest = memoryview(data)
        self._broken = True
        while rest:
            sent = self._try_send(rest)
            rest = rest[sent:]
            if not sent:
                with trio.move_on_after(self._write_seconds) as scope:
                    await self._writable()
                if scope.cancelled_caught:
                    raise PeerGone(f"peer took no data for {self._write_seconds:g} s")
        self._broken = False

    def send_eof(self) -> None:
        """Tell the peer that nothing more comes, while it may still be sending."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the peer was faster

    def close(self) -> None:
        trio.lowlevel.notify_closing(self._sock)  # type: ignore[arg-type]  # as above
        self._sock.close()


class TlsTransport(Transport):
    """TLS by way of memory BIOs, so that encryption adds no wake-ups of its own."""

    secure = True

    def __init__(
        self,
        sock: Pipe,
        write_seconds: float,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        server_side: bool = True,
    ) -> None:
        super().__init__(sock, write_seconds)
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side, server_hostname=server_hostname)

    async def handshake(self) -> None:
        """Raises PeerGone with the reason; the peer has then been sent the TLS alert that belongs to it."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
                continue
            except ssl.SSLError as error:
                await self._say_why(error)
                raise _kind(error)(f"TLS handshake failed: {_reason(error)}") from None
            break
        await self._flush()
        self.certificate = _peer_certificate(self._tls)

    async def _say_why(self, error: ssl.SSLError) -> None:
        if error.reason == "HTTP_REQUEST":
            self._try_send(PLAIN_HTTP_TO_TLS)
        else:
            await self._flush()
        super().send_eof()
        # The peer may be sending already; closing with that unread would reset the connection, alert and all.
        with trio.move_on_after(ALERT_SECONDS):
            while await self._receive_raw():
                pass

    async def _fill(self) -> None:
        data = await self._receive_raw()
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    async def _flush(self) -> None:
        """Send what TLS itself wants to say; if somebody is sending, that task takes it along."""
        if self._out.pending and not self._lock.locked():
            async with self._lock:
                await self._push_rest()
                await self._push_pending()

    async def _push_pending(self) -> None:
        while self._out.pending:
            await self._push(self._out.read())

    def quiet(self) -> bool:
        """Session tickets come on an idle connection, and are nothing to worry about."""
        try:
            while data := self._sock.recv(RECEIVE_BYTES):
                self._in.write(data)
            return False
        except BlockingIOError:
            pass
        except OSError:
            return False
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLError:
            return False
        return False

    async def receive(self) -> bytes:
        if not self._in.pending and not self._tls.pending():
            await self._fill()
        while True:
            try:
                return self._tls.read(RECEIVE_BYTES)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise _kind(error)(f"TLS failed: {_reason(error)}") from None

    async def send(self, data: bytes) -> None:
        if not data:
            return
        if self._lock.locked() or self._rest or len(data) > TLS_SLICE_BYTES:
            async with self._lock:
                await self._push_rest()
                view = memoryview(data)
                for start in range(0, len(view), TLS_SLICE_BYTES):
                    self._encrypt(view[start : start + TLS_SLICE_BYTES])
                    await self._push_pending()
            return
        self._encrypt(data)
        cipher = self._out.read()
        sent = self._try_send(cipher)
        if sent < len(cipher):
            self._lock.acquire_nowait()
            try:
                await self._push(memoryview(cipher)[sent:])
                await self._push_pending()
            finally:
                self._lock.release()

    def _outgoing(self, data: bytes) -> bytes:
        self._encrypt(data)
        return self._out.read()

    def _encrypt(self, data: bytes | memoryview) -> None:
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise _kind(error)(f"TLS failed: {_reason(error)}") from None

    def _say_goodbye(self) -> None:
        """Best effort: close_notify if it can be sent at once."""
        if self._lock.locked() or self._rest:
            return
        try:
            self._tls.unwrap()
        except (ssl.SSLError, ValueError):
            pass  # it waits for the peer's close_notify, which nobody needs; ours is in the BIO
        try:
            if self._out.pending:
                self._sock.send(self._out.read())
        except OSError:
            return  # the peer was faster

    def send_eof(self) -> None:
        self._say_goodbye()
        super().send_eof()

    def close(self) -> None:
        self._say_goodbye()
        super().close()


def _kind(error: ssl.SSLError) -> type[PeerGone]:
    """One side that does not trust the other's certificate is no passing trouble."""
    distrust = isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (error.reason or "")
    return Distrust if distrust else PeerGone


def _reason(error: ssl.SSLError) -> str:
    reason = (error.reason or str(error)).lower().replace("_", " ")
    return f"{reason}: {error.verify_message}" if isinstance(error, ssl.SSLCertVerificationError) else reason


def _peer_certificate(tls: ssl.SSLObject) -> PeerCertificate | None:
    der = tls.getpeercert(binary_form=True)
    facts: Any = tls.getpeercert()
    if not der or not facts:
        return None
    names = [(str(name), str(value)) for relative in facts["subject"] for name, value in relative]
    return PeerCertificate(
        common_name=next((value for name, value in names if name == "commonName"), ""),
        organizations=tuple(value for name, value in names if name == "organizationName"),
        not_before=float(ssl.cert_time_to_seconds(str(facts["notBefore"]))),
        not_after=float(ssl.cert_time_to_seconds(str(facts["notAfter"]))),
        serial=str(facts["serialNumber"]),
        der=der,
    )
