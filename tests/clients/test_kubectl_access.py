"""The installed kubectl asks about access: can-i, whoami, tokens, impersonation, certificates."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.kit.https import https_apiserver

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]


async def test_who_may_do_what(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        await api.kubectl("create", "serviceaccount", "bot")
        await api.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
        await api.kubectl("create", "rolebinding", "bot", "--role=reader", "--serviceaccount=default:bot")
        as_bot = "--as=system:serviceaccount:default:bot"
        assert (await api.kubectl("auth", "can-i", "list", "pods", as_bot)).stdout.strip() == "yes"
        no = await api.kubectl("auth", "can-i", "delete", "pods", as_bot, check=False)
        assert (no.stdout.strip(), no.returncode) == ("no", 1)
        listed = (await api.kubectl("auth", "can-i", "--list", as_bot)).stdout
        assert "selfsubjectreviews.authentication.k8s.io" in listed and "[get list]" in listed
        me = (await api.kubectl("auth", "whoami")).stdout
        assert "kubernetes-admin" in me and "system:masters" in me
        token = (await api.kubectl("create", "token", "bot", "--duration=10m")).stdout.strip()
        whose = (await api.kubectl("auth", "whoami", f"--token={token}", f"--kubeconfig={bare(api.kubeconfig)}")).stdout
        assert "system:serviceaccount:default:bot" in whose and "JTI=" in whose
        refused = await api.kubectl("get", "secrets", as_bot, check=False)
        assert 'cannot list resource "secrets" in API group "" in the namespace "default"' in refused.stderr


def bare(kubeconfig: Path) -> Path:
    """The same server without the client certificate, which would win over a token."""
    lines = [line for line in kubeconfig.read_text().splitlines() if "client-" not in line]
    path = kubeconfig.with_name("bare")
    path.write_text("\n".join(lines))
    return path


async def test_a_certificate_is_approved_by_hand(tmp_path: Path) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    key = ec.generate_private_key(ec.SECP256R1())
    pem = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    text = f"""
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {{name: jane}}
spec:
  request: {base64.b64encode(pem.public_bytes(Encoding.PEM)).decode()}
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
"""
    async with https_apiserver(tmp_path) as api:
        await api.kubectl("apply", "-f", "-", stdin=text)
        assert "Pending" in (await api.kubectl("get", "csr")).stdout
        await api.kubectl("certificate", "approve", "jane")
        assert "Approved" in (await api.kubectl("get", "csr")).stdout


async def test_a_command_in_a_pod_without_a_node_says_what_is_missing(tmp_path: Path) -> None:
    pod = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}}'
    async with https_apiserver(tmp_path) as api:
        await api.kubectl("create", "-f", "-", stdin=pod)
        refused = await api.kubectl("exec", "p", "--", "ls", check=False)
        assert "pod p does not have a host assigned" in refused.stderr
        missing = await api.kubectl("exec", "q", "--", "ls", check=False)
        assert 'pods "q" not found' in missing.stderr
