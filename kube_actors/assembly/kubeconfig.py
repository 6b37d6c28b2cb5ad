"""Writes a kubeconfig that kubectl uses as it is: one cluster, one user, one context, everything embedded.

Never merges into a file that somebody else wrote, and never reads one; loading is the client's business.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec

from .config import ConfigError
from .pki import KeyPair, write_private


def kubeconfig(
    server: str,
    ca_certificate: bytes,
    *,
    client: KeyPair | None = None,
    token: str | None = None,
    cluster: str = "kube-actors",
    user: str = "admin",
    namespace: str | None = None,
) -> str:
    """The text of a kubeconfig. JSON, which is YAML as well: no YAML writer is needed to make it."""
    credentials: dict[str, Any] = {}
    if client is not None:
        credentials["client-certificate-data"] = _embed(client.certificate)
        credentials["client-key-data"] = _embed(client.key)
    if token is not None:
        credentials["token"] = token
    context = {"cluster": cluster, "user": user}
    if namespace is not None:
        context["namespace"] = namespace
    name = f"{user}@{cluster}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": server, "certificate-authority-data": _embed(ca_certificate)},
            }
        ],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def write_kubeconfig(path: Path, text: str) -> None:
    """Atomically and readable by the owner only: it holds a private key or a token. Raises ConfigError naming the
    path when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, text.encode())
    except OSError as error:
        raise ConfigError(f"kubeconfig: {path} cannot be written: {error.strerror}") from None


def _embed(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
