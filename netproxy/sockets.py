"""Sockets made the way the proxy needs them: non-blocking, with the errors of binding told by type.

Owns socket options and the translation of errno into netproxy's errors. Keeps no socket.
"""

import errno
import ipaddress
import socket
import struct

from netproxy import limits
from netproxy.contract import AddressInUse, AddressNotAvailable, BindError, NotPermitted, OutOfSockets

_ABORT = struct.pack("ii", 1, 0)
_IP_FREEBIND = 15
OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound(address: str, port: int, kind: socket.SocketKind, *, freebind: bool = False) -> socket.socket:
    """A socket bound to the address; not listening yet. Raises a BindError that names both."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise BindError(address, port, "not an IP address") from None
    try:
        sock = socket.socket(family_of(address), kind)
    except OSError as error:
        raise bind_error(address, port, error) from error
    try:
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:  # for UDP the option would let two sockets share a port unnoticed
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        elif freebind:
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise bind_error(address, port, error) from error
    return sock


def bind_error(address: str, port: int, error: OSError) -> BindError:
    match error.errno:
        case errno.EADDRINUSE:
            return AddressInUse(address, port)
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return AddressNotAvailable(address, port)
        case errno.EACCES | errno.EPERM:
            return NotPermitted(address, port)
        case number if number in OUT_OF_DESCRIPTORS:
            return OutOfSockets(address, port)
        case _:
            return BindError(address, port, error.strerror or str(error))


def tune(sock: socket.socket) -> None:
    """Small messages go at once, and a peer that vanished is noticed even on a silent connection."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, limits.KEEPALIVE_IDLE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, limits.KEEPALIVE_INTERVAL_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, limits.KEEPALIVE_PROBES)


def reset_on_close(sock: socket.socket) -> None:
    """Closing will send RST instead of FIN: the peer learns that this was no orderly end."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTCONN):  # the peer has reset it already
            raise
