"""The standard gRPC health check, spoken in the few HTTP/2 frames that one unary call needs.

Owns exactly one request: grpc.health.v1.Health/Check. No HPACK table is kept and nothing compressed is sent; of the
answer only the DATA frame is read, since it holds the serving status.
"""

from __future__ import annotations

import struct

import trio

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_ACK, _END_STREAM, _END_HEADERS, _PADDED = 1, 1, 4, 8
_SERVING = 1
_MAX_FRAME = 1 << 14


async def check(host: str, port: int, service: str, timeout: float) -> tuple[bool | None, str]:
    """(healthy, what went wrong)."""
    with trio.CancelScope(deadline=trio.current_time() + timeout):
        try:
            stream = await trio.open_tcp_stream(host, port, happy_eyeballs_delay=None)
        except OSError:
            return False, f'timeout: failed to connect service "{host}:{port}" within {timeout:g}s'
        try:
            await stream.send_all(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + _request(f"{host}:{port}", service))
            status = await _status(stream)
        except (trio.BrokenResourceError, ConnectionError) as error:
            return False, f"error: health rpc probe failed: {error}"
        finally:
            await trio.aclose_forcefully(stream)
        if status is None:
            return False, "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        if status == _SERVING:
            return True, "service healthy"
        return False, 'service unhealthy (responded with "NOT_SERVING")'
    return False, "timeout: health rpc did not complete within the deadline"


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(text: str) -> bytes:
    data = text.encode()
    assert len(data) < 127, text
    return bytes([len(data)]) + data


def _request(authority: str, service: str) -> bytes:
    headers = {
        ":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check", ":authority": authority,
        "content-type": "application/grpc", "te": "trailers", "user-agent": "kube-probe/1.36",
    }  # fmt: skip
    block = b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in headers.items())
    name = service.encode()[:120]
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return _frame(_HEADERS, _END_HEADERS, 1, block) + _frame(_DATA, _END_STREAM, 1, body)


async def _read(stream: trio.SocketStream, buffer: bytearray, count: int) -> bytes:
    while len(buffer) < count:
        chunk = await stream.receive_some(_MAX_FRAME)
        if not chunk:
            raise ConnectionResetError("EOF")
        buffer += chunk
    taken = bytes(buffer[:count])
    del buffer[:count]
    return taken


async def _status(stream: trio.SocketStream) -> int | None:
    """The serving status; None when the call ended without an answer."""
    buffer = bytearray()
    body = b""
    while True:
        head = await _read(stream, buffer, 9)
        length = int.from_bytes(head[:3], "big")
        kind, flags, number = head[3], head[4], int.from_bytes(head[5:], "big")
        if length > _MAX_FRAME:
            raise ConnectionResetError("frame too large")
        payload = await _read(stream, buffer, length)
        if kind == _SETTINGS and not flags & _ACK:
            await stream.send_all(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            await stream.send_all(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RESET, _GOAWAY):
            return None
        elif kind == _DATA and number == 1:
            body += payload[1 : len(payload) - payload[0]] if flags & _PADDED and payload else payload
            if len(body) >= 5 and len(body) >= 5 + int.from_bytes(body[1:5], "big"):
                message = body[5:]
                return message[1] if len(message) >= 2 and message[0] == 0x08 else 0
        elif kind == _HEADERS and flags & _END_STREAM:
            return None
