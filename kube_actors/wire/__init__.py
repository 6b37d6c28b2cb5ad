"""HTTP/1.1, WebSocket and TLS over trio sockets, without Kubernetes words: a server, and a WebSocket client.

Owns bytes, framing, limits and disconnects. Never knows what a request means. `websocket` and
`websocket_client` are imported by their users, since wsproto is heavy.
"""

from .errors import (
    BodyTooLarge,
    Distrust,
    HandshakeFailed,
    ListenError,
    PeerGone,
    Refused,
    Unreachable,
    WebSocketClosed,
    WireError,
)
from .limits import Limits
from .messages import (
    Answer,
    AtOnce,
    Handler,
    HeaderPairs,
    Headers,
    HttpRequest,
    HttpResponse,
    PeerCertificate,
    Send,
    SendNow,
    StreamResponse,
    TunnelUpgrade,
    WebSocketUpgrade,
    choose_subprotocol,
    wants_websocket,
)
from .server import HttpServer, ServerStatistics, listen_tcp, serve_http
from .tls import client_context, server_context

__all__ = [
    "Answer",
    "AtOnce",
    "BodyTooLarge",
    "Distrust",
    "Handler",
    "HandshakeFailed",
    "HeaderPairs",
    "Headers",
    "HttpRequest",
    "HttpResponse",
    "HttpServer",
    "Limits",
    "ListenError",
    "PeerCertificate",
    "PeerGone",
    "Refused",
    "Send",
    "SendNow",
    "ServerStatistics",
    "StreamResponse",
    "TunnelUpgrade",
    "Unreachable",
    "WebSocketClosed",
    "WebSocketUpgrade",
    "WireError",
    "choose_subprotocol",
    "client_context",
    "listen_tcp",
    "serve_http",
    "server_context",
    "wants_websocket",
]
