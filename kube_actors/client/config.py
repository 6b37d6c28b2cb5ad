"""How to reach an API server over HTTP: address, trust, credentials. A value; nothing is opened here."""

from __future__ import annotations

from msgspec import Struct


class HTTPConfig(Struct, frozen=True, kw_only=True):
    """Where an API server is and who we are to it. Certificates and keys are PEM bytes.

    token_file is read anew from time to time and wins over token. ca empty means the system's authorities;
    insecure means trusting whoever answers. server_name is what the server's certificate must say if it is not
    the address.
    """

    server: str
    namespace: str = "default"
    ca: bytes = b""
    client_certificate: bytes = b""
    client_key: bytes = b""
    token: str = ""
    token_file: str = ""
    insecure: bool = False
    server_name: str = ""
    user_agent: str = "kube-actors"
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without secrets: this ends up in messages."""
        return f"HTTPConfig(server={self.server!r}, namespace={self.namespace!r})"
