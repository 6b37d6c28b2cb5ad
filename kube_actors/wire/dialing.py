"""How a connection to a server is opened: TCP, and TLS on top.

Owns the opening only. Whoever asks for something takes a `Dial`, so that bytes may go another way than through the
kernel's sockets.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import Protocol

import trio

from .errors import Unreachable
from .limits import Limits
from .transport import TlsTransport, Transport, tune


class Dial(Protocol):
    """Opens a connection. Raises PeerGone."""

    async def __call__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None, server_hostname: str | None, limits: Limits
    ) -> Transport: ...


async def dial_tcp(
    host: str, port: int, *, tls: ssl.SSLContext | None, server_hostname: str | None, limits: Limits
) -> Transport:
    """Over the kernel's TCP. Raises Unreachable naming address and cause, Distrust of a certificate."""
    with trio.move_on_after(limits.handshake_seconds):
        try:
            stream = await trio.open_tcp_stream(host, port)
        except OSError as error:
            raise Unreachable(host, port, _reason(error)) from error
        sock = socket.socket(fileno=stream.socket.detach())
        tune(sock)
        if tls is None:
            return Transport(sock, limits.write_seconds)
        transport = TlsTransport(
            sock, limits.write_seconds, tls, server_side=False, server_hostname=server_hostname or host
        )
        try:
            await transport.handshake()
        except BaseException:
            transport.close()
            raise
        return transport
    raise Unreachable(host, port, "i/o timeout", timed_out=True)


def _reason(error: BaseException) -> str:
    """What the system said. trio puts its own sentence before it, one for all addresses of the host."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    number = error.errno if isinstance(error, OSError) and not isinstance(error, socket.gaierror) else None
    return os.strerror(number) if number else getattr(error, "strerror", None) or str(error)
