"""The cluster's keys and certificates: one authority, and what it signs. ECDSA P-256 throughout.

Owns how a certificate is made and when one must be made again. Time and serial numbers are inputs. A `Pki` lives
in memory, or in a directory where it is found again on restart; nothing here listens or connects.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

CA_YEARS = 10
LEAF_DAYS = 365
RENEW_DAYS = 30  # a certificate with less life left is made again at start
CA_NAME = "kubernetes"

_KUBERNETES_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


class KeyPair(msgspec.Struct, frozen=True):
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes


class Pki:
    """Signs with one authority. `now` gives seconds since the epoch, `serial` a fresh positive 159-bit number.

    With a directory every pair is kept there (mode 0600) and reused while it is good; without one all is
    remembered for this object's life only. The same name asked for twice gives the same pair.
    """

    def __init__(self, now: Callable[[], float], serial: Callable[[], int], directory: Path | None = None) -> None:
        self._now = now
        self._serial = serial
        self._directory = directory
        self._pairs: dict[str, KeyPair] = {}
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Clients hold the authority in their kubeconfig, so it is replaced only when nobody could use it.
        self._ca = self._kept("ca", lambda pair: self._lives(pair, 0)) or self._make_ca()
        self._signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None

    @property
    def ca_certificate(self) -> bytes:
        """The authority's certificate, PEM: what everybody in the cluster trusts."""
        return self._ca.certificate

    def serving(self, name: str, hosts: Sequence[str]) -> KeyPair:
        """A server's pair for these host names and addresses; made again when they change."""
        wanted = tuple(dict.fromkeys(_normal(host) for host in hosts))
        kept = self._kept(name, lambda pair: self._good_leaf(pair) and _hosts(pair) == set(wanted))
        return kept or self._make_leaf(name, common_name=name, organizations=(), hosts=wanted)

    def apiserver(
        self, hosts: Sequence[str] = (), service_ip: str = "10.96.0.1", domain: str = "cluster.local"
    ) -> KeyPair:
        """The API server's pair: the names under which pods and people know it, and `hosts`."""
        fixed = (*_KUBERNETES_NAMES, f"kubernetes.default.svc.{domain}", "127.0.0.1", "::1", service_ip)
        return self.serving("kube-apiserver", (*fixed, *hosts))

    def client(self, user: str, groups: Sequence[str] = (), *, hosts: Sequence[str] = ()) -> KeyPair:
        """A client's pair: user is the common name, groups the organizations. With `hosts` it may also serve."""
        wanted = tuple(dict.fromkeys(groups))
        names = tuple(dict.fromkeys(_normal(host) for host in hosts))

        def usable(pair: KeyPair) -> bool:
            return self._good_leaf(pair) and _subject(pair) == (user, wanted) and _hosts(pair) == set(names)

        name = f"client-{_file_name(user)}"
        kept = self._kept(name, usable)
        return kept or self._make_leaf(name, common_name=user, organizations=wanted, hosts=names, client=True)

    def service_account_key(self) -> bytes:
        """The private key that signs service-account tokens, PEM."""
        path = self._path("sa.key")
        if "sa" not in self._pairs:
            if path is not None and path.exists():
                key = path.read_bytes()
            else:
                key = _key_pem(_new_key())
                if path is not None:
                    write_private(path, key)
            self._pairs["sa"] = KeyPair(b"", key)
        return self._pairs["sa"].key

    # -- keeping ------------------------------------------------------------------------------------------

    def _path(self, file_name: str) -> Path | None:
        return None if self._directory is None else self._directory / file_name

    def _kept(self, name: str, usable: Callable[[KeyPair], bool]) -> KeyPair | None:
        pair = self._pairs.get(name)
        if pair is None:
            certificate, key = self._path(f"{name}.crt"), self._path(f"{name}.key")
            if certificate is None or key is None or not certificate.exists() or not key.exists():
                return None
            pair = KeyPair(certificate.read_bytes(), key.read_bytes())
            if not _belong_together(pair):  # killed between the two writes
                return None
        if not usable(pair):
            return None
        self._pairs[name] = pair
        return pair

    def _keep(self, name: str, pair: KeyPair) -> KeyPair:
        self._pairs[name] = pair
        certificate, key = self._path(f"{name}.crt"), self._path(f"{name}.key")
        if certificate is not None and key is not None:
            write_private(key, pair.key)
            write_private(certificate, pair.certificate)
        return pair

    def _lives(self, pair: KeyPair, days: int) -> bool:
        from cryptography import x509  # lazy: heavy import

        certificate = x509.load_pem_x509_certificate(pair.certificate)
        return certificate.not_valid_after_utc > self._today() + timedelta(days=days)

    def _good_leaf(self, pair: KeyPair) -> bool:
        """It will live for a while, and it was signed by the authority of today."""
        from cryptography import x509  # lazy: heavy import
        from cryptography.exceptions import InvalidSignature

        if not self._lives(pair, RENEW_DAYS):
            return False
        try:
            x509.load_pem_x509_certificate(pair.certificate).verify_directly_issued_by(self.authority()[0])
        except (InvalidSignature, ValueError):
            return False
        return True

    # -- making -------------------------------------------------------------------------------------------

    def _today(self) -> datetime:
        return datetime.fromtimestamp(int(self._now()), UTC)

    def authority(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        from cryptography import x509  # lazy: heavy import

        if self._signer is None:
            self._signer = (x509.load_pem_x509_certificate(self._ca.certificate), _load_key(self._ca.key))
        return self._signer

    def _make_ca(self) -> KeyPair:
        from cryptography import x509  # lazy: heavy import
        from cryptography.hazmat.primitives import hashes

        key = _new_key()
        name = _name(CA_NAME, ())
        usage = _usage(key_cert_sign=True, digital_signature=True)
        builder = (
            self.builder(name, name, key.public_key(), timedelta(days=365 * CA_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return self._keep("ca", _pair(builder.sign(key, hashes.SHA256()), key))

    def _make_leaf(
        self,
        name: str,
        *,
        common_name: str,
        organizations: tuple[str, ...],
        hosts: tuple[str, ...],
        client: bool = False,
    ) -> KeyPair:
        from cryptography import x509  # lazy: heavy import
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509.oid import ExtendedKeyUsageOID

        ca, ca_key = self.authority()
        key = _new_key()
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH] if client else []
        uses += [ExtendedKeyUsageOID.SERVER_AUTH] if hosts or not client else []
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        builder = (
            self.builder(_name(common_name, organizations), ca.subject, key.public_key(), timedelta(days=LEAF_DAYS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(issuer, critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return self._keep(name, _pair(builder.sign(ca_key, hashes.SHA256()), key))

    def builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
    ) -> x509.CertificateBuilder:
        from cryptography import x509  # lazy: heavy import

        now = self._today()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(self._serial())
            .not_valid_before(now - timedelta(minutes=5))  # clocks of other hosts may lag
            .not_valid_after(now + life)
        )


def write_private(path: Path, content: bytes) -> None:
    """Atomically, readable by the owner only from the first byte on, and on the disk before it has its name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _file_name(user: str) -> str:
    """Reversible, so that two users never share a file: everything unusual becomes %XX."""
    return "".join(c if (c.isalnum() and c.isascii()) or c in "-_" else f"%{c.encode().hex()}" for c in user)


def _new_key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # lazy: heavy import

    return ec.generate_private_key(ec.SECP256R1())


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # lazy: heavy import
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "the authority's key is not an elliptic curve key"
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as form  # lazy: heavy import

    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    from cryptography.hazmat.primitives.serialization import Encoding  # lazy: heavy import

    return KeyPair(certificate.public_bytes(Encoding.PEM), _key_pem(key))


def _belong_together(pair: KeyPair) -> bool:
    from cryptography import x509  # lazy: heavy import
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        return certificate.public_key() == load_pem_private_key(pair.key, None).public_key()
    except ValueError:
        return False


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    from cryptography import x509  # lazy: heavy import
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    from cryptography import x509  # lazy: heavy import

    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _normal(host: str) -> str:
    """One spelling for each address, so that another spelling does not make a new certificate."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509  # lazy: heavy import

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _hosts(pair: KeyPair) -> set[str]:
    from cryptography import x509  # lazy: heavy import

    certificate = x509.load_pem_x509_certificate(pair.certificate)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return addresses | set(names.get_values_for_type(x509.DNSName))


def _subject(pair: KeyPair) -> tuple[str, tuple[str, ...]]:
    from cryptography import x509  # lazy: heavy import
    from cryptography.x509.oid import NameOID

    subject = x509.load_pem_x509_certificate(pair.certificate).subject
    users = [str(part.value) for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = tuple(str(part.value) for part in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    return users[0], groups
