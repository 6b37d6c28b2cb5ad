"""Everything that wire raises. One base, so that a caller can tell the network from its own mistakes."""

from __future__ import annotations


class WireError(Exception):
    """Base of all errors of this package."""


class ListenError(WireError):
    """The address cannot be listened on; the text names the address and the cause."""


class PeerGone(WireError):
    """The other side reset the connection, or took no byte for too long."""


class Unreachable(PeerGone):
    """No connection came about; `reason` is what the system said, `timed_out` that it said nothing."""

    def __init__(self, host: str, port: int, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(f"cannot connect to {host}:{port}: {reason}")
        self.reason = reason
        self.timed_out = timed_out


class Distrust(PeerGone):
    """One side of TLS does not trust the other: trying again changes nothing."""


class Refused(WireError):
    """The bytes are no acceptable HTTP request; `status` is what the client is told."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class BodyTooLarge(WireError):
    """The request's body exceeds the limit and was not read. Left uncaught by a handler it becomes 413."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"request body is larger than the limit of {limit} bytes")
        self.limit = limit


class HandshakeFailed(WireError):
    """No WebSocket came about: `status` and `body` are the server's answer (0 and empty: there was none)."""

    def __init__(self, reason: str, status: int = 0, body: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.body = body


class WebSocketClosed(WireError):
    """The WebSocket is closed; code 1006 means that the connection broke without a closing handshake."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"WebSocket closed with code {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason
