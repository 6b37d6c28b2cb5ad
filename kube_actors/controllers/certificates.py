"""Certificate requests: those of kubelets are approved, approved ones are signed, and old ones are removed.

Owns what each of Kubernetes' signers accepts, and which request is a kubelet's own. The signature itself is handed in,
since only the assembly holds the authority's key.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct, structs

from kube_actors.api import time
from kube_actors.api.types.authorization_v1 import ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec
from kube_actors.api.types.certificates_v1 import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestStatus,
)
from kube_actors.client import Client

from . import limits
from .contract import NOTHING, Caches, Call, Delete, Outcome, Plan, Source, Update, own_key

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY)
NODES, NODE_PREFIX = "system:nodes", "system:node:"

_CLIENT_USES = frozenset({"digital signature", "client auth"})
_SERVER_USES = frozenset({"digital signature", "server auth"})
_MAY_ADD = frozenset({"key encipherment"})


class Subject(Struct, frozen=True):
    """What a certificate request says about who it is for."""

    common_name: str
    organizations: tuple[str, ...]
    hosts: tuple[str, ...]
    others: tuple[str, ...]
    """E-mail addresses and URIs."""


Sign = Callable[[bytes, tuple[str, ...], int | None], bytes]
"""The certificate for a request in PEM, with these uses and at most this life in seconds."""

ReadRequest = Callable[[bytes], Subject]
"""Raises ValueError for what is no request."""


class Authority(Struct, frozen=True):
    """Who signs, handed in by the assembly."""

    sign: Sign
    read: ReadRequest


def complaint(signer: str, subject: Subject, usages: Iterable[str]) -> str:
    """Why a signer does not sign this; "" when it does."""
    asked = frozenset(usages)
    if signer == CLIENT:
        if "client auth" not in asked or asked - _CLIENT_USES - _MAY_ADD:
            return f"unexpected usages: {' '.join(sorted(asked))}"
        return ""
    if signer not in (KUBELET_CLIENT, KUBELET_SERVING):
        return ""
    if subject.organizations != (NODES,):
        return f'organization in subject must be exactly ["{NODES}"]'
    if not subject.common_name.startswith(NODE_PREFIX):
        return f"common name must start with {NODE_PREFIX}"
    if subject.others:
        return "subject must not name e-mail addresses or URIs"
    if signer == KUBELET_CLIENT and subject.hosts:
        return "a client certificate must not name hosts"
    if signer == KUBELET_SERVING and not subject.hosts:
        return "a serving certificate must name a host"
    wanted = _CLIENT_USES if signer == KUBELET_CLIENT else _SERVER_USES
    return "" if asked - _MAY_ADD == wanted else f"usages did not match {sorted(wanted)}"


def has(request: CertificateSigningRequest, kind: str) -> bool:
    return any(each.type == kind for each in request.status.conditions)


def request_pem(request: CertificateSigningRequest) -> bytes:
    return base64.b64decode(request.spec.request)


def _with(request: CertificateSigningRequest, kind: str, reason: str, message: str) -> CertificateSigningRequest:
    condition = CertificateSigningRequestCondition(type=kind, status="True", reason=reason, message=message)
    status = structs.replace(request.status, conditions=(*request.status.conditions, condition))
    return structs.replace(request, status=status)


class _OfRequests:
    """What the three controllers share: they look at one request a time."""

    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=CertificateSigningRequest, keys=own_key),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [request.metadata.name for request in caches.list(CertificateSigningRequest)]


class Signing(_OfRequests):
    """The signers of kubernetes.io, in one."""

    name = "certificatesigningrequest-signing-controller"
    component = "csrsigning"

    def __init__(self, authority: Authority | None) -> None:
        self._authority = authority

    def observe(self, key: str, caches: Caches, now: float) -> CertificateSigningRequest | None:
        request = caches.get(CertificateSigningRequest, key)
        if request is None or self._authority is None or request.spec.signer_name not in SIGNERS:
            return None
        if not has(request, "Approved") or has(request, "Denied") or has(request, "Failed"):
            return None
        return None if request.status.certificate else request

    def plan(self, observed: CertificateSigningRequest) -> Plan:
        assert self._authority is not None
        spec = observed.spec
        try:
            why = complaint(spec.signer_name, self._authority.read(request_pem(observed)), spec.usages)
            reason = "SignerValidationFailure"
            pem = b"" if why else self._authority.sign(request_pem(observed), spec.usages, spec.expiration_seconds)
        except ValueError as error:
            why, reason, pem = str(error), "SigningError", b""
        if why:
            done = _with(observed, "Failed", reason, why)
        else:
            certificate = base64.b64encode(pem).decode()
            status = CertificateSigningRequestStatus(certificate=certificate, conditions=observed.status.conditions)
            done = structs.replace(observed, status=status)
        return Plan(actions=(Update(obj=done, subresource="status", tolerate=("NotFound",)),))


class Approving(_OfRequests):
    """Approves a kubelet's client certificate, if the one who asks may have it without being asked."""

    name = "certificatesigningrequest-approving-controller"
    component = "csrapproving"

    def __init__(self, authority: Authority | None) -> None:
        self._authority = authority

    def observe(self, key: str, caches: Caches, now: float) -> CertificateSigningRequest | None:
        request = caches.get(CertificateSigningRequest, key)
        if request is None or self._authority is None or request.spec.signer_name != KUBELET_CLIENT:
            return None
        if request.status.certificate or request.status.conditions:
            return None
        return request

    def plan(self, observed: CertificateSigningRequest) -> Plan:
        assert self._authority is not None
        try:
            subject = self._authority.read(request_pem(observed))
        except ValueError:
            return NOTHING
        if complaint(KUBELET_CLIENT, subject, observed.spec.usages):
            return NOTHING
        own = observed.spec.username == subject.common_name
        what: Literal["selfnodeclient", "nodeclient"] = "selfnodeclient" if own else "nodeclient"

        async def ask(client: Client) -> bool:
            asked = await client.create(_review(observed, what))
            return bool(asked.status.allowed)

        def then(outcome: Outcome) -> Plan:
            if outcome.error is not None or not outcome.results[0]:
                return NOTHING
            kind = "self kubelet" if own else "kubelet"
            message = f"Auto approving {kind} client certificate after SubjectAccessReview."
            approved = _with(observed, "Approved", "AutoApproved", message)
            return Plan(actions=(Update(obj=approved, subresource="approval", tolerate=("NotFound",)),))

        return Plan(actions=(Call(name="may the requester have it", ask=ask),), then=then)


def _review(request: CertificateSigningRequest, what: str) -> SubjectAccessReview:
    spec = request.spec
    attributes = ResourceAttributes(
        group="certificates.k8s.io", resource="certificatesigningrequests", subresource=what, verb="create", version="*"
    )
    asked = SubjectAccessReviewSpec(
        user=spec.username, uid=spec.uid, groups=spec.groups, extra=spec.extra, resource_attributes=attributes
    )
    return SubjectAccessReview(spec=asked)


class Aged(Struct, frozen=True):
    """A request, and for how many seconds longer it stays."""

    request: CertificateSigningRequest
    left: float


class Cleaning(_OfRequests):
    """Removes requests that nobody needs any more."""

    name = "certificatesigningrequest-cleaner-controller"
    component = "csrcleaner"

    def observe(self, key: str, caches: Caches, now: float) -> Aged | None:
        request = caches.get(CertificateSigningRequest, key)
        return None if request is None else Aged(request, _ends(request) - now)

    def plan(self, observed: Aged) -> Plan:
        if observed.left > 0:
            return Plan(requeue_after=observed.left)
        metadata = observed.request.metadata
        action = Delete(kind=CertificateSigningRequest, key=metadata.name, uid=metadata.uid)
        return Plan(actions=(action,))


def _ends(request: CertificateSigningRequest) -> float:
    """The moment after which a request is removed: an hour after its decision, a day without one."""
    decided = [each for each in request.status.conditions if each.type in ("Approved", "Denied", "Failed")]
    if not decided or (request.status.certificate is None and all(each.type == "Approved" for each in decided)):
        return _seconds(request.metadata.creation_timestamp) + limits.REQUEST_PENDING_SECONDS
    return max(_seconds(each.last_update_time) for each in decided) + limits.REQUEST_DECIDED_SECONDS


def _seconds(text: str | None) -> float:
    return time.parse_time(text) if text else 0.0
