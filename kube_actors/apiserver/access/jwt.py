"""Signed tokens: claims to a JSON Web Token and back, with ECDSA P-256 (ES256). Owns the key's use, not its keeping.

The cryptography package is heavy and the key is made late: nobody pays before the first token.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

JSONObject = dict[str, Any]

_SIZE = 32
"""Bytes of each half of a signature."""

_REMEMBERED = 4096
"""Tokens whose signature has been found good."""


class BadToken(Exception):
    """This is no token of ours; says nothing about why, as clients need not know."""


class Signer:
    """Signs and verifies with one key, given as PEM when it is first needed; without one it makes its own."""

    def __init__(self, key_pem: Callable[[], bytes] | None = None) -> None:
        self._key_pem = key_pem
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._head = b""
        self._good: dict[str, JSONObject] = {}

    def sign(self, claims: JSONObject) -> str:
        key = self._private()
        from cryptography.hazmat.primitives import hashes  # lazy: heavy import
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        signed = self._head + b"." + _packed(msgspec.json.encode(claims))
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return (signed + b"." + _packed(r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big"))).decode()

    def verify(self, token: str) -> JSONObject:
        """The claims of a token that this key signed; dates are the caller's. Raises BadToken."""
        found = self._good.get(token)
        if found is None:
            found = self._verified(token)
            if len(self._good) >= _REMEMBERED:
                self._good.clear()
            self._good[token] = found
        return found

    def _verified(self, token: str) -> JSONObject:
        key = self._private()
        from cryptography.exceptions import InvalidSignature  # lazy: heavy import
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # lazy: heavy import

        signed, _, signature = token.encode().rpartition(b".")
        head, _, payload = signed.partition(b".")
        if head != self._head:
            raise BadToken
        try:
            raw = _unpacked(signature)
            halves = int.from_bytes(raw[:_SIZE], "big"), int.from_bytes(raw[_SIZE:], "big")
            key.public_key().verify(encode_dss_signature(*halves), signed, ec.ECDSA(hashes.SHA256()))
            claims = msgspec.json.decode(_unpacked(payload))
        except (InvalidSignature, ValueError, binascii.Error, msgspec.DecodeError):
            raise BadToken from None
        if not isinstance(claims, dict):
            raise BadToken
        return claims

    def jwks(self) -> JSONObject:
        """The public key as a JSON Web Key Set."""
        numbers = self._private().public_key().public_numbers()
        key = {
            "use": "sig",
            "kty": "EC",
            "kid": self._kid(),
            "crv": "P-256",
            "alg": "ES256",
            "x": _packed(numbers.x.to_bytes(_SIZE, "big")).decode(),
            "y": _packed(numbers.y.to_bytes(_SIZE, "big")).decode(),
        }
        return {"keys": [key]}

    def _private(self) -> ec.EllipticCurvePrivateKey:
        if self._key is None:
            from cryptography.hazmat.primitives.asymmetric import ec  # lazy: heavy import
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            if self._key_pem is None:
                self._key = ec.generate_private_key(ec.SECP256R1())
            else:
                loaded = load_pem_private_key(self._key_pem(), None)
                assert isinstance(loaded, ec.EllipticCurvePrivateKey), "the token key is not an elliptic curve key"
                self._key = loaded
            self._head = _packed(msgspec.json.encode({"alg": "ES256", "kid": self._kid()}))
        return self._key

    def _kid(self) -> str:
        import hashlib  # lazy: heavy import

        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # lazy: heavy import

        der = self._private().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _packed(hashlib.sha256(der).digest()).decode()


def looks_signed(token: str) -> bool:
    """Whether this may be a signed token at all."""
    return token.count(".") == 2


def _packed(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _unpacked(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
