"""The file with which a node joins: the secret in its first line, the cluster's authority after it.

With the authority in the same file the server is verified from the first byte on.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from .config import ConfigError
from .pki import write_private

TOKEN_FILE = "node-token"


class NodeToken(Struct, frozen=True):
    """The content of a token file."""

    secret: str
    ca: bytes


def write_token(path: Path, token: NodeToken) -> None:
    write_private(path, token.secret.encode() + b"\n" + token.ca.strip() + b"\n")


def read_token(path: str | Path) -> NodeToken:
    """Raises ConfigError naming the file and what is wrong with it."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"token file {path}: cannot be read: {error.strerror}") from None
    secret, _, ca = content.partition(b"\n")
    if not secret.strip() or not secret.isascii():
        raise ConfigError(f"token file {path}: the first line must be the token; copy the file that `up` left")
    if ca.strip() and b"BEGIN CERTIFICATE" not in ca:
        raise ConfigError(f"token file {path}: after the token a PEM certificate is expected")
    return NodeToken(secret.strip().decode(), ca.strip())
