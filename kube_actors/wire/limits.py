"""The named limits of one HTTP server. Owns numbers only; what happens at a limit is said beside each."""

from __future__ import annotations

import msgspec

KIB = 1024
MIB = 1024 * 1024

RECEIVE_BYTES = 64 * KIB  # one read from a socket
TLS_SLICE_BYTES = 256 * KIB  # plaintext encrypted before it is sent, so that a big answer is not held twice
SMALL_BYTES = 64 * KIB  # an answer up to this is never compressed and leaves with its head in one write
MOVE_TO_THREAD_BYTES = 1 * MIB  # compression of more than this would hold up every other connection
ACCEPT_RETRY_SECONDS = 0.1  # pause when the process has run out of file descriptors
ALERT_SECONDS = 0.5  # for a peer to read why its TLS handshake failed
TCP_KEEPALIVE_SECONDS = 30  # a peer that vanished without a FIN is noticed by the kernel's probes


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one server grants its clients."""

    connections: int = 10_000  # at the limit the longest idle connection makes room, else accepting waits
    backlog: int = 1024  # connections the kernel holds until they are accepted
    head_bytes: int = 128 * KIB  # request line and headers; more is 431
    target_bytes: int = 64 * KIB  # request target; more is 414
    headers: int = 256  # header lines; more is 431
    body_bytes: int = 3 * MIB  # more raises BodyTooLarge in the handler (413)
    pipelined: int = 32  # requests read ahead of their answers; then reading waits
    stream_buffer_bytes: int = 256 * KIB  # of a streamed answer; then its producer waits
    gzip_bytes: int = 128 * KIB  # bigger answers are compressed for clients that accept it; 0 = never
    message_bytes: int = 32 * MIB  # one WebSocket message; more closes with 1009
    messages_bytes: int = 1 * MIB  # WebSocket messages received and not yet taken; then reading waits
    handshake_seconds: float = 10.0  # TLS handshake
    head_seconds: float = 30.0  # from a request's first byte until its headers are complete
    body_seconds: float = 60.0  # from there until its body is complete
    idle_seconds: float = 120.0  # between two requests
    write_seconds: float = 30.0  # a peer that takes no byte for so long is cut off
    linger_seconds: float = 2.0  # to let a refused client read its refusal before the connection is reset
    half_close_seconds: float = 0.5  # a client that closed its sending side may still get a quick answer
    close_seconds: float = 2.0  # for the peer's half of a WebSocket close
    drain_seconds: float = 5.0  # at shutdown, for requests under way

    @property
    def sweep_seconds(self) -> float:
        """How often the deadlines above are looked at: one task for all connections, no timer per request."""
        shortest = min(self.handshake_seconds, self.head_seconds, self.body_seconds, self.idle_seconds)
        return max(0.02, min(1.0, shortest / 4))
