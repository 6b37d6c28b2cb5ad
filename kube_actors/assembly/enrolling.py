"""How a node gets a certificate of its own: it asks with the token it was given, and waits for the answer.

Owns the key, which never leaves this process, and the request for it. The certificate is kept beside it and used
again while it is good.
"""

from __future__ import annotations

import base64
from pathlib import Path

import trio

from kube_actors.actors import System
from kube_actors.api.types.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestSpec
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.client import Client

from .config import ConfigError
from .pki import KeyPair, write_private

SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
NODES = "system:nodes"
WAIT_SECONDS = 60.0
"""How long the cluster may take to answer a request."""
POLL_SECONDS = 0.2
RENEW_SECONDS = 30 * 24 * 3600


async def enrol(client: Client, name: str, system: System, directory: Path) -> KeyPair:
    """The node's pair; asked for unless a good one is kept. Raises ConfigError when the cluster does not sign."""
    kept = _kept(directory, system.clock.now())
    if kept is not None:
        return kept
    key, pem = _request(name)
    body = CertificateSigningRequest(
        metadata=ObjectMeta(generate_name="csr-"),
        spec=CertificateSigningRequestSpec(
            request=base64.b64encode(pem).decode(),
            signer_name=SIGNER,
            usages=("digital signature", "client auth"),
        ),
    )
    made = await client.create(body)
    with trio.move_on_after(WAIT_SECONDS):
        while True:
            found = await client.get(CertificateSigningRequest, made.metadata.name)
            for condition in found.status.conditions:
                if condition.type in ("Denied", "Failed"):
                    raise ConfigError(f"node {name}: its certificate was refused: {condition.message}")
            if found.status.certificate:
                pair = KeyPair(base64.b64decode(found.status.certificate), key)
                _keep(directory, pair)
                return pair
            await trio.sleep(POLL_SECONDS)
    raise ConfigError(
        f"node {name}: nobody signed its certificate request {made.metadata.name} within {WAIT_SECONDS:g} s; "
        "do the certificate controllers of the cluster run?"
    )


def _request(name: str) -> tuple[bytes, bytes]:
    """A new key and a request for it, PEM."""
    from cryptography import x509  # lazy: heavy import
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec  # lazy: heavy import
    from cryptography.x509.oid import NameOID  # lazy: heavy import

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, NODES),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{name}"),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return private, request.public_bytes(form.Encoding.PEM)


def _keep(directory: Path, pair: KeyPair) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(directory / "kubelet-client.key", pair.key)
    write_private(directory / "kubelet-client.crt", pair.certificate)


def _kept(directory: Path, now: float) -> KeyPair | None:
    """The pair of an earlier start, while it is good for a while longer."""
    from cryptography import x509  # lazy: heavy import
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        pair = KeyPair((directory / "kubelet-client.crt").read_bytes(), (directory / "kubelet-client.key").read_bytes())
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        own = load_pem_private_key(pair.key, None).public_key() == certificate.public_key()
    except (OSError, ValueError):
        return None
    return pair if own and certificate.not_valid_after_utc.timestamp() > now + RENEW_SECONDS else None
