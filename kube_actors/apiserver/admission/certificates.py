"""Who may approve and sign certificate requests, and what a request for a client certificate may not ask for."""

from __future__ import annotations

import base64
import binascii

from kube_actors.apiserver.admission.chain import Attempt, Step
from kube_actors.apiserver.admission.rights import allowed

GROUP, PLURAL = "certificates.k8s.io", "certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
MASTERS = "system:masters"


async def may_act_for(attempt: Attempt, verb: str, signer: str) -> bool:
    """Whether the user has this right on the signer, by its name or by all of its domain."""
    call = attempt.call
    names = (signer, signer.split("/", 1)[0] + "/*")
    for name in names:
        if await allowed(call.core, call.request.user, verb, GROUP, "signers", name=name):
            return True
    return False


def _concerned(attempt: Attempt, subresource: str) -> bool:
    resource = attempt.call.kind.resource
    return resource.plural == PLURAL and resource.group == GROUP and attempt.subresource == subresource


class CertificateRequester(Step):
    """Who asks is written into the request, and when a condition was set into the condition."""

    name = "CertificateRequester"
    only = frozenset({(GROUP, PLURAL)})

    async def complete(self, attempt: Attempt) -> None:
        resource = attempt.call.kind.resource
        if resource.group != GROUP or resource.plural != PLURAL or attempt.obj is None:
            return
        if attempt.old is None:
            user = attempt.call.request.user
            asked = {key: value for key, value in attempt.obj["spec"].items() if key not in _REQUESTER}
            told = {
                "username": user.name,
                "uid": user.uid,
                "groups": list(user.groups),
                "extra": {key: list(values) for key, values in user.extra.items()},
            }
            attempt.obj["spec"] = {**asked, **{key: value for key, value in told.items() if value}}
            return
        before = (attempt.old.get("status") or {}).get("conditions") or []
        for condition in (attempt.obj.get("status") or {}).get("conditions") or ():
            now = attempt.call.core.now_text()
            if not condition.get("lastUpdateTime"):
                condition["lastUpdateTime"] = now
            if not condition.get("lastTransitionTime"):
                condition["lastTransitionTime"] = next(
                    (
                        each["lastTransitionTime"]
                        for each in before
                        if each.get("type") == condition.get("type")
                        and each.get("status") == condition.get("status")
                        and each.get("lastTransitionTime")
                    ),
                    now,
                )


_REQUESTER = ("username", "uid", "groups", "extra")


class CertificateApproval(Step):
    """Only who may approve for the signer approves or denies."""

    name = "CertificateApproval"
    only = frozenset({(GROUP, PLURAL)})

    async def check(self, attempt: Attempt) -> None:
        if attempt.operation != "UPDATE" or not _concerned(attempt, "approval") or attempt.obj is None:
            return
        signer = attempt.obj["spec"].get("signerName", "")
        if not await may_act_for(attempt, "approve", signer):
            raise attempt.forbidden(f'user not permitted to approve requests with signerName "{signer}"')


class CertificateSigning(Step):
    """Only who may sign for the signer puts a certificate or a failure into the status."""

    name = "CertificateSigning"
    only = frozenset({(GROUP, PLURAL)})

    async def check(self, attempt: Attempt) -> None:
        new, old = attempt.obj, attempt.old
        if attempt.operation != "UPDATE" or not _concerned(attempt, "status") or new is None or old is None:
            return
        before, after = old.get("status") or {}, new.get("status") or {}
        if before.get("certificate") == after.get("certificate") and before.get("conditions") == after.get(
            "conditions"
        ):
            return
        signer = old["spec"].get("signerName", "")
        if not await may_act_for(attempt, "sign", signer):
            raise attempt.forbidden(f'user not permitted to sign requests with signerName "{signer}"')


class CertificateSubjectRestriction(Step):
    """Nobody gets a client certificate in the group that may do everything."""

    name = "CertificateSubjectRestriction"
    only = frozenset({(GROUP, PLURAL)})

    async def check(self, attempt: Attempt) -> None:
        if attempt.operation != "CREATE" or not _concerned(attempt, "") or attempt.obj is None:
            return
        spec = attempt.obj["spec"]
        if spec.get("signerName") != CLIENT_SIGNER:
            return
        if MASTERS in _organisations(spec.get("request", "")):
            raise attempt.forbidden(f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")


def _organisations(encoded: str) -> list[str]:
    """The O of the subject; none when the request cannot be read, which validation says."""
    from cryptography import x509  # lazy: heavy, and certificate requests are rare
    from cryptography.x509.oid import NameOID

    try:
        request = x509.load_pem_x509_csr(base64.b64decode(encoded))
    except (ValueError, binascii.Error):
        return []
    return [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
