"""TLS contexts from PEM bytes: 1.2 and newer, HTTP/1.1 by ALPN.

A client certificate is asked for, not demanded. One that no given authority has signed ends the handshake with
the alert `unknown_ca`, where kube-apiserver lets it pass and answers 401. We leave that difference: the standard
library asks for a certificate only when OpenSSL is to verify it, and has no hook for the verdict; to trust every
authority in order to look later, one would have to know them all. pyOpenSSL has the hook, for the price of another
dependency beneath every byte of every connection, through cffi, and of verifying chains ourselves: a whole class of
mistakes for the sake of one error's form. A client learns the cause either way. A certificate that has expired or is
not valid yet does pass (OpenSSL is told not to look at dates), so that whoever authenticates can answer 401 with the
reason; PeerCertificate carries the dates.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL; the ssl module has no name for it


def server_context(certificate: bytes, key: bytes, *, client_ca: bytes | None = None) -> ssl.SSLContext:
    """For a listener; `client_ca` (PEM, may hold several) turns on optional client certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.num_tickets = 1
    load_chain(context, certificate, key)
    if client_ca:
        context.load_verify_locations(cadata=client_ca.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags = ssl.VerifyFlags(int(context.verify_flags) | _NO_CHECK_TIME)
    return context


def client_context(
    *,
    ca: bytes | None = None,
    certificate: bytes | None = None,
    key: bytes | None = None,
    verify: bool = True,
) -> ssl.SSLContext:
    """For a caller. Without `ca` the system's authorities are trusted; `verify=False` trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca:
        context.load_verify_locations(cadata=ca.decode())
    else:
        context.load_default_certs()
    if certificate and key:
        load_chain(context, certificate, key)
    return context


def load_chain(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Certificate chain and key from memory. The ssl module reads files only, so one is lent to it."""
    with _lent_file(certificate.rstrip() + b"\n" + key) as path:
        context.load_cert_chain(path)


@contextlib.contextmanager
def _lent_file(content: bytes) -> Iterator[str]:
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("chain")  # never on a disk
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    descriptor, path = tempfile.mkstemp()  # mode 0600
    try:
        os.write(descriptor, content)
        os.close(descriptor)
        yield path
    finally:
        Path(path).unlink()
