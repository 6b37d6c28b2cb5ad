"""Certificates by request: asked for, approved, signed and cleaned up, with the cluster's real authority."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.assembly.pki import Pki
from kube_actors.assembly.signing import authority
from kube_actors.controllers import ControllerManager, Options
from kube_actors.controllers.certificates import CLIENT, KUBELET_CLIENT, KUBELET_SERVING, Subject, complaint
from tests.kit.apiserver import TESTER, RunningAPIServer, running_apiserver

BOOT = UserInfo(name="boot", uid="7", groups=("system:bootstrappers", "system:authenticated"), extra={"k": ("v",)})


def request(common_name: str, *organizations: str) -> str:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    key = ec.generate_private_key(ec.SECP256R1())
    pem = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return base64.b64encode(pem.public_bytes(Encoding.PEM)).decode()


def body(name: str, pem: str, signer: str, usages: tuple[str, ...] = ("client auth",), **more: Any) -> dict[str, Any]:
    spec = {"request": pem, "signerName": signer, "usages": list(usages), **more}
    return {"metadata": {"name": name}, "spec": spec}


class Keys:
    """A cluster's keys, and its controllers that use them."""

    def __init__(self, api: RunningAPIServer) -> None:
        system = api.system
        self.pki = Pki(system.clock.now, system.entropy.serial)
        sign_token = api.server.core.access.tokens.legacy
        options = Options(root_ca="CA", authority=authority(self.pki), sign_token=sign_token)
        self.manager = ControllerManager(api.client(TESTER), system, options)


async def until(api: RunningAPIServer, kind: str, name: str, namespace: str, told: Any) -> dict[str, Any]:
    with trio.fail_after(60):
        while True:
            found = await api.ask("get", kind, namespace, name)
            if told(found):
                return found
            await trio.sleep(0.5)


async def until_none(api: RunningAPIServer, kind: str, namespace: str, seconds: float) -> None:
    with trio.fail_after(seconds):
        while True:
            if not (await api.ask("list", kind, namespace))["items"]:
                return
            await trio.sleep(seconds / 100)


def has_certificate(found: dict[str, Any]) -> bool:
    return bool(found["status"].get("certificate"))


async def test_a_kubelets_request_is_approved_and_signed(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api, trio.open_nursery() as nursery:
        keys = Keys(api)
        nursery.start_soon(keys.manager.run)
        usages = ("digital signature", "client auth")
        node = body("n", request("system:node:a", "system:nodes"), KUBELET_CLIENT, usages, expirationSeconds=3600)
        made = await api.ask("create", "CertificateSigningRequest", body=node, user=BOOT)
        who = {key: made["spec"][key] for key in ("username", "uid", "groups", "extra")}
        assert who == {"username": "boot", "uid": "7", "groups": list(BOOT.groups), "extra": {"k": ["v"]}}
        signed = await until(
            api, "CertificateSigningRequest", "n", "", lambda found: found["status"].get("certificate")
        )
        (condition,) = signed["status"]["conditions"]
        assert (condition["type"], condition["reason"]) == ("Approved", "AutoApproved")
        assert condition["lastUpdateTime"] and condition["lastTransitionTime"]
        certificate = x509.load_pem_x509_certificate(base64.b64decode(signed["status"]["certificate"]))
        certificate.verify_directly_issued_by(keys.pki.authority()[0])
        assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() == 3600 + 300
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        await until_none(api, "CertificateSigningRequest", "", 7200)
        nursery.cancel_scope.cancel()


async def test_what_is_not_a_kubelets_waits_for_a_person(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api, trio.open_nursery() as nursery:
        nursery.start_soon(Keys(api).manager.run)
        for name, signer in (("good", CLIENT), ("bad", KUBELET_SERVING)):
            await api.ask("create", "CertificateSigningRequest", body=body(name, request("jane", "dev"), signer))
            found = await api.ask("get", "CertificateSigningRequest", "", name)
            assert found["status"] == {}
            found["status"]["conditions"] = [{"type": "Approved", "status": "True", "reason": "r", "message": "m"}]
            await api.ask("update", "CertificateSigningRequest", name=name, subresource="approval", body=found)
        await until(api, "CertificateSigningRequest", "good", "", has_certificate)
        failed = await until(
            api, "CertificateSigningRequest", "bad", "", lambda it: len(it["status"]["conditions"]) == 2
        )
        assert failed["status"]["conditions"][1]["type"] == "Failed" and "certificate" not in failed["status"]
        with pytest.raises(ApiError) as both:
            failed["status"]["conditions"].append({"type": "Denied", "status": "True"})
            await api.ask("update", "CertificateSigningRequest", name="bad", subresource="approval", body=failed)
        assert "mutually exclusive" in both.value.message
        nursery.cancel_scope.cancel()


async def test_a_bad_request_names_its_fields(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        bad = body("x", base64.b64encode(b"junk").decode(), "no-path", ("flying",), expirationSeconds=5)
        with pytest.raises(ApiError) as raised:
            await api.ask("create", "CertificateSigningRequest", body=bad)
        causes = {cause.field: cause.message for cause in raised.value.details.causes}
        assert set(causes) == {"spec.request", "spec.usages[0]", "spec.signerName", "spec.expirationSeconds"}
        assert causes["spec.request"].endswith("PEM block type must be CERTIFICATE REQUEST")


CLIENT_USES, SERVER_USES = ("digital signature", "client auth"), ("digital signature", "server auth")


def subject(name: str, *groups: str, hosts: tuple[str, ...] = ()) -> Subject:
    return Subject(name, groups, hosts, ())


@pytest.mark.parametrize(
    ("signer", "asked", "usages", "fine"),
    [
        (KUBELET_CLIENT, subject("system:node:a", "system:nodes"), CLIENT_USES, True),
        (KUBELET_CLIENT, subject("system:node:a", "system:nodes", hosts=("h",)), CLIENT_USES, False),
        (KUBELET_CLIENT, subject("system:node:a", "system:nodes"), ("client auth",), False),
        (KUBELET_CLIENT, subject("jane", "system:nodes"), CLIENT_USES, False),
        (KUBELET_SERVING, subject("system:node:a", "system:nodes", hosts=("h",)), SERVER_USES, True),
        (KUBELET_SERVING, subject("system:node:a", "system:nodes"), SERVER_USES, False),
        (CLIENT, subject("jane"), ("client auth", "key encipherment"), True),
        (CLIENT, subject("jane"), ("server auth",), False),
    ],
)
def test_what_a_signer_signs(signer: str, asked: Subject, usages: tuple[str, ...], fine: bool) -> None:
    assert (complaint(signer, asked, usages) == "") is fine


async def test_a_token_secret_is_filled_and_goes_with_its_account(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api, trio.open_nursery() as nursery:
        nursery.start_soon(Keys(api).manager.run)
        account = await api.ask("create", "ServiceAccount", body={"metadata": {"name": "bot"}})
        annotations = {"kubernetes.io/service-account.name": "bot"}
        secret = {"metadata": {"name": "t", "annotations": annotations}, "type": "kubernetes.io/service-account-token"}
        await api.ask("create", "Secret", body=secret)
        found = await until(api, "Secret", "t", "default", lambda found: found.get("data"))
        assert set(found["data"]) == {"token", "ca.crt", "namespace"}
        uid = account["metadata"]["uid"]
        assert found["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == uid
        token = base64.b64decode(found["data"]["token"]).decode()
        assert (await api.server.core.access.authenticate(None, f"Bearer {token}")).uid == uid
        await api.ask("delete", "ServiceAccount", "default", "bot")
        await until_none(api, "Secret", "default", 60)
        nursery.cancel_scope.cancel()
