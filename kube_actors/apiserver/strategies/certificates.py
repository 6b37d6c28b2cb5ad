"""CertificateSigningRequest: what may be asked for, who may change which part of it, and how that reads when refused.

Pure. Who asks is written by admission, since a strategy knows no user; the signature is a controller's.
"""

from __future__ import annotations

import base64
import binascii
import re

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy

USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
SHORTEST_SECONDS = 600
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
DECISIONS = ("Approved", "Denied")
_LASTING = ("Approved", "Denied", "Failed")
_REQUEST_TYPES = ("CERTIFICATE REQUEST",)
_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----\n(.*?)-----END \1-----", re.DOTALL)


class CertificateSigningRequestStrategy(Strategy):
    """The spec never changes; conditions and certificate are the sub-resources'."""

    field_complaint = "field label not supported: {field}"
    selectable: Selectable = {
        "spec.signerName": lambda obj: str((obj.get("spec") or {}).get("signerName", "")),
    }

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        new["spec"] = old["spec"]

    def validate_create(self, obj: JSONObject) -> Problems:
        return _spec(obj["spec"])

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return []

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        found = _conditions(new) + _certificate(new, old)
        found += _kept(new, old)
        for kind in DECISIONS:
            if _count(new, kind) > _count(old, kind):
                why = f'updates may not add a condition of type "{kind}"'
                found.append(fields.forbidden("status.conditions", why))
        return found


class ApprovalStrategy(CertificateSigningRequestStrategy):
    """The sub-resource approval: only conditions."""

    resets_status = False

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        new["spec"] = old["spec"]
        status = dict(old.get("status") or {})
        conditions = (new.get("status") or {}).get("conditions")
        status.pop("conditions", None)
        new["status"] = {"conditions": conditions, **status} if conditions else status

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return _conditions(new) + _kept(new, old)


def _spec(spec: JSONObject) -> Problems:
    found = []
    if complaint := request_complaint(spec.get("request") or ""):
        found.append(fields.invalid("spec.request", _shown(spec.get("request") or ""), complaint))
    usages = spec.get("usages") or []
    if not usages:
        found.append(fields.required("spec.usages"))
    seen: set[str] = set()
    for place, usage in enumerate(usages):
        if usage not in USAGES:
            found.append(fields.not_supported(f"spec.usages[{place}]", usage, USAGES))
        elif usage in seen:
            found.append(fields.duplicate(f"spec.usages[{place}]", usage))
        seen.add(usage)
    if spec.get("signerName") == LEGACY_SIGNER:
        why = "the legacy signerName is not allowed via this API version"
        found.append(fields.invalid("spec.signerName", LEGACY_SIGNER, why))
    else:
        found += signer_problems("spec.signerName", spec.get("signerName", ""))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST_SECONDS:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        found.append(fields.invalid("spec.expirationSeconds", seconds, why))
    return found


def request_complaint(encoded: str) -> str:
    """What is wrong with a certificate request in PEM in base64; "" when nothing is."""
    from cryptography import x509  # lazy: heavy import
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    block = _BLOCK.search(_decoded(encoded))
    if block is None or block.group(1).decode(errors="replace") not in _REQUEST_TYPES:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_pem_x509_csr(block.group(0))
        if not request.is_signature_valid:
            return "x509: the request's signature does not fit its key"
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return "asn1: structure error: this is no certificate request"
    return ""


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded)
    except (binascii.Error, ValueError):
        return b""


def _shown(encoded: str) -> list[int]:
    """Bytes, as Go shows them."""
    return list(_decoded(encoded))


def signer_problems(field: str, name: str) -> Problems:
    """A signer is named domain/path."""
    if not name:
        return [fields.required(field)]
    domain, found, path = name.partition("/")
    if not found or "/" in path:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [fields.invalid(field, name, why)]
    problems = []
    if "." not in domain:
        problems.append(
            fields.invalid(field, domain, "should be a domain with at least two segments separated by dots")
        )
    problems += [fields.invalid(field, domain, why) for why in names.dns_subdomain(domain)]
    problems += [fields.invalid(field, path, why) for why in names.dns_subdomain(path)]
    return problems


def _conditions(obj: JSONObject) -> Problems:
    found = []
    seen: set[str] = set()
    for place, condition in enumerate((obj.get("status") or {}).get("conditions") or ()):
        path = f"status.conditions[{place}]"
        kind, status = condition.get("type", ""), condition.get("status", "")
        if not kind:
            found.append(fields.required(f"{path}.type"))
        allowed = ("True",) if kind in _LASTING else ("False", "True", "Unknown")
        if not status:
            found.append(fields.required(f"{path}.status"))
        elif status not in allowed:
            found.append(fields.not_supported(f"{path}.status", status, allowed))
        if (kind == "Approved" and "Denied" in seen) or (kind == "Denied" and "Approved" in seen):
            why = "Approved and Denied conditions are mutually exclusive"
            found.append(fields.invalid(f"{path}.type", kind, why))
        if kind in seen:
            found.append(fields.duplicate(f"{path}.type", kind))
        seen.add(kind)
    return found


def _certificate(new: JSONObject, old: JSONObject) -> Problems:
    value, before = ((each.get("status") or {}).get("certificate") or "" for each in (new, old))
    found = []
    if value and value != before and (why := _chain_complaint(_decoded(value))):
        found.append(fields.invalid("status.certificate", "<certificate data>", why))
    if before and value != before:
        found.append(fields.forbidden("status.certificate", "updates may not modify existing certificate content"))
    return found


def _chain_complaint(text: bytes) -> str:
    from cryptography import x509  # lazy: heavy import

    blocks = _BLOCK.findall(text)
    if not blocks:
        return "must contain at least one CERTIFICATE PEM block"
    if any(kind != b"CERTIFICATE" for kind, _ in blocks):
        return "only CERTIFICATE PEM blocks are allowed, found " + _go(blocks[0][0])
    try:
        x509.load_pem_x509_certificates(text)
    except ValueError:
        return "x509: malformed certificate"
    return ""


def _go(text: bytes) -> str:
    return fields.quote(text.decode(errors="replace"))


def _kept(new: JSONObject, old: JSONObject) -> Problems:
    return [
        fields.forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
        for kind in _LASTING
        if _count(new, kind) < _count(old, kind)
    ]


def _count(obj: JSONObject, kind: str) -> int:
    return sum(each.get("type") == kind for each in (obj.get("status") or {}).get("conditions") or ())
