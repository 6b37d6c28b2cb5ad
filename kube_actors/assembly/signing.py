"""Certificates for certificate requests: what the signing controller is given to sign with.

Owns how a request becomes a certificate. What may be signed is the controller's to say; the key is the `Pki`'s.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kube_actors.controllers.certificates import Authority, Subject

from .pki import LEAF_DAYS, Pki

if TYPE_CHECKING:
    from cryptography import x509

DAY_SECONDS = 24 * 3600
_KEY_USES = {
    "digital signature": "digital_signature", "signing": "digital_signature", "key encipherment": "key_encipherment",
    "content commitment": "content_commitment", "data encipherment": "data_encipherment",
    "key agreement": "key_agreement", "cert sign": "key_cert_sign", "crl sign": "crl_sign",
}  # fmt: skip
_EXTENDED = {
    "any": "ANY_EXTENDED_KEY_USAGE", "server auth": "SERVER_AUTH", "client auth": "CLIENT_AUTH",
    "code signing": "CODE_SIGNING", "email protection": "EMAIL_PROTECTION", "s/mime": "EMAIL_PROTECTION",
    "timestamping": "TIME_STAMPING", "ocsp signing": "OCSP_SIGNING",
}  # fmt: skip


def authority(pki: Pki) -> Authority:
    """The cluster's authority, for the certificate controllers."""
    return Authority(sign=lambda pem, usages, seconds: sign(pki, pem, usages, seconds), read=read)


def read(pem: bytes) -> Subject:
    """Who a request is for; raises ValueError."""
    from cryptography import x509  # lazy: heavy import
    from cryptography.x509.oid import NameOID

    request = x509.load_pem_x509_csr(pem)
    names = [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = tuple(str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    hosts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    if (asked := _alternatives(request)) is not None:
        addresses = [str(address) for address in asked.get_values_for_type(x509.IPAddress)]
        hosts = (*asked.get_values_for_type(x509.DNSName), *addresses)
        mail, uris = x509.RFC822Name, x509.UniformResourceIdentifier
        others = (*asked.get_values_for_type(mail), *asked.get_values_for_type(uris))
    return Subject(names[0] if names else "", groups, hosts, others)


def _alternatives(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    from cryptography import x509  # lazy: heavy import

    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def sign(pki: Pki, pem: bytes, usages: tuple[str, ...], seconds: int | None) -> bytes:
    """The certificate, PEM; its subject and alternative names are the request's. Raises ValueError."""
    from cryptography import x509  # lazy: heavy import
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    request = x509.load_pem_x509_csr(pem)
    ca, key = pki.authority()
    life = timedelta(seconds=min(seconds or LEAF_DAYS * DAY_SECONDS, LEAF_DAYS * DAY_SECONDS))
    public: Any = request.public_key()
    builder = pki.builder(request.subject, ca.subject, public, life).add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    if (names := _alternatives(request)) is not None:
        builder = builder.add_extension(names, critical=False)
    for extension, critical in _uses(usages):
        builder = builder.add_extension(extension, critical=critical)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return builder.add_extension(issuer, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _uses(usages: tuple[str, ...]) -> list[tuple[x509.ExtensionType, bool]]:
    from cryptography import x509  # lazy: heavy import
    from cryptography.x509.oid import ExtendedKeyUsageOID

    flags = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    flags |= {_KEY_USES[usage]: True for usage in usages if usage in _KEY_USES}
    found: list[tuple[x509.ExtensionType, bool]] = []
    if any(flags.values()):
        found.append((x509.KeyUsage(**flags), True))
    extended = dict.fromkeys(_EXTENDED[usage] for usage in usages if usage in _EXTENDED)
    if extended:
        found.append((x509.ExtendedKeyUsage([getattr(ExtendedKeyUsageOID, name) for name in extended]), False))
    return found
